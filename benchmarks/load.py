"""HTTP load from a process of its own: wrk where it is installed, else our own client."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from benchmarks.processes import NotAvailable, run_json

__all__ = ["post", "tool"]

_SCRIPT = Path(__file__).parent / "wrk.lua"


def tool() -> str:
    """Which generator is used."""
    return "wrk" if shutil.which("wrk") else "the built-in client"


def post(url: str, body: str, *, connections: int, seconds: float) -> dict[str, float]:
    """Post a JSON body over keep-alive connections, closed loop.

    Returns the number of requests, requests per second, p50 and p99 in µs. Raises NotAvailable
    when answers were errors, since such a figure would flatter.
    """
    if shutil.which("wrk"):
        raw = _wrk(url, body, connections, seconds)
    else:
        raw = run_json("benchmarks.client", url, body, str(connections), str(seconds))
    if raw["failed"]:
        raise NotAvailable(f"{url}: {raw['failed']} of {raw['requests']} requests failed")
    return {
        "requests": raw["requests"],
        "req/s": raw["requests"] / raw["seconds"],
        "p50 µs": raw["p50_us"],
        "p99 µs": raw["p99_us"],
    }


def _wrk(url: str, body: str, connections: int, seconds: float) -> dict[str, float]:
    # wrk takes whole seconds only.
    duration = f"{max(1, round(seconds))}s"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{duration}", "-s", str(_SCRIPT), url]
    done = subprocess.run([*command, "--", body], capture_output=True, text=True)
    if done.returncode != 0:
        raise NotAvailable(f"{url}: wrk failed: …{(done.stdout + done.stderr).strip()[-500:]}")
    figures: dict[str, float] = json.loads(done.stderr.splitlines()[-1])
    return figures
