"""The kit's own reader of frames, strict where the orchestrator's is forgiving (SPEC 2)."""

from __future__ import annotations

import json
from typing import Any

import msgpack

from stepweave.rpc import frame

__all__ = ["Broken", "Reader", "decode_payload", "describe", "pack", "show"]

pack = frame.pack


class Broken(Exception):
    """What came out of the runner is not a frame; the message shows it."""


class Reader:
    """Turns chunks of bytes into frame values and raises Broken at the first that is none."""

    def __init__(self, max_frame: int) -> None:
        self.max_frame = max_frame
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Any]:
        """The values that `data` completes, in order."""
        self._buffer += data
        values = []
        while len(self._buffer) >= 4:
            size = int.from_bytes(self._buffer[:4], "big")
            if size > self.max_frame:
                raise Broken(
                    f"the runner announced a frame of {size} bytes, "
                    f"over the limit of {self.max_frame}{self._as_text()}"
                )
            if len(self._buffer) < 4 + size:
                break
            body = bytes(self._buffer[4 : 4 + size])
            del self._buffer[: 4 + size]
            values.append(self._value(body))
        return values

    def _value(self, body: bytes) -> Any:
        try:
            return msgpack.unpackb(body)
        except (ValueError, msgpack.exceptions.UnpackException) as error:
            raise Broken(
                f"a frame of the runner is not one msgpack value ({error}): {body[:60].hex(' ')}"
            ) from error

    def _as_text(self) -> str:
        """The bytes as text if they look like it: then something printed past the guard."""
        start = bytes(self._buffer[:60])
        if (start.isascii() and start.decode().isprintable()) or b"\n" in start[:40]:
            text = start.decode(errors="replace")
            return f"; the bytes are the text {text!r}: did something print to the pipe?"
        return f": {start.hex(' ')}"


def decode_payload(payload: Any) -> tuple[str, Any]:
    """The format and value of a payload. Raises ValueError with the reason if it is none."""
    if not (isinstance(payload, list | tuple) and len(payload) == 2):
        raise ValueError(f"a payload is [format, bytes], not {show(payload)}")
    kind, data = payload
    if not isinstance(kind, str) or not isinstance(data, bytes):
        raise ValueError(f"a payload is a str and a bin, not {show(payload)}")
    if kind == "json":
        return kind, json.loads(data.decode(), parse_constant=_refuse)
    if kind == "msgpack":
        return kind, msgpack.unpackb(data)
    if kind == "text":
        return kind, data.decode()
    if kind == "bytes":
        return kind, data
    raise ValueError(f"a payload's format is json, msgpack, text or bytes, not {kind!r}")


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def describe(value: Any) -> Any:
    """The value with payloads opened and bytes as hex, ready for JSON."""
    if isinstance(value, list | tuple):
        if len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], bytes):
            try:
                kind, decoded = decode_payload(value)
            except ValueError:
                return [value[0], describe(value[1])]
            return {kind: describe(decoded)}
        return [describe(item) for item in value]
    if isinstance(value, dict):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return {"hex": value[:64].hex() + (f"… {len(value)} bytes" if len(value) > 64 else "")}
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    return repr(value)


def show(value: Any, limit: int = 400) -> str:
    """The value as one line of JSON, shortened."""
    text = json.dumps(describe(value), ensure_ascii=False)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
