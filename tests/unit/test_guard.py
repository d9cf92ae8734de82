"""The guard of the internal API: who is let in, from where, and with what."""

from __future__ import annotations

import pytest

from stepweave.http.guard import Guard

DEV = Guard(hosts=("Dev.Example", "0.0.0.0"), token=None, open=True)
CLOSED = Guard(token=None, open=False)
TOKEN = Guard(token="s3cret", open=False)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:5173",
        "LOCALHOST:1",
        "127.0.0.1:5173",
        "[::1]",
        "[::1]:5173",
        "dev.example",
        "DEV.example:80",
        "0.0.0.0:5173",
    ],
)
def test_this_machine_is_let_in_under_its_names(host: str) -> None:
    assert DEV.refusal({"host": host}) is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "localhost.evil.example",
        "evil.example:5173",
        "localhost@evil.example",
        "evil.example\\@localhost",
        "evil.example#localhost",
        "localhost/evil",
        "localhost:port",
        "127.0.0.1.evil.example",
        "127.0.0.1%00.evil.example",
        "[::1",
        "[::2]",
        "::1",
        "192.168.0.7",
    ],
)
def test_a_name_that_was_pointed_here_is_refused(host: str) -> None:
    status, reason = DEV.refusal({"host": host}) or (0, "")

    assert status == 403
    assert f'"{host}"' in reason


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:5173", "http://localhost:5173"),
        ("LOCALHOST", "https://localhost"),
        ("[::1]:5173", "http://[::1]:5173"),
        ("0.0.0.0:5173", "http://0.0.0.0:5173"),
        ("localhost:5173", "https://dev.example"),
        ("dev.example", "https://Dev.example:8443"),
    ],
)
def test_its_own_pages_and_those_of_the_settings_are_let_in(host: str, origin: str) -> None:
    assert DEV.refusal({"host": host, "origin": origin}) is None


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://evil.example",
        "http://localhost:3000",
        "http://127.0.0.1",
        "http://0.0.0.0",
        "http://localhost.evil.example",
        "http://localhost@evil.example",
        "http://evil.example/localhost",
        "http://localhost/",
        "file://localhost",
        "chrome-extension://localhost",
        "localhost",
        "://localhost",
    ],
)
def test_a_page_from_elsewhere_is_refused(origin: str) -> None:
    status, reason = DEV.refusal({"host": "localhost", "origin": origin}) or (0, "")

    assert status == 403
    assert "may not use this API" in reason


@pytest.mark.parametrize("headers", [{"host": "localhost"}, {"authorization": "Bearer "}, {}])
def test_production_without_a_token_is_closed(headers: dict[str, str]) -> None:
    assert CLOSED.refusal(headers) == (404, "Not found")


@pytest.mark.parametrize("given", ["Bearer s3cret", "bearer s3cret", "BEARER  s3cret"])
def test_the_token_lets_in_from_anywhere(given: str) -> None:
    headers = {"authorization": given, "host": "evil.example", "origin": "http://evil.example"}

    assert TOKEN.refusal(headers) is None


@pytest.mark.parametrize(
    "given",
    [
        "",
        "s3cret",
        "Bearer",
        "Bearer s3cre",
        "Bearer s3cret0",
        "Bearer S3CRET",
        "Basic s3cret",
        "Bearer s3crét",
        "Bearers3cret",
    ],
)
def test_anything_but_the_token_is_refused(given: str) -> None:
    status, reason = TOKEN.refusal({"authorization": given, "host": "localhost"}) or (0, "")

    assert status == 401
    assert "s3cret" not in reason


def test_a_token_is_needed_in_development_too_once_it_is_set() -> None:
    guard = Guard(token="ü", open=True)

    assert guard.refusal({"host": "localhost"}) is not None
    assert guard.refusal({"authorization": "Bearer ü".encode().decode("latin-1")}) is None


@pytest.mark.parametrize("token", [None, "other"])
def test_the_key_of_this_run_opens_what_is_closed(token: str | None) -> None:
    guard = Guard(token=token, open=False, key="of-this-run")
    assert guard.refusal({"authorization": "Bearer of-this-run"}) is None
    assert guard.refusal({"authorization": "Bearer of-another"}) is not None
    assert guard.refusal({"authorization": "Basic of-this-run"}) is not None
    assert guard.refusal({}) is not None
    assert Guard(token=None, open=False).refusal({"authorization": "Bearer "}) is not None
