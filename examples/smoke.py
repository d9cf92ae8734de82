"""The examples, started for real: the pet store and its four languages, and the live orders.

Run `make smoke`. It starts `stepweave dev` on a free port with throw-away storage, registers a
pet, orders food for it, waits until the flow has settled and prints the trace as a waterfall.
Then it follows an order of the live orders across the board, as the page does.
Exit status 1, with a sentence that names what is missing, when a hop did not happen.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PET_STORE = Path(__file__).parent / "pet-store"
LIVE_ORDERS = Path(__file__).parent / "live-orders"
WIDTH = 44
"""Columns of the waterfall."""

LIMIT_S = 90.0
"""How long a condition may take before we call it missing."""

CHAIN = (
    ("CreateOrder", "typescript"),
    ("PriceOrder", "python"),
    ("FulfillOrder", "javascript"),
    ("NotifyCustomer", "ruby"),
)
"""The hops of one order, in order, with the language each is written in."""

Span = dict[str, Any]
"""One run of a step. `queued_at`, `started_at` and `ended_at` are Unix ms with a fraction."""


class Missing(Exception):
    """Something did not happen; the message says what."""


class Server:
    """An example as a child process, spoken to over HTTP."""

    def __init__(self, port: int, process: subprocess.Popen[bytes], output: Path) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self.process = process
        self.output = output

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any, str]:
        """Send a request; returns status, body (parsed when it is JSON) and trace id."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                status, raw, fields = reply.status, reply.read(), reply.headers
        except urllib.error.HTTPError as error:
            status, raw, fields = error.code, error.read(), error.headers
        is_json = "json" in (fields.get("content-type") or "")
        answer = json.loads(raw) if is_json else raw.decode()
        return status, answer, fields.get("x-trace-id") or ""

    def wait_for(self, what: str, probe: Callable[[], Any]) -> Any:
        """Ask until the probe gives something; raises Missing when it never does."""
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Missing(f"the server left with exit code {self.process.returncode}")
            try:
                if answer := probe():
                    return answer
            except OSError:
                pass  # not listening yet
            time.sleep(0.05)
        raise Missing(f"{what} did not happen within {LIMIT_S:.0f} s")


@contextmanager
def running(project: Path, **variables: str) -> Iterator[Server]:
    """Start an example and stop it again, gently."""
    if not (project / "node_modules").is_dir():
        subprocess.run(
            ["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=project, check=True
        )
    build = ["npm", "run", "build", "--if-present", "--silent"]
    subprocess.run(build, cwd=project, check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    scratch = Path(tempfile.mkdtemp(prefix=f"{project.name}-"))
    output = scratch / "server.log"
    command = [sys.executable, "-m", "stepweave", "dev", str(project), "--port", str(port)]
    environment = {**os.environ, **variables, "STEPWEAVE_STORAGE_PATH": str(scratch / "data")}
    with output.open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        yield Server(port, process, output)
    except Missing:
        print(output.read_text(errors="replace")[-6000:], file=sys.stderr)
        raise
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(scratch, ignore_errors=True)


def place_order(server: Server) -> tuple[str, str]:
    """Register a pet and order for it; returns the order's id and its trace id."""
    status, pet, _ = server.call("POST", "/pets", {"name": "Mia", "species": "cat"})
    if status != 201:
        raise Missing(f"POST /pets answered {status}: {pet}")
    wanted = {
        "petId": pet["id"],
        "product": "tuna-feast",
        "quantity": 12,
        "email": "ann@example.com",
    }
    status, order, trace_id = server.call("POST", "/orders", wanted)
    if status != 201:
        raise Missing(f"POST /orders answered {status}: {order}")
    if not trace_id:
        raise Missing("POST /orders was answered without the header x-trace-id")
    return order["id"], trace_id


def settled_trace(server: Server, trace_id: str) -> list[Span]:
    """The spans of a trace once its last hop has ended; raises Missing with the hops that lack."""
    spans: list[Span] = []

    def done() -> bool:
        nonlocal spans
        status, trace, _ = server.call("GET", f"/_stepweave/api/traces/{trace_id}")
        spans = trace["spans"] if status == 200 else []
        ended = {span["name"] for span in spans if span["ended_at"]}
        return ended.issuperset(name for name, _ in CHAIN)

    try:
        server.wait_for("the whole chain", done)
    except Missing as missing:
        seen = ", ".join(f"{span['name']} ({span['status']})" for span in spans) or "nothing"
        raise Missing(f"{missing}; the trace shows {seen}") from None
    return spans


def check(spans: list[Span]) -> None:
    """Each hop is there, in its language, ended well, and caused by the one before."""
    by_name = {span["name"]: span for span in spans}
    for name, language in CHAIN:
        span = by_name[name]
        if span["language"] != language:
            raise Missing(f"{name} ran in {span['language']}, not in {language}")
        if span["status"] != "ok":
            raise Missing(f"{name} ended as {span['status']}")
    for (cause, _), (effect, _) in zip(CHAIN, CHAIN[1:], strict=False):
        if by_name[effect]["parent_id"] != by_name[cause]["span_id"]:
            raise Missing(f"{effect} is not linked to {cause}, which caused it")


def waterfall(spans: list[Span]) -> str:
    """The spans as a tree beside a time line: `·` waited in the queue, `█` ran."""
    start = min(span["queued_at"] or span["started_at"] for span in spans)
    whole = max(span["ended_at"] for span in spans) - start or 1
    children: dict[str | None, list[Span]] = {}
    known = {span["span_id"] for span in spans}
    for span in sorted(spans, key=lambda span: span["started_at"]):
        parent = span["parent_id"] if span["parent_id"] in known else None
        children.setdefault(parent, []).append(span)
    lines: list[str] = []

    def column(at: float) -> int:
        return min(WIDTH - 1, int((at - start) * WIDTH / whole))

    def draw(span: Span, depth: int) -> None:
        queued = column(span["queued_at"] or span["started_at"])
        begin, end = column(span["started_at"]), column(span["ended_at"])
        bar = " " * queued + "·" * (begin - queued) + "█" * (end - begin + 1)
        label = "  " * depth + ("└ " if depth else "") + span["name"]
        took = span["ended_at"] - span["started_at"]
        lines.append(f"{label:<26}{span['language']:<12}{bar:<{WIDTH}} {took:7.2f} ms")
        for child in children.get(span["span_id"], []):
            draw(child, depth + 1)

    for root in children.get(None, []):
        draw(root, 0)
    lines.append(f"{'':<38}{'from the request to the last hop:':<{WIDTH}} {whole:7.2f} ms")
    return "\n".join(lines)


def follow_order(server: Server) -> list[str]:
    """Place an order and follow it over Server-Sent Events; the places it was in on the board."""
    url = f"{server.base}/_stepweave/streams/orders/today"
    with urllib.request.urlopen(url, timeout=LIMIT_S) as events:
        status, order, _ = server.call("POST", "/orders", {"dish": "Ramen", "customer": "Ann"})
        if status != 201:
            raise Missing(f"POST /orders answered {status}: {order}")
        places: list[str] = []
        for line in events:
            if not line.startswith(b"data: "):
                continue
            event = json.loads(line[6:])["event"]
            if event["type"] in ("create", "update") and event["data"]["id"] == order["id"]:
                places.append(event["data"]["status"])
            elif event["type"] == "event" and event["event"]["type"] == "delivered":
                return places
    raise Missing(f"the order was never delivered; it was {places}")


def pet_store() -> None:
    """An order through four languages."""
    with running(PET_STORE) as server:
        server.wait_for("the start", lambda: server.call("GET", "/pets")[0] == 200)
        order_id, trace_id = place_order(server)
        spans = settled_trace(server, trace_id)
        print(f"trace {trace_id}\n\n{waterfall(spans)}\n")
        check(spans)
        status, receipt, _ = server.call("GET", f"/orders/{order_id}/receipt")
        if status != 200:
            raise Missing(f"GET /orders/{order_id}/receipt answered {status}: {receipt}")
        print(receipt)
    print(f"smoke: one order passed through {len(CHAIN)} languages")


def live_orders() -> None:
    """An order across the board."""
    with running(LIVE_ORDERS, LIVE_ORDERS_PACE="0.05") as server:
        server.wait_for("the page", lambda: server.call("GET", "/")[0] == 200)
        places = follow_order(server)
        if places != ["placed", "cooking", "riding", "delivered"]:
            raise Missing(f"the order moved across the board as {places}")
    print(f"smoke: one order was seen live: {', '.join(places)}")


def main() -> int:
    """Run the stories; 0 when every hop happened."""
    try:
        pet_store()
        live_orders()
    except Missing as missing:
        print(f"smoke: {missing}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
