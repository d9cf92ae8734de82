"""Streams over TLS: the same protocol as wss."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme
from websockets.asyncio.client import connect

from tests.flows.harness import start
from tests.streams.client import Socket
from tests.streams.project import FILES

pytestmark = pytest.mark.anyio


async def test_a_project_with_a_certificate_is_followed_over_wss(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    (tmp_path / "key.pem").write_bytes(issued.private_key_pem.bytes())
    chain = b"".join(part.bytes() for part in issued.cert_chain_pems)
    (tmp_path / "cert.pem").write_bytes(chain)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    settings = {"STEPWEAVE_SERVER_TLS_CERT": "cert.pem", "STEPWEAVE_SERVER_TLS_KEY": "key.pem"}
    async with start(tmp_path, FILES, **settings) as running:
        url = f"wss://localhost:{running.http.base_url.port}/live"
        async with connect(url, ssl=trust, proxy=None) as connection:
            socket = Socket(connection)
            await socket.join("board", "g")
            assert await socket.event() == {"type": "sync", "data": []}
            for _ in range(30):
                await socket.say("?")
            assert (await socket.closed())[0] == 1008
        async with connect(url, ssl=trust, proxy=None) as connection:
            socket = Socket(connection)
            await connection.send(b"x" * 80_000)
            assert (await socket.closed())[0] == 1009
        async with connect(url, ssl=trust, proxy=None) as connection:
            running.it.stop()
            assert (await Socket(connection).closed())[0] == 1001
