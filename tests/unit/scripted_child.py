"""A runner in a few lines, for faults that no real runner should have; its steps say what to do.

Run as a program: speaks protocol 1 over stdin and stdout, synchronously. A step's handle is the
behaviour: echo, die, heir (dies and leaves its pipes to a child of its own), hang (until
cancelled), slow (until it gets SIGUSR1), stuck (for ever), garbage, wrong_shape, text, twice, loud,
raw (writes the bytes that it is given in hexadecimal, and no answer). A step file that exists holds
its config as JSON; one whose name has "flaky" does not load without it, one whose name has
"patient" loads at a SIGUSR1. With an argument it misbehaves at once: exit, silent, old.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import msgpack

hanging: set[int] = set()


def send(value: Any) -> None:
    body = msgpack.packb(value)
    os.write(1, len(body).to_bytes(4, "big") + body)


def receive() -> Any:
    head = sys.stdin.buffer.read(4)
    if len(head) < 4:
        os._exit(0)
    return msgpack.unpackb(sys.stdin.buffer.read(int.from_bytes(head, "big")))


def hello() -> dict[str, Any]:
    return {
        "protocol": 9 if "old" in sys.argv else 1,
        "runner": {"name": "scripted", "version": "1", "language": "script"},
        "extensions": [".script"],
        "max_frame": 1 << 20,
        "window": 100,
        "capabilities": {"concurrent": True, "cancel": True, "reload": "reload" in sys.argv},
    }


def invoke(request_id: int, params: dict[str, Any]) -> None:
    behaviour = params["step"].split("/")[-1].split(".")[0]
    if behaviour == "echo":
        send([1, request_id, None, params["input"]["data"]])
    elif behaviour == "die":
        print("these are my last words", file=sys.stderr, flush=True)
        os._exit(3)
    elif behaviour == "heir":
        if os.fork():
            os._exit(3)
        signal.pause()
    elif behaviour == "hang":
        hanging.add(request_id)
    elif behaviour == "slow":
        signal.sigwait([signal.SIGUSR1])
        send([1, request_id, None, params["input"]["data"]])
    elif behaviour == "stuck":
        while True:
            time.sleep(60)
    elif behaviour == "garbage":
        os.write(1, b"\x00\x00\x00\x01\xc1")
    elif behaviour == "wrong_shape":
        send({"hello": "world"})
    elif behaviour == "text":
        os.write(1, b"a line that somebody printed\n")
    elif behaviour == "twice":
        send([1, request_id, None, None])
        send([1, request_id, None, None])
    elif behaviour == "raw":
        os.write(1, bytes.fromhex(json.loads(params["input"]["data"][1])))
    elif behaviour == "loud":
        os.write(2, b"x" * 1_000_000 + b"\n")
        send([1, request_id, None, None])


def main() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    if "exit" in sys.argv:
        print("cannot find module zod", file=sys.stderr, flush=True)
        sys.exit(1)
    while True:
        frame = receive()
        if frame[0] == 2 and frame[1] == "cancel":
            if frame[2]["id"] in hanging:
                hanging.discard(frame[2]["id"])
                send([1, frame[2]["id"], {"code": "cancelled", "message": "stopped"}, None])
            continue
        _, request_id, method, params = frame
        if method == "initialize":
            if "silent" not in sys.argv:
                send([1, request_id, None, hello()])
        elif method == "load" and "suicide" in params["step"]:
            os._exit(4)
        elif method == "load" and "endless" in params["step"]:
            while True:
                time.sleep(60)
        elif method == "load" and "unanswered" in params["step"]:
            continue
        elif method == "load" and "patient" in params["step"]:
            signal.sigwait([signal.SIGUSR1])
            send([1, request_id, None, {"config": ["json", b"{}"], "exports": ["handler"]}])
        elif method == "load" and (
            "broken" in params["step"]
            or ("flaky" in params["step"] and not Path(params["path"]).is_file())
        ):
            data = {"file": params["path"], "line": 3}
            send([1, request_id, {"code": "load_failed", "message": "no", "data": data}, None])
        elif method == "load":
            path = Path(params["path"])
            text = path.read_bytes() if path.is_file() else b'{"revision": %d}' % params["revision"]
            config = ["json", text]
            send([1, request_id, None, {"config": config, "exports": ["handler"]}])
        elif method == "invoke":
            invoke(request_id, params)
        else:
            send([1, request_id, None, {}])


main()
