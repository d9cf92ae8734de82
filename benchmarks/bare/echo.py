"""A bare echo child: answers each request frame on stdin with its own payload on stdout.

Same framing (a length, then one msgpack value) and same codec as the Python runner, nothing else.
"""

from __future__ import annotations

import os
import struct

import msgpack

PREFIX = struct.Struct(">I")


def main() -> None:
    buffer = b""
    while chunk := os.read(0, 1 << 18):
        buffer += chunk
        at = 0
        answers = []
        while len(buffer) - at >= 4:
            (size,) = PREFIX.unpack_from(buffer, at)
            if len(buffer) - at - 4 < size:
                break
            _, request_id, _, params = msgpack.unpackb(buffer[at + 4 : at + 4 + size])
            body = msgpack.packb((1, request_id, None, params["input"]["data"]))
            answers.append(PREFIX.pack(len(body)))
            answers.append(body)
            at += 4 + size
        buffer = buffer[at:]
        left = memoryview(b"".join(answers))
        while left:
            left = left[os.write(1, left) :]


if __name__ == "__main__":
    main()
