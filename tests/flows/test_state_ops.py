"""Every operation of the state in every language: one table, and each reads what others wrote."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from stepweave import payload
from stepweave.engine.store.operations import StateSet
from tests.flows.harness import Running, start
from tests.flows.probes import FORMS, probe

pytestmark = pytest.mark.anyio

CALLS = {
    "js": """
for (const [name, ...args] of req.body) {
  const [on, method] = name.startsWith('trace.') ? [state.trace, name.slice(6)] : [state, name]
  try {
    const result = await on[method](...args)
    out.push(Array.isArray(result) && result.next ? [result, result.next] : result)
  } catch (error) {
    out.push({ code: (error as { code?: string }).code ?? (error as Error).name })
  }
}
""",
    "py": """
for name, *args in req.body:
    on, method = (state.trace, name[6:]) if name.startswith("trace.") else (state, name)
    try:
        result = await getattr(on, method)(*args)
        following = getattr(result, "next", None)
        out.append([result, following] if following else result)
    except Exception as error:
        out.append({"code": getattr(error, "code", type(error).__name__)})
""",
    "rb": """
req.body.each do |name, *args|
  on, method = name.start_with?('trace.') ? [state.trace, name[6..]] : [state, name]
  begin
    result = on.public_send(method, *args)
    following = result.next if result.is_a?(Array) && result.respond_to?(:next)
    out << (following ? [result, following] : result)
  rescue => error
    out << { code: error.respond_to?(:code) ? error.code : error.class.name }
  end
end
""",
}
SNAKE = {
    "getGroup": "get_group",
    "listGroups": "list_groups",
    "compareAndSet": "compare_and_set",
    "trace.getGroup": "trace.get_group",
    "trace.compareAndSet": "trace.compare_and_set",
}

TABLE: list[tuple[list[Any], Any]] = [
    (["get", "G", "a"], None),
    (["set", "G", "a", {"n": 1, "list": [1, None]}], {"n": 1, "list": [1, None]}),
    (["get", "G", "a"], {"n": 1, "list": [1, None]}),
    (["set", "G", "b", 0], 0),
    (["set", "G", "c", ""], ""),
    (["set", "G", "d", None], None),
    (["getGroup", "G"], [{"n": 1, "list": [1, None]}, 0, "", None]),
    (["getGroup", "G", {"limit": 3}], [[{"n": 1, "list": [1, None]}, 0, ""], "c"]),
    (["getGroup", "G", {"after": "c", "limit": 3}], [None]),
    (["getGroup", "G", {"after": "a"}], [0, "", None]),
    (["getGroup", "G", {"limit": 0}], {"code": "invalid_params"}),
    (["getGroup", "G", {"limit": 1.5}], {"code": "invalid_params"}),
    (["getGroup", "nobody's"], []),
    (["delete", "G", "a"], {"n": 1, "list": [1, None]}),
    (["delete", "G", "a"], None),
    (["clear", "G"], 3),
    (["clear", "G"], 0),
    (["increment", "G", "n"], 1),
    (["increment", "G", "n", 41], 42),
    (["increment", "G", "n", -0.5], 41.5),
    (["update", "G", "doc", [{"op": "set", "path": "a.b", "value": 1}]], {"a": {"b": 1}}),
    (["update", "G", "doc", {"op": "increment", "path": ["a", "b"]}], {"a": {"b": 2}}),
    (["update", "G", "doc", {"op": "merge", "value": {"l": [1]}}], {"a": {"b": 2}, "l": [1]}),
    (
        ["update", "G", "doc", {"op": "append", "path": "l", "value": 2}],
        {"a": {"b": 2}, "l": [1, 2]},
    ),
    (["update", "G", "doc", {"op": "remove", "path": "l.0"}], {"a": {"b": 2}, "l": [2]}),
    (["update", "G", "doc", {"op": "append", "path": "a", "value": 1}], {"code": "invalid_params"}),
    (["update", "G", "doc", {"op": "turn"}], {"code": "invalid_params"}),
    (["compareAndSet", "G", "cas", None, 1], True),
    (["compareAndSet", "G", "cas", None, 2], False),
    (["compareAndSet", "G", "cas", 1, 2], True),
    (["set", "G", "cas", 3, {"expect": 1}], {"code": "conflict"}),
    (["set", "G", "cas", 3, {"expect": 2}], 3),
    (["set", "G", "gone", 1, {"ttlMs": 0}], 1),
    (["get", "G", "gone"], None),
    (["set", "G", "stays", 1, {"ttlMs": 3_600_000}], 1),
    (["trace.set", "k", "mine"], "mine"),
    (["trace.get", "k"], "mine"),
    (["trace.increment", "m"], 1),
    (["trace.update", "m", {"op": "set", "value": 5}], 5),
    (["trace.compareAndSet", "m", 5, 6], True),
    (["trace.getGroup"], ["mine", 6]),
    (["trace.getGroup", {"limit": 1}], [["mine"], "k"]),
    (["trace.delete", "k"], "mine"),
    (["trace.clear"], 1),
]
LEFT = [3, {"a": {"b": 2}, "l": [2]}, 41.5, 1]
"""What the table leaves behind, by key: cas, doc, n, stays."""


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    files: dict[str, str] = {}
    for form in FORMS:
        js = CALLS["js"]
        if form == "javascript":
            js = js.replace("(error as { code?: string })", "error").replace(
                "(error as Error)", "error"
            )
        files |= probe("ops", form, CALLS | {"js": js})
    async with start(tmp_path_factory.mktemp("state"), files) as it:
        assert [str(p) for p in it.it.registry.all_problems if p.severity == "error"] == []
        yield it


async def ask(running: Running, form: str, calls: list[list[Any]]) -> list[Any]:
    """What the calls give in this language; names in snake_case where it is the custom."""
    if "script" not in form:
        calls = [[SNAKE.get(name, name), *arguments] for name, *arguments in calls]
    answer = await running.http.post(f"/ops/{form.replace(', ', '_')}", json=calls)
    assert answer.status_code == 200, answer.text
    found: list[Any] = answer.json()
    return found


async def fill(running: Running, form: str) -> None:
    """Run the table in a group of the language's own and compare what each call gives."""
    calls = [[form if part == "G" else part for part in call] for call, _ in TABLE]
    found = await ask(running, form, calls)
    for (call, expected), result in zip(TABLE, found, strict=True):
        assert result == expected, call


@pytest.mark.parametrize("form", FORMS)
async def test_each_operation_gives_the_same_in_every_language(running: Running, form: str) -> None:
    await ask(running, form, [["clear", form]])
    await fill(running, form)
    await ask(running, form, [["clear", form]])


async def test_each_language_reads_what_the_others_wrote(running: Running) -> None:
    for form in FORMS:
        await fill(running, form)
    for reader in FORMS:
        found = await ask(running, reader, [["getGroup", writer] for writer in FORMS])
        assert found == [LEFT] * len(FORMS)
        groups, again = await ask(running, reader, [["groups"], ["listGroups"]])
        assert groups == again and set(FORMS) <= set(groups)
    for writer in FORMS:
        await ask(running, writer, [["increment", form, "n"] for form in FORMS])
    (total,) = await ask(running, "ruby", [["get", "python", "n"]])
    assert total == LEFT[2] + len(FORMS)
    for form in FORMS:
        await ask(running, form, [["clear", form]])


@pytest.mark.parametrize("form", FORMS)
async def test_a_large_group_is_read_whole_and_in_pages(running: Running, form: str) -> None:
    values = [StateSet("large", f"{n:05}", payload.encode(n)) for n in range(20_000)]
    await running.it.store.apply(values)

    (whole,) = await ask(running, form, [["getGroup", "large"]])
    assert whole == list(range(20_000))
    after, pages = "", []
    while after is not None:
        (answer,) = await ask(
            running, form, [["getGroup", "large", {"after": after, "limit": 6000}]]
        )
        page, after = answer if len(answer) == 2 else (answer, None)
        pages.append(page)
    assert [len(page) for page in pages] == [6000, 6000, 6000, 2000]
    assert [value for page in pages for value in page] == whole


async def test_a_group_beyond_a_frame_is_refused_and_read_in_pages(running: Running) -> None:
    text = payload.encode("x" * 1_000_000)
    await running.it.store.apply([StateSet("huge", f"{n:02}", text) for n in range(20)])
    for form in FORMS:
        (refused,) = await ask(running, form, [["getGroup", "huge"]])
        assert refused == {"code": "too_large"}
    (page,) = await ask(running, "python", [["getGroup", "huge", {"after": "17", "limit": 5}]])
    assert [len(value) for value in page] == [1_000_000, 1_000_000]
