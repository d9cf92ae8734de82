"""Every runner of ours passes every scenario, and a bare one in Perl passes what it claims."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from stepweave import files
from tests.protocol.kit_runs import command, play

PERL = Path(__file__).with_name("perl_runner")
PERL_LACKS = {
    *("authorize", "cancel", "concurrent", "console", "middleware", "parse", "reload"),
    "streaming",
}
PERL_WITHOUT = {
    *("batch", "computed", "context", "guarded", "options", "pages", "streams", "timed"),
    *("mishead", "upload", "values", "withdraws", "wrapped"),
}


@pytest.mark.parametrize("name", ["node", "python", "ruby"])
def test_our_runner_passes_everything_and_skips_nothing(name: str) -> None:
    done = play(command(name), files.path("protocol", "fixtures", name))
    assert done.failures == []
    assert done.skips == []


def test_the_python_runner_needs_no_msgpack_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPWEAVE_MSGPACK", "/nowhere")
    interpreter, *rest = command("python")
    done = play([interpreter, "-S", *rest], files.path("protocol", "fixtures", "python"), "[fp]*")
    assert done.failures == []
    assert done.skips == []


def test_the_ruby_runner_needs_no_msgpack_gem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPWEAVE_PURE_MSGPACK", "1")
    done = play(command("ruby"), files.path("protocol", "fixtures", "ruby"), "[fp]*")
    assert done.failures == []
    assert done.skips == []


def test_a_bare_runner_passes_and_skips_what_it_does_not_claim() -> None:
    perl = shutil.which("perl")
    if perl is None and not os.environ.get("CI"):
        pytest.skip("perl was not found; install it: apt-get install perl")
    done = play([perl or "perl", str(PERL / "runner.pl")], PERL / "fixtures")
    assert done.failures == []
    reasons = {skip.split(": ", 1)[1] for skip in done.skips}
    assert reasons == {f"the runner does not claim {name}" for name in PERL_LACKS} | {
        f"there is no fixture {name}" for name in PERL_WITHOUT
    }
