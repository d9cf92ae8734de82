"""Every language emits to every language; values arrive as they were sent."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.flows.harness import Running, start
from tests.flows.languages import LANGUAGES, quoted

pytestmark = pytest.mark.anyio

NAMES = list(LANGUAGES)
PAIRS = [(source, target) for source in NAMES for target in NAMES]
TOPICS = [f"from.{name}" for name in NAMES]

EMIT = {
    "typescript": """
  await emit({{ topic: 'from.typescript', data: req.body }})
  return {{ status: 202, body: {{ traceId }} }}""",
    "javascript": """
  await emit({{ topic: 'from.javascript', data: req.body }})
  return {{ status: 202, body: {{ traceId }} }}""",
    "python": """
    await emit({{"topic": "from.python", "data": req["body"]}})
    return {{"status": 202, "body": {{"traceId": context["traceId"]}}}}""",
    "ruby": """
  emit.call(topic: 'from.ruby', data: req['body'])
  {{ status: 202, body: {{ traceId: context[:traceId] }} }}""",
}
KEEP = {
    "typescript": "  await state.set('typescript', data.id, { data, traceId })",
    "javascript": "  await state.set('javascript', data.id, { data, traceId })",
    "python": (
        "    trace = context['traceId']\n"
        "    await state.set('python', data['id'], {'data': data, 'traceId': trace})"
    ),
    "ruby": (
        "  kept = { data: data, traceId: context[:traceId] }\n  state.set('ruby', data['id'], kept)"
    ),
}


def project() -> dict[str, str]:
    """One API step and one event step in each language."""
    files = {}
    for name, language in LANGUAGES.items():
        files[f"steps/emit_{name}{language.suffix}"] = language.api.format(
            name=f"Emit{name}",
            path=f"/{name}",
            emits=quoted([f"from.{name}"]),
            body=EMIT[name].format(),
        )
        files[f"steps/keep_{name}{language.suffix}"] = language.event.format(
            name=f"Keep{name}", subscribes=quoted(TOPICS), more="", body=KEEP[name]
        )
    return files


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    root: Path = tmp_path_factory.mktemp("pairs")
    async with start(root, project()) as it:
        assert it.it.registry.all_problems == ()
        yield it


VALUE = {
    "text": "Grüße, 世界 🐾",
    "empty": "",
    "zero": 0,
    "no": False,
    "nothing": None,
    "number": -12.5,
    "large": 2**53 - 1,
    "list": [1, [2, {"three": 3}], []],
    "map": {"a b": {"ü": []}},
}


@pytest.mark.parametrize(("source", "target"), PAIRS)
async def test_a_value_goes_from_one_language_to_another_unchanged(
    running: Running, source: str, target: str
) -> None:
    value: dict[str, Any] = {"id": f"{source}-{target}", **VALUE}
    answer = await running.http.post(f"/{source}", json=value)
    assert answer.status_code == 202, answer.text
    await running.settled()
    kept = (await running.state(target))[value["id"]]
    assert kept["data"] == value
    assert kept["traceId"] == answer.json()["traceId"] == answer.headers["x-trace-id"]


@pytest.mark.parametrize("target", NAMES)
async def test_bytes_survive_every_language(running: Running, target: str) -> None:
    data = bytes(range(256)) * 4
    await running.emit(f"from.{NAMES[0]}", {"id": f"bytes-{target}", "data": data, "deep": [data]})
    await running.settled()
    kept = (await running.state(target))[f"bytes-{target}"]["data"]
    assert base64.b64encode(kept["data"]) == base64.b64encode(data)
    assert kept["deep"] == [data]


@pytest.mark.parametrize(("source", "target"), list(zip(NAMES, NAMES[1:] + NAMES[:1], strict=True)))
async def test_ten_megabytes_pass_both_ways(running: Running, source: str, target: str) -> None:
    value = {"id": f"big-{source}", "text": "x" * 10_000_000}
    answer = await running.http.post(f"/{source}", json=value)
    assert answer.status_code == 202, answer.text[:500]
    await running.settled()
    kept = (await running.state(target))[value["id"]]
    assert kept["data"] == value
