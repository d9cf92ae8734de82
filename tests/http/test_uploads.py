"""Forms with files, packed bodies, charsets, cookies: what handlers of each language get."""

from __future__ import annotations

import gzip
import hashlib
import random
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.flows.harness import Running, start
from tests.http.wire import Answer, ask, connect, request

pytestmark = pytest.mark.anyio

LANGUAGES = ["python", "typescript", "ruby"]
MEMORY = 1000
MAX_BODY = 300_000

FILES = {
    "steps/take.step.py": """
        import hashlib

        config = {"type": "api", "name": "TakePython", "method": "POST", "path": "/python"}

        async def handler(req, context):
            files = [
                {"field": f.field, "name": f.name, "type": f["type"], "size": f.size,
                 "disk": f.path is not None, "sha": hashlib.sha1(f.bytes).hexdigest()}
                for f in req.files
            ]
            first = req.files.get("a")
            return {"status": 200, "body": {
                "body": req.body if not isinstance(req.body, bytes) else req.body.hex(),
                "files": files, "first": first and first.name, "raw": req.raw_body,
                "cookies": req.cookies, "url": req.url, "ip": req.ip}}
        """,
    "steps/take.step.ts": """
        import { createHash } from 'node:crypto'

        export const config = {
          type: 'api', name: 'TakeTypeScript', method: 'POST', path: '/typescript',
        }

        export const handler = async (req: any) => ({
          status: 200,
          body: {
            body: Buffer.isBuffer(req.body) ? req.body.toString('hex') : req.body,
            files: req.files.map((f: any) => ({
              field: f.field, name: f.name, type: f.type, size: f.size, disk: f.path !== null,
              sha: createHash('sha1').update(f.bytes).digest('hex'),
            })),
            first: req.files.a?.name ?? null, raw: req.rawBody,
            cookies: req.cookies, url: req.url, ip: req.ip,
          },
        })
        """,
    "steps/take.step.rb": """
        require "digest"

        def config = { type: "api", name: "TakeRuby", method: "POST", path: "/ruby" }

        def handler(req, _context)
          files = req.files.map do |f|
            { field: f.field, name: f.name, type: f[:type], size: f.size, disk: !f.path.nil?,
              sha: Digest::SHA1.hexdigest(f.bytes) }
          end
          binary = req.body.is_a?(String) && req.body.encoding == Encoding::BINARY
          { status: 200, body: {
            body: binary ? req.body.unpack1("H*") : req.body, files: files,
            first: req.files["a"]&.name, raw: req.raw_body, cookies: req.cookies,
            url: req.url, ip: req.ip
          } }
        end
        """,
}

for _name, _schema in (
    ("one", '{"title": "string", "photo": "file"}'),
    ("many", '{"photos": "file[]", "note?": "file"}'),
    ("short", '{"photo": {"type": "string", "format": "binary", "minLength": 2, "maxLength": 4}}'),
):
    FILES[f"steps/{_name}.step.py"] = f"""
        config = {{
            "type": "api", "name": "Needs_{_name}", "method": "POST", "path": "/needs/{_name}",
            "body_schema": {_schema},
        }}

        async def handler(req, context):
            names = [[file.field, file.name] for file in req.files]
            return {{"status": 200, "body": {{"body": req.body, "files": names}}}}
        """

each_language = pytest.mark.parametrize("language", LANGUAGES)


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    limits = {
        "STEPWEAVE_SERVER_UPLOAD_MEMORY": str(MEMORY),
        "STEPWEAVE_SERVER_MAX_BODY": str(MAX_BODY),
        "STEPWEAVE_SERVER_MAX_FILES": "3",
        "STEPWEAVE_SERVER_MAX_FIELDS": "5",
    }
    async with start(tmp_path_factory.mktemp("uploads"), FILES, **limits) as it:
        assert [str(p) for p in it.it.registry.all_problems if p.severity == "error"] == []
        yield it


def form(*parts: tuple[str, str | None, bytes], boundary: str = "x") -> bytes:
    """A multipart body of (name, file name, content)."""
    body = b""
    for name, file, content in parts:
        more = f'; filename="{file}"\r\nContent-Type: text/x-{name}' if file is not None else ""
        line = f'Content-Disposition: form-data; name="{name}"{more}'
        body += f"--{boundary}\r\n{line}\r\n\r\n".encode() + content + b"\r\n"
    return body + f"--{boundary}--\r\n".encode()


MULTIPART = ("content-type", "multipart/form-data; boundary=x")


async def post(
    running: Running, language: str, body: bytes, *head: tuple[str, str]
) -> dict[str, Any]:
    answer = await ask(running, "POST", f"/{language}", *head, body=body)
    assert answer.status == 200, answer
    seen: dict[str, Any] = answer.json()
    return seen


@each_language
async def test_files_come_with_their_fields(running: Running, language: str) -> None:
    small, large = b"\x00\xff", bytes(range(256)) * 1000
    body = form(
        ("title", None, "Grüße".encode()),
        ("tag[]", None, b"one"),
        ("tag[]", None, b"two"),
        ("owner[name]", None, b"Ann"),
        ("a", "klein ü.txt", small),
        ("a", "../../etc/passwd", large),
        ("none", "", b""),
    )

    seen = await post(running, language, body, MULTIPART)

    assert seen["body"] == {"title": "Grüße", "tag": ["one", "two"], "owner": {"name": "Ann"}}
    assert seen["first"] == "klein ü.txt"
    assert seen["raw"] == ""
    assert [(f["name"], f["size"], f["disk"]) for f in seen["files"]] == [
        ("klein ü.txt", 2, False),
        ("passwd", 256_000, True),
    ]
    assert [f["sha"] for f in seen["files"]] == [
        hashlib.sha1(data).hexdigest() for data in (small, large)
    ]
    assert {(f["field"], f["type"]) for f in seen["files"]} == {("a", "text/x-a")}


ONE = ("photo", "rex.jpg", b"1")


@pytest.mark.parametrize(
    ("path", "parts", "issues"),
    [
        ("one", [("title", None, b"Rex"), ONE], []),
        ("one", [ONE], [("title", "is required")]),
        ("one", [("title", None, b"Rex")], [("photo", "is required")]),
        ("one", [("title", None, b"Rex"), ("photo", None, b"rex.jpg")], [("photo", "is required")]),
        ("one", [("title", None, b"Rex"), ONE, ONE], [("photo", "must be a string, not a list")]),
        ("many", [("photos", "a", b"1"), ("photos", "b", b"2")], []),
        ("many", [("photos", "a", b"1"), ("note", "b", b"2"), ("more", "c", b"3")], []),
        ("many", [("note", "b", b"2")], [("photos", "is required")]),
        ("short", [("photo", "a long name", b"123")], []),
        ("short", [("photo", "a", b"1")], [("photo", "must have at least 2 characters")]),
        ("short", [("photo", "a", b"1" * 90)], [("photo", "must have at most 4 characters")]),
    ],
)
async def test_a_schema_may_ask_for_files(
    running: Running,
    path: str,
    parts: list[tuple[str, str | None, bytes]],
    issues: list[tuple[str, str]],
) -> None:
    answer = await ask(running, "POST", f"/needs/{path}", MULTIPART, body=form(*parts))

    found = [(issue["path"], issue["message"]) for issue in answer.json().get("issues", ())]
    assert (answer.status, found) == (400 if issues else 200, issues)
    if not issues:
        names = [[field, name] for field, name, _ in parts if name is not None]
        assert answer.json()["files"] == names


async def test_text_is_no_file_in_json_either(running: Running) -> None:
    head = ("content-type", "application/json")
    body = b'{"title": "Rex", "photo": "rex.jpg"}'
    answer = await ask(running, "POST", "/needs/one", head, body=body)

    assert answer.status == 400
    assert answer.json()["issues"] == [{"in": "body", "path": "photo", "message": "is required"}]


async def test_a_name_may_be_told_in_the_extended_form_alone(running: Running) -> None:
    line = b"Content-Disposition: form-data; name=a; filename*=UTF-8''klein%20%C3%BC.txt"
    body = b"--x\r\n" + line + b"\r\n\r\n\xff\r\n--x--\r\n"
    seen = await post(running, "python", body, MULTIPART)
    assert (seen["body"], seen["first"]) == ({}, "klein ü.txt")


async def test_files_on_disk_are_gone_after_the_call(running: Running) -> None:
    uploads = running.it.project.storage / "uploads"
    body = form(("a", "a.bin", bytes(50_000)))
    assert (await post(running, "python", body, MULTIPART))["files"][0]["disk"] is True
    await running.until(lambda: not uploads.exists() or not list(uploads.iterdir()))


async def test_files_that_a_killed_process_left_are_gone_at_the_next_start(tmp_path: Path) -> None:
    left = tmp_path / ".stepweave" / "uploads" / "left"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"x")
    async with start(tmp_path, FILES):
        assert not left.exists()


async def test_a_form_arrives_in_any_pieces(running: Running) -> None:
    body = form(("t", None, b"1"), ("a", "a.bin", b"\r\n--y\r\n--" * 200))
    head = request("POST", "/python", MULTIPART, body=body)[: -len(body)]
    async with connect(running) as wire:
        await wire.send(head)
        for start_ in range(0, len(body), 7):
            await wire.send(body[start_ : start_ + 7])
        seen = (await wire.answer()).json()
    assert seen["files"][0]["sha"] == hashlib.sha1(b"\r\n--y\r\n--" * 200).hexdigest()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b"", "multipart/form-data; boundary="),
        (400, b"x", "multipart/form-data"),
        (400, b"x", "multipart/form-data; boundary=" + "b" * 300),
        (400, b"no boundary here", MULTIPART[1]),
        (400, form(("a", None, b"1"))[:-5], MULTIPART[1]),
        (400, form(("a", "f", b"1"))[:-20], MULTIPART[1]),
        (400, b"--x\r\n\r\nno header\r\n--x--\r\n", MULTIPART[1]),
        (400, b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--\r\n", MULTIPART[1]),
        (400, b'--x\r\nContent-Disposition: inline; name="a"\r\n\r\n1\r\n--x--', MULTIPART[1]),
        (400, b"--x\r\n" + b"A: b\r\n" * 100 + b"\r\n1\r\n--x--\r\n", MULTIPART[1]),
        (400, b"--x\r\nA: " + b"b" * 10_000 + b"\r\n\r\n1\r\n--x--\r\n", MULTIPART[1]),
        (400, form(("a", None, b"\xff")), MULTIPART[1]),
        (400, form(*[("a", None, b"1")] * 6), MULTIPART[1]),
        (413, form(*[("a", "f", b"1")] * 4), MULTIPART[1]),
        (413, form(("a", "f", bytes(MAX_BODY))), MULTIPART[1]),
        (415, b"{}", "application/json; charset=ebcdic"),
        (400, b"\xff", "text/plain; charset=utf-16"),
    ],
)
async def test_a_bad_body_is_refused_in_our_form(
    running: Running, status: int, body: bytes, kind: str
) -> None:
    answer = await ask(running, "POST", "/python", ("content-type", kind), body=body)
    assert answer.status == status, answer
    assert answer.json()["error"]
    uploads = running.it.project.storage / "uploads"
    await running.until(lambda: not uploads.exists() or not list(uploads.iterdir()))


@pytest.mark.parametrize("cut", range(0, 160, 3))
async def test_a_form_that_is_cut_off_anywhere_is_a_400(running: Running, cut: int) -> None:
    whole = form(("t", None, b"some text"), ("a", "a.txt", b"content"))
    answer = await ask(running, "POST", "/python", MULTIPART, body=whole[:cut] if cut else b"")
    assert answer.status == 400, (cut, answer)
    assert answer.json()["error"]


JSON = ("content-type", "application/json")


@each_language
@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b'{"a":1}')),
        ("x-gzip", gzip.compress(b'{"a"') + gzip.compress(b":1}")),
        ("deflate", zlib.compress(b'{"a":1}')),
        ("Deflate", zlib.compress(b'{"a":1}', wbits=-15)),
        ("identity", b'{"a":1}'),
    ],
)
async def test_packed_bodies_are_unpacked(
    running: Running, language: str, encoding: str, packed: bytes
) -> None:
    seen = await post(running, language, packed, JSON, ("content-encoding", encoding))
    assert (seen["body"], seen["raw"]) == ({"a": 1}, '{"a":1}')


async def test_a_packed_form_with_files_is_unpacked(running: Running) -> None:
    body = gzip.compress(form(("a", "a.txt", b"content")))
    seen = await post(running, "python", body, MULTIPART, ("content-encoding", "gzip"))
    assert seen["files"][0]["size"] == 7


def _bomb(size: int) -> bytes:
    return gzip.compress(bytes(size))


@pytest.mark.parametrize(
    ("status", "encoding", "body"),
    [
        (413, "gzip", _bomb(MAX_BODY + 1)),
        (413, "gzip", _bomb(200 << 20)),
        (413, "gzip", _bomb(MAX_BODY) + _bomb(10)),
        (413, "deflate", zlib.compress(bytes(50 << 20))),
        (400, "gzip", b"plain"),
        (400, "gzip", gzip.compress(b'{"a":1}')[:-4]),
        (400, "deflate", b"\x78\x9c\xff\xff"),
        (415, "br", b"\x0b\x02\x80{}\x03"),
        (415, "gzip, br", b"x"),
        (415, "zstd", b"x"),
    ],
)
async def test_what_cannot_be_unpacked_or_gets_too_large_is_refused(
    running: Running, status: int, encoding: str, body: bytes
) -> None:
    answer = await ask(running, "POST", "/python", JSON, ("content-encoding", encoding), body=body)
    assert answer.status == status, answer
    assert answer.json()["error"]
    assert (answer.get("accept-encoding") == "gzip, deflate") is (status == 415)


@each_language
async def test_a_form_is_seen_as_it_was_sent_too(running: Running, language: str) -> None:
    head = ("content-type", "application/x-www-form-urlencoded")
    seen = await post(running, language, b"b=%20x&a%5B%5D=1&b=y", head)
    assert seen["body"] == {"b": [" x", "y"], "a": ["1"]}
    assert seen["raw"] == "b=%20x&a%5B%5D=1&b=y"


@each_language
@pytest.mark.parametrize(
    ("kind", "body", "seen"),
    [
        ("text/plain; charset=iso-8859-1", b"caf\xe9", "café"),
        ('text/plain; format=flowed; charset="UTF-8"', "é".encode(), "é"),
        ("application/json; charset=latin1", b'"caf\xe9"', "café"),
        ("application/json; charset=utf-16", '{"a":1}'.encode("utf-16"), {"a": 1}),
        ("application/json", b'\xef\xbb\xbf{"a":1}', {"a": 1}),
        ("application/x-www-form-urlencoded; charset=windows-1252", b"a=%80", {"a": "€"}),
    ],
)
async def test_a_charset_is_read_as_it_says(
    running: Running, language: str, kind: str, body: bytes, seen: Any
) -> None:
    assert (await post(running, language, body, ("content-type", kind)))["body"] == seen


@each_language
async def test_cookies_url_and_address_are_there(running: Running, language: str) -> None:
    cookies = 'a=1; b="q q"; c=%C3%BC%20x; d=%ff; a=2; e=x=y; f; =g; __proto__=p'
    answer: Answer = await ask(
        running, "POST", f"/{language}?x=%20&y", ("cookie", cookies), ("cookie", "z=9"), body=b""
    )
    seen = answer.json()
    assert seen["cookies"] == {
        "a": "1", "b": "q q", "c": "ü x", "d": "%ff", "e": "x=y", "__proto__": "p", "z": "9"
    }  # fmt: skip
    assert seen["url"] == f"/{language}?x=%20&y"
    assert seen["ip"] == "127.0.0.1"
    assert (seen["body"], seen["files"], seen["raw"]) == ({}, [], "")


@pytest.mark.parametrize("seed", range(200))
async def test_a_garbled_form_is_read_or_refused(running: Running, seed: int) -> None:
    chance = random.Random(seed)
    body = bytearray(form(("t", None, b"text"), ("a", "a.txt", b"content" * 9), ("u", None, b"")))
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(body))
        kind = chance.randrange(4)
        if kind == 0:
            body[at] = chance.randrange(256)
        elif kind == 1:
            del body[at : at + chance.randint(1, 20)]
        elif kind == 2:
            body[at:at] = chance.choice([b"\r\n", b"--x", b"--x--", b"\0", b'"', b"\xff"])
        else:
            body[at:at] = body[at : at + chance.randint(1, 40)]

    answer = await ask(running, "POST", "/python", MULTIPART, body=bytes(body))

    assert answer.status in (200, 400, 413), (seed, answer)
    assert answer.json()
