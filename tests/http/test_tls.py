"""HTTPS with a certificate of the project, and requests that come through proxies."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import httpx
import pytest
import trustme

from stepweave import cli, serving
from stepweave.cli import presence
from stepweave.project import SettingsError
from stepweave.project.settings import Server
from tests.flows.harness import LIMIT_S, Running, start
from tests.http.wire import ask

FILES = {
    "steps/who.step.py": """
        config = {"type": "api", "name": "Who", "method": "GET", "path": "/who"}

        async def handler(req, context):
            return {"status": 200, "body": req.headers}
        """
}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def certify(root: Path, authority: trustme.CA, name: str = "localhost") -> None:
    """Put tls/cert.pem and tls/key.pem into a project."""
    issued = authority.issue_cert(name)
    (root / "tls").mkdir(parents=True)
    (root / "tls" / "key.pem").write_bytes(issued.private_key_pem.bytes())
    chain = b"".join(part.bytes() for part in issued.cert_chain_pems)
    (root / "tls" / "cert.pem").write_bytes(chain)


def tls(cert: str = "tls/cert.pem", key: str | None = "tls/key.pem") -> Server:
    return Server(tls_cert=cert, tls_key=key)


@pytest.mark.anyio
async def test_a_project_with_a_certificate_speaks_https(
    tmp_path: Path, authority: trustme.CA
) -> None:
    certify(tmp_path, authority)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    async with start(
        tmp_path,
        FILES,
        STEPWEAVE_SERVER_TLS_CERT="tls/cert.pem",
        STEPWEAVE_SERVER_TLS_KEY="tls/key.pem",
    ) as it:
        port = it.http.base_url.port
        async with httpx.AsyncClient(verify=trust, timeout=LIMIT_S) as client:
            for _ in range(3):
                answer = await client.get(f"https://localhost:{port}/who")
                assert answer.status_code == 200
        with pytest.raises(httpx.HTTPError):
            await it.http.get("/who")
        context = ssl.create_default_context()
        async with httpx.AsyncClient(verify=context, timeout=LIMIT_S) as stranger:
            with pytest.raises(httpx.ConnectError):
                await stranger.get(f"https://localhost:{port}/who")
        assert [r.message for r in it.records if r.level == "error"] == []


@pytest.mark.anyio
async def test_the_commands_trust_the_projects_own_certificate(
    tmp_path: Path, authority: trustme.CA, capsys: pytest.CaptureFixture[str]
) -> None:
    certify(tmp_path, authority, "shop.example")
    toml = """
        [server]
        token = "s3cret"
        tls_cert = "tls/cert.pem"
        tls_key = "tls/key.pem"
        """
    async with start(tmp_path, {**FILES, "stepweave.toml": toml}) as it:
        url = f"https://localhost:{it.http.base_url.port}"
        presence.announce(it.it.project.storage, url, it.it.key)
        command = ["state", "set", "greetings", "ann", '"hello"', "--dir", str(tmp_path)]
        assert await asyncio.to_thread(cli.main, command) == 0, capsys.readouterr().err
        assert await it.state("greetings") == {"ann": "hello"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (tls(cert="nowhere.pem"), "tls_cert: there is no file .*nowhere.pem"),
        (tls(key="nowhere.pem"), "tls_key: there is no file .*nowhere.pem"),
        (tls(key="tls/cert.pem"), "cannot be used together"),
        (tls(cert="tls/noise.pem"), "cannot be used together"),
        (tls(key="tls/other.pem"), "cannot be used together"),
        (tls(key=None), "cannot be used together"),
        (Server(tls_key="tls/key.pem"), "tls_key needs tls_cert"),
        (Server(trusted_proxies=("proxy.example",)), "trusted_proxies has"),
    ],
)
def test_what_cannot_be_used_stops_the_start(
    tmp_path: Path, authority: trustme.CA, given: Server, says: str
) -> None:
    certify(tmp_path, authority)
    (tmp_path / "tls" / "noise.pem").write_text("nonsense")
    other = authority.issue_cert("other.example").private_key_pem.bytes()
    (tmp_path / "tls" / "other.pem").write_bytes(other)

    with pytest.raises(SettingsError, match=says):
        serving.make(None, given, tmp_path, sockets=None, grace_s=1)


async def seen(running: Running) -> str:
    """The scheme and the client's address that the application saw last."""
    app = running.it.app
    scopes = []
    serve = app.__class__.__call__

    async def noting(self: object, scope: object, receive: object, send: object) -> None:
        scopes.append(scope)
        await serve(app, scope, receive, send)  # type: ignore[arg-type]

    patch = pytest.MonkeyPatch()
    with patch.context() as patched:
        patched.setattr(app.__class__, "__call__", noting)
        head = (("x-forwarded-for", "203.0.113.7, 10.0.0.1"), ("x-forwarded-proto", "https"))
        # What no step answers always comes this way.
        assert (await ask(running, "GET", "/nobody", *head)).status == 404
    (scope,) = scopes
    return f"{scope['scheme']} {scope['client'][0]}"  # type: ignore[index]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("trusted", "known"),
    [
        ("127.0.0.1,10.0.0.0/8", "https 203.0.113.7"),
        ("127.0.0.1", "https 10.0.0.1"),
        ("10.0.0.0/8", "http 127.0.0.1"),
        ("", "http 127.0.0.1"),
    ],
)
async def test_only_trusted_proxies_say_who_the_client_is(
    tmp_path: Path, trusted: str, known: str
) -> None:
    async with start(tmp_path, FILES, STEPWEAVE_SERVER_TRUSTED_PROXIES=trusted) as it:
        assert await seen(it) == known
