"""The scripts of the folder official, and the browser that they drive."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

__all__ = ["OFFICIAL", "chromium", "packages", "run"]

OFFICIAL = Path(__file__).with_name("official")


def missing(what: str, cure: str) -> None:
    """Skip where a developer has not got something; a build machine must have it."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing: {cure}")
    pytest.skip(f"{what} is missing: {cure}")


def packages() -> None:
    """Skip without the packages of the folder."""
    if not (OFFICIAL / "node_modules").is_dir():
        missing("the official clients", "scripts/setup browser")


def chromium() -> str:
    """The browser."""
    names = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        missing("Chromium", "on Debian apt-get install chromium, or name one with CHROMIUM=…")
    assert found is not None
    return found


async def run(*command: str) -> str:
    """Run a script of the folder; its output, once it ended well."""
    process = await asyncio.create_subprocess_exec(
        "node",
        *command,
        cwd=OFFICIAL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()
