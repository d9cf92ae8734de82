"""Groups that wait for an event of theirs that failed for good."""

from __future__ import annotations

from typing import Any

import pytest

from stepweave.payload import decode, encode
from tests.unit.engine_kit import OK, Rig, failed, step, until
from tests.unit.queue_kit import Gate, Start

pytestmark = pytest.mark.anyio


def fifo(name: str = "A", **more: Any) -> Any:
    return step(name, type="fifo", max_retries=0, **more)


async def poison(rig: Rig) -> None:
    """Three events of a group, of which the first fails for good, and one of another group."""
    rig.handler("A", lambda call: failed() if decode(call.input["data"]) == "bad" else OK)
    for data, group in (("bad", "g"), (1, "g"), (2, "g"), ("other", "h")):
        await rig.publish(data=data, group=group)
    await until(lambda: rig.bus.statistics()["buried"] == 1 and "other" in rig.seen("A"))
    await rig.store.apply(())


async def test_a_poisoned_group_waits_and_is_visible_while_others_go_on(start: Start) -> None:
    rig = start(fifo())
    await poison(rig)
    assert rig.seen("A") == ["bad", "other"]
    assert rig.bus.statistics()["subscriptions"]["A"]["held"] == {"g": 2}
    (letter,) = await rig.store.dead()
    assert letter.holds
    assert any("its group g waits" in text for _level, text in rig.notices)


async def test_a_discarded_letter_lets_its_group_go_on(start: Start) -> None:
    rig = start(fifo())
    await poison(rig)
    (letter,) = await rig.store.dead()
    answers: list[Any] = []
    rig.bus.discard(letter.id, lambda error, found: answers.append(found))
    await rig.settled()
    assert rig.seen("A") == ["bad", "other", 1, 2]
    rig.bus.discard(letter.id, lambda error, found: answers.append(found))
    await rig.store.apply(())
    assert answers == [True, False]


async def test_a_letter_delivered_anew_goes_ahead_of_its_group(start: Start) -> None:
    rig = start(fifo())
    await poison(rig)
    (letter,) = await rig.store.dead()
    rig.bus.redrive(letter.id, lambda error, event: None, (encode("mended"),))
    await rig.settled()
    assert rig.seen("A") == ["bad", "other", "mended", 1, 2]


async def test_a_held_group_waits_over_a_restart_and_keeps_its_order(start: Start) -> None:
    rig = start(fifo())
    await poison(rig)
    await rig.close()

    again = start(fifo())
    assert again.bus.recover() == 2
    await again.publish(data=3, group="g")
    assert again.bus.statistics()["subscriptions"]["A"]["held"] == {"g": 3}
    assert again.seen("A") == []
    (letter,) = await again.store.dead()
    again.bus.redrive(letter.id, lambda error, event: None, (encode("mended"),))
    await again.settled()
    assert again.seen("A") == ["mended", 1, 2, 3]


async def test_the_place_of_a_letter_delivered_anew_survives_a_restart(start: Start) -> None:
    rig = start(fifo())
    await poison(rig)
    (letter,) = await rig.store.dead()
    Gate(rig, "A")
    rig.bus.redrive(letter.id, lambda error, event: None, (encode("mended"),))
    await until(lambda: "mended" in rig.seen("A"))
    await rig.close()

    again = start(fifo())
    again.bus.recover()
    await again.settled()
    assert again.seen("A") == ["mended", 1, 2]


async def test_a_group_goes_on_where_the_config_says_so(start: Start) -> None:
    rig = start(fifo(on_dead_letter="continue"))
    await poison(rig)
    await rig.settled()
    assert [data for data in rig.seen("A") if data != "other"] == ["bad", 1, 2]
    assert not (await rig.store.dead())[0].holds


async def test_an_edit_of_the_config_lets_a_held_group_go_on(start: Start) -> None:
    rig = start(fifo())
    await poison(rig)
    rig.bus.subscribe([fifo(on_dead_letter="continue")])
    await rig.settled()
    assert rig.seen("A") == ["bad", "other", 1, 2]
