"""Static files: served where no step answers, and nothing from outside of their folder."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepweave.http.finish import Finish
from stepweave.http.static import Static
from stepweave.project import SettingsError
from tests.flows.harness import Running, start
from tests.http.wire import ask

pytestmark = pytest.mark.anyio

PAGE = b"<!doctype html><title>home</title>"
SECRET = b"s3cret"
FILES: dict[str, str | bytes] = {
    "stepweave.toml": """
        [server]
        static = { "/" = "public", "/assets" = "built/assets" }
        [cors]
        origins = ["https://shop.example"]
        """,
    "public/index.html": PAGE,
    "public/logo.svg": b"<svg/>",
    "public/app.mjs": b"export {}",
    "public/with space & ü.txt": b"text",
    "public/docs/index.html": b"docs",
    "public/empty/none.txt": b"",
    "public/hidden/.env": SECRET,
    "public/.git/config": SECRET,
    "public/pets": b"no step",
    "public/assets/a.css": b"hidden by the longer path",
    "built/assets/a.css": b"a{}",
    "built/assets/font.woff2": b"wOF2",
    "built/secret.txt": SECRET,
    "publicly/secret.txt": SECRET,
    "steps/pets.step.py": """
        config = {"type": "api", "name": "Pets", "method": "GET", "path": "/pets"}

        async def handler(req, context):
            return {"status": 200, "body": "a step"}
        """,
    "steps/post.step.py": """
        config = {"type": "api", "name": "Post", "method": "POST", "path": "/docs"}

        async def handler(req, context):
            return {"status": 200, "body": "posted"}
        """,
}


@pytest.fixture(scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    root = tmp_path_factory.mktemp("site")
    (root / "public").mkdir()
    (root / "public" / "out").symlink_to(root / "built")
    (root / "public" / "passwd").symlink_to("/etc/passwd")
    (root / "public" / "inside.svg").symlink_to("logo.svg")
    os.mkfifo(root / "public" / "pipe")
    async with start(root, FILES, mode="dev") as it:
        yield it


@pytest.mark.parametrize(
    ("target", "kind", "body"),
    [
        ("/", "text/html; charset=utf-8", PAGE),
        ("/index.html", "text/html; charset=utf-8", PAGE),
        ("/?a=b", "text/html; charset=utf-8", PAGE),
        ("/logo.svg", "image/svg+xml", b"<svg/>"),
        ("/inside.svg", "image/svg+xml", b"<svg/>"),
        ("/app.mjs", "text/javascript; charset=utf-8", b"export {}"),
        ("/with%20space%20&%20%C3%BC.txt", "text/plain; charset=utf-8", b"text"),
        ("/docs/", "text/html; charset=utf-8", b"docs"),
        ("/empty/none.txt", "text/plain; charset=utf-8", b""),
        ("/assets/a.css", "text/css; charset=utf-8", b"a{}"),
        ("/assets/font.woff2", "font/woff2", b"wOF2"),
    ],
)
async def test_a_file_comes_with_its_type(
    site: Running, target: str, kind: str, body: bytes
) -> None:
    answer = await ask(site, "GET", target)
    head = await ask(site, "HEAD", target)

    assert (answer.status, answer.body) == (200, body)
    for each in (answer, head):
        assert each.get("content-type") == kind
        assert each.get("content-length") == str(len(body))
        assert each.get("x-content-type-options") == "nosniff"
        assert each.get("cache-control") == "no-cache"
        assert each.get("etag") and each.get("last-modified")
        assert each.get("x-trace-id")


@pytest.mark.parametrize(
    "target",
    [
        "/nothing.txt",
        "/empty/",
        "/empty",
        "/logo.svg/",
        "/logo.svg/x",
        "/hidden/.env",
        "/.git/config",
        "/%2egit/config",
        "/../built/secret.txt",
        "/%2e%2e/built/secret.txt",
        "/..%2fbuilt/secret.txt",
        "/%2e%2e%2fbuilt%2fsecret.txt",
        "/docs/../../built/secret.txt",
        "/..%5cbuilt%5csecret.txt",
        "/assets/../secret.txt",
        "/assets/..%2fsecret.txt",
        "/assets../secret.txt",
        "/ly/secret.txt",
        "//etc/passwd",
        "/%2Fetc/passwd",
        "/out/secret.txt",
        "/passwd",
        "/pipe",
        "/logo.svg%00",
        "/logo.svg%00.txt",
        "/%ff",
        "/" + "a" * 5000,
        "/" + "a/" * 3000,
        "/assets/",
        "/assets",
    ],
)
async def test_nothing_else_is_served(site: Running, target: str) -> None:
    answer = await ask(site, "GET", target)

    assert answer.status == 404
    assert answer.json() == {"error": f"There is no route GET {target}"}


async def test_a_folder_is_asked_for_with_a_slash(site: Running) -> None:
    answer = await ask(site, "GET", "/docs?a=b")

    assert (answer.status, answer.get("location")) == (307, "/docs/?a=b")


async def test_steps_go_before_files(site: Running) -> None:
    assert (await ask(site, "GET", "/pets")).body == b"a step"
    assert (await ask(site, "POST", "/docs")).body == b"posted"
    assert (await ask(site, "POST", "/logo.svg")).status == 404
    assert (await ask(site, "PUT", "/docs")).status == 405
    assert (await ask(site, "GET", "/_stepweave")).status == 200


async def test_a_file_that_has_not_changed_is_not_sent_again(site: Running) -> None:
    first = await ask(site, "GET", "/logo.svg")
    etag, changed = first.get("etag") or "", first.get("last-modified") or ""

    for head in (
        ("if-none-match", etag),
        ("if-none-match", f'"other", W/{etag}'),
        ("if-none-match", "*"),
        ("if-modified-since", changed),
    ):
        answer = await ask(site, "GET", "/logo.svg", head)
        assert (answer.status, answer.body, answer.get("etag")) == (304, b"", etag)
    for head in (
        ("if-none-match", '"other"'),
        ("if-modified-since", "Mon, 01 Jan 2001 00:00:00 GMT"),
        ("if-modified-since", "nonsense"),
    ):
        assert (await ask(site, "GET", "/logo.svg", head)).status == 200


@pytest.mark.parametrize(
    ("given", "status", "body"),
    [
        ("bytes=1-3", 206, b"svg"),
        ("bytes=-2", 206, b"/>"),
        ("bytes=4-", 206, b"/>"),
        ("bytes=99-", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=1-99999999999999999999999", 206, b"svg/>"),
        ("lines=1-2", 200, b"<svg/>"),
        ("bytes=3-1", 200, b"<svg/>"),
        ("bytes=x", 200, b"<svg/>"),
        ("bytes=" + "9" * 5000 + "-", 200, b"<svg/>"),
    ],
)
async def test_a_part_of_a_file_can_be_asked_for(
    site: Running, given: str, status: int, body: bytes | None
) -> None:
    answer = await ask(site, "GET", "/logo.svg", ("range", given))

    assert answer.status == status
    assert len(answer.get("x-trace-id") or "") == 32
    assert answer.get("x-request-id") == answer.get("x-trace-id")
    if body is not None:
        assert answer.body == body


async def test_pages_that_may_read_routes_may_read_files(site: Running) -> None:
    answer = await ask(site, "GET", "/logo.svg", ("origin", "https://shop.example"))

    assert answer.get("access-control-allow-origin") == "https://shop.example"


async def test_a_file_that_is_new_is_there_at_once(site: Running) -> None:
    assert (await ask(site, "GET", "/new.txt")).status == 404
    (site.it.project.root / "public" / "new.txt").write_text("new")
    assert (await ask(site, "GET", "/new.txt")).body == b"new"


async def test_one_folder_alone_is_that_of_all_paths(tmp_path: Path) -> None:
    files = {"public/a.txt": "a", "steps/pets.step.py": FILES["steps/pets.step.py"]}
    async with start(
        tmp_path,
        files,
        STEPWEAVE_SERVER_STATIC="public",
        STEPWEAVE_SERVER_STATIC_MAX_AGE_S="1h",
    ) as it:
        answer = await ask(it, "GET", "/a.txt")
        assert (answer.body, answer.get("cache-control")) == (b"a", "public, max-age=3600")
        assert (await ask(it, "GET", "/")).status == 404


def test_a_folder_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"static: there is no folder .*/nowhere"):
        Static(tmp_path, {"/": "nowhere"}, 0, Finish(etag=False, pack_from=None))


PARTS = st.sampled_from(
    ["/", "..", ".", "%2e", "%2f", "%5c", "%00", "%ff", "\\", "~", "*", "?", "a", "docs", "assets",
     "built", "public", "secret.txt", "index.html", "logo.svg", ".env", ".git", "out", "C:", "//"]
)  # fmt: skip


@settings(
    max_examples=150,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    parts=st.lists(PARTS, max_size=10),
    asked=st.sampled_from(["", "bytes=0-", "bytes=-1", "bytes=0-0,1-1", "bytes=5-1", "bytes=x"]),
)
async def test_no_path_leads_out_of_the_folder(site: Running, parts: list[str], asked: str) -> None:
    answer = await ask(site, "GET", "/" + "".join(parts), ("range", asked))

    assert answer.status in (200, 206, 307, 403, 404, 416)
    assert SECRET not in answer.body
