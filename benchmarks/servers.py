"""The HTTP servers that are compared: the bare ones and a Stepweave project."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import ROOT, NotAvailable, free_port, server

__all__ = ["Server", "bare", "node_packages", "project", "start", "stepweave"]

BARE = ROOT / "benchmarks" / "bare"
READY = "/_stepweave/health/ready"


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: where it answers and its process id."""

    base: str
    pid: int


@contextlib.contextmanager
def bare(name: str) -> Iterator[Server]:
    """Run a bare server: starlette, express, fastify or rack. Raises NotAvailable."""
    port = free_port()
    argv = {"starlette": _starlette, "express": _node, "fastify": _node, "rack": _rack}[name]
    with server(argv(name, port), port) as process:
        yield Server(f"http://127.0.0.1:{port}", process.pid)


@contextlib.contextmanager
def stepweave(steps: Mapping[str, str]) -> Iterator[Server]:
    """Run `stepweave start` on a throw-away project of these files (path below steps/ to text)."""
    with project(steps) as root, start(root) as running:
        yield running


@contextlib.contextmanager
def project(steps: Mapping[str, str]) -> Iterator[Path]:
    """A throw-away project of these files."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        root = Path(folder)
        (root / "steps").mkdir()
        for name, text in steps.items():
            (root / "steps" / name).write_text(text)
        yield root


@contextlib.contextmanager
def start(root: Path, env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Run `stepweave start` on a project until the block ends; it is ready when that begins."""
    port = free_port()
    argv = [sys.executable, "-m", "stepweave", "start", str(root), "--port", str(port)]
    with server(argv, port, cwd=root, env=env, ready=READY) as process:
        yield Server(f"http://127.0.0.1:{port}", process.pid)


def node_packages() -> Path:
    """The folder of the bare Node programs, its packages installed. Raises NotAvailable."""
    folder = BARE / "node"
    if not shutil.which("npm"):
        raise NotAvailable("npm is not installed")
    if not (folder / "node_modules" / "msgpackr").is_dir():
        command = ["npm", "ci", "--omit=optional", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode != 0:
            raise NotAvailable(f"npm ci in {folder} failed: …{done.stderr.strip()[-500:]}")
    return folder


def _starlette(_name: str, port: int) -> list[str]:
    options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "error"]
    module = "benchmarks.bare.starlette_app:app"
    return [sys.executable, "-m", "uvicorn", module, "--port", str(port), *options]


def _node(name: str, port: int) -> list[str]:
    return ["node", str(node_packages() / f"{name}.mjs"), str(port)]


def _rack(_name: str, port: int) -> list[str]:
    probe = ["ruby", "-e", 'require "rack"; require "puma"']
    try:
        subprocess.run(probe, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotAvailable("the gems rack and puma are not installed") from error
    options = ["--quiet", "--threads", "5:5", "--environment", "production"]
    bind = ["--bind", f"tcp://127.0.0.1:{port}"]
    return [shutil.which("puma") or "puma", *options, *bind, str(BARE / "rack.ru")]
