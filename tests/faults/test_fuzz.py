"""Streams of frames that are cut, garbled and mixed up: an error or nothing, never a hang."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stepweave.errors import ProtocolError
from stepweave.rpc.frame import Decoder, pack
from stepweave.rpc.peer import Peer
from tests.faults.test_frames import PROJECT, step
from tests.flows.harness import start

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**33) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
MAPS = st.dictionaries(st.sampled_from(["message", "code", "step", "x"]), VALUES, max_size=3)
FRAMES = st.one_of(
    st.tuples(st.just(0), st.integers(0, 5), st.sampled_from(["serve", "none"]), MAPS),
    st.tuples(st.just(1), st.integers(0, 3), st.none() | MAPS, VALUES),
    st.tuples(st.just(2), st.sampled_from(["log", "none"]), MAPS),
    VALUES,
)


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Valid frames with some of their bytes changed, taken out, doubled or put in, in chunks."""
    data = bytearray(b"".join(map(pack, draw(st.lists(FRAMES, min_size=1, max_size=6)))))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        length = draw(st.integers(1, 6))
        match draw(st.sampled_from(["change", "remove", "double", "insert", "end"])):
            case "change":
                data[at : at + length] = draw(st.binary(min_size=1, max_size=length))
            case "remove":
                del data[at : at + length]
            case "double":
                data[at:at] = data[at : at + length]
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=length))
            case "end":
                del data[at:]
    chunks = []
    while data:
        size = draw(st.integers(1, 40))
        chunks.append(bytes(data[:size]))
        del data[:size]
    return chunks


@given(streams())
def test_a_decoder_takes_any_stream_without_an_exception(chunks: list[bytes]) -> None:
    decoder = Decoder(max_frame=200)
    for chunk in chunks:
        decoder.feed(chunk)


@given(streams())
@example([pack((1, [], None, None))])
@example([pack((0, 1, "serve", {"step": {}}))])
def test_a_peer_answers_each_request_once_whatever_comes_back(chunks: list[bytes]) -> None:
    asyncio.run(_feed(chunks))


async def _feed(chunks: list[bytes]) -> None:
    served: list[Any] = []
    answers: list[int] = []
    peer = Peer(
        lambda data: None,
        {"serve": lambda peer, id, params: served.append(params)},
        {"log": lambda peer, params: served.append(params)},
        max_frame=200,
    )
    for number in range(3):
        peer.request("invoke", {}, lambda error, result, number=number: answers.append(number))
    try:
        for chunk in chunks:
            peer.feed(chunk)
    except ProtocolError as error:
        peer.close(error)
    peer.close(ProtocolError("the end", ""))
    await asyncio.sleep(0)
    assert sorted(answers) == [0, 1, 2]
    assert all(type(params) is dict for params in served)


def garbled(dice: random.Random) -> bytes:
    """An answer, a request, a log record or noise as a broken runner may write them."""
    frames = [
        (1, dice.randrange(40), None, {"x": 1}),
        (0, 1, "state.get", {"step": "?"}),
        (2, "log", {"level": "info", "message": "hm"}),
        (0, dice.randrange(9), "emit", dice.choice([{}, {"topic": 5}, {"call": -1, "topic": "t"}])),
        dice.randbytes(dice.randrange(1, 60)),
    ]
    data = bytearray(b"".join(pack(frame) for frame in dice.sample(frames, 3)))
    for _ in range(dice.randrange(1, 4)):
        at = dice.randrange(len(data))
        data[at : at + dice.randrange(3)] = dice.randbytes(dice.randrange(3))
    return bytes(data[: dice.randrange(1, len(data) + 1)])


@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(3))
async def test_a_runner_that_writes_garbled_frames_costs_nobody_an_event(
    tmp_path: Path, seed: int
) -> None:
    """Half a frame swallows what comes after it, and only the deadline of a call shows that."""
    dice = random.Random(seed)
    echo = step("echo").replace('"maxRetries": 1', '"maxRetries": 5')
    project = {**PROJECT, "steps/raw.step.script": step("raw"), "steps/echo.step.script": echo}
    limits = {
        "STEPWEAVE_EVENTS_TIMEOUT_S": "0.5",
        "STEPWEAVE_EVENTS_BACKOFF_BASE_S": "0.1",
        "STEPWEAVE_RUNNERS_SCRIPT_CANCEL_GRACE_S": "0.2",
    }
    async with start(tmp_path, project, **limits) as running:
        for turn in range(4):
            await running.emit("do.raw", garbled(dice).hex())
            for number in range(5):
                await running.emit("do.echo", number)
                await running.emit("do.fine", [turn, number])
            await running.settled()
        dead = [letter.topic for letter in await running.dead()]
        assert set(dead) == {"do.raw"}, running.messages[-20:]
        assert running.it.bus.statistics()["delivered"] + len(dead) == 44
        assert len(await running.state("fine")) == 20
