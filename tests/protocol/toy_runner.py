"""A runner of a few lines that misbehaves on request, to test the kit with.

`python toy_runner.py HOW`, HOW being one of the words below, or "well".
"""

from __future__ import annotations

import os
import sys
from typing import Any

import msgpack

HELLO = {
    "protocol": 1,
    "runner": {"name": "toy", "version": "1", "language": "toy", "language_version": "1"},
    "extensions": [".toy"],
    "max_frame": 65536,
    "window": 1,
    "capabilities": {},
}


def send(value: Any) -> None:
    body = msgpack.packb(value)
    os.write(1, len(body).to_bytes(4, "big") + body)


def receive() -> Any:
    head = os.read(0, 4)
    if len(head) < 4:
        sys.exit(0)
    size, body = int.from_bytes(head, "big"), b""
    while len(body) < size:
        body += os.read(0, size - len(body))
    return msgpack.unpackb(body)


def serve(how: str) -> None:
    if how == "dies":
        sys.exit("no such module: zod")
    if how == "babbles":
        os.write(1, b"hello, world\n")
    while True:
        _, number, method, _ = receive()
        if method == "initialize":
            if how == "says little":
                send([1, number, None, {"protocol": 1}])
                continue
            send([1, number, None, HELLO])
        elif how == "dies later":
            sys.exit("out of ideas")
        elif how == "is silent":
            continue
        elif how == "answers twice":
            send([1, number, None, {}])
            send([1, number, None, {}])
        elif how == "logs much":
            send([2, "log", {"level": "info", "message": "one", "at": 1}])
            send([2, "log", {"level": "info", "message": "two", "at": 2}])
            send([1, number, None, {}])
        elif how == "breaks shape":
            send([1, number, None])
        else:
            send([1, number, None, {}])


if __name__ == "__main__":
    serve(sys.argv[1])
