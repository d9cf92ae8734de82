"""Middleware of steps and of projects, in every language."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stepweave.project import SettingsError
from tests.flows.harness import Running, start, write

pytestmark = pytest.mark.anyio

LANGUAGES = ["typescript", "javascript", "python", "ruby"]

_NODE = """
    const outer = async (req{any}, ctx{any}, next{any}) => {{
      try {{
        const answer = await next()
        return {{ ...answer, headers: {{ ...answer.headers, 'x-own': 'outer' }} }}
      }} catch (error{any}) {{
        return {{ status: 418, body: {{ caught: error.message }} }}
      }}
    }}

    const inner = (req{any}, ctx{any}, next{any}) => {{
      if (req.queryParams.stop) return {{ status: 403, body: {{ stopped: true }} }}
      ctx.user = 'ann'
      req.seen = 'inner'
      if (req.queryParams.change) return next({{ ...req, body: {{ changed: true }} }})
      return next()
    }}

    {export}config = {{
      type: 'api', name: '{name}', method: 'POST', path: '/{name}', middleware: [outer, inner],
    }}

    {export}handler = async (req{any}, ctx{any}) => {{
      if (req.queryParams.throw) throw new Error('handler failed')
      return {{
        status: 200,
        body: {{
          user: ctx.user, seen: req.seen, body: req.body, raw: req.rawBody, order: req.order,
        }},
      }}
    }}
"""

STEPS = {
    "steps/wrapped.step.ts": _NODE.format(name="typescript", any=": any", export="export const "),
    "steps/wrapped.step.js": _NODE.format(name="javascript", any="", export="exports."),
    "steps/wrapped.step.py": """
        async def outer(req, context, next_fn):
            try:
                answer = await next_fn()
            except RuntimeError as error:
                return {"status": 418, "body": {"caught": str(error)}}
            return {**answer, "headers": {**answer.get("headers", {}), "x-own": "outer"}}

        def inner(req, context, next_fn):
            if req.query_params.get("stop"):
                return {"status": 403, "body": {"stopped": True}}
            context["user"] = "ann"
            req.seen = "inner"
            if req.query_params.get("change"):
                return next_fn({**req, "body": {"changed": True}})
            return next_fn()

        config = {
            "type": "api", "name": "python", "method": "POST", "path": "/python",
            "middleware": [outer, inner],
        }

        async def handler(req, context):
            if req.query_params.get("throw"):
                raise RuntimeError("handler failed")
            return {"status": 200, "body": {
                "user": context.user, "seen": req.get("seen"), "body": req.body,
                "raw": req.raw_body, "order": req.get("order")}}
        """,
    "steps/wrapped.step.rb": """
        def outer(req, context, following)
          answer = following.call
          answer.merge(headers: { "x-own" => "outer" })
        rescue RuntimeError => e
          { status: 418, body: { caught: e.message } }
        end

        INNER = lambda do |req, context, following|
          next { status: 403, body: { stopped: true } } if req.query_params["stop"]

          context[:user] = "ann"
          req.seen = "inner"
          next following.call(req.merge(body: { changed: true })) if req.query_params["change"]

          following.call
        end

        def config
          { type: "api", name: "ruby", method: "POST", path: "/ruby", middleware: [:outer, INNER] }
        end

        def handler(req, context)
          raise "handler failed" if req.query_params["throw"]

          { status: 200, body: {
            user: context[:user], seen: req[:seen], body: req.body, raw: req.raw_body,
            order: req["order"]
          } }
        end
        """,
}

PROJECT = {
    "stepweave.toml": """
        [steps]
        middleware = [
          "middleware/first.py", "middleware/all.ts", "middleware/all.rb", "middleware/second.py",
        ]
        """,
    "middleware/all.ts": """
        import { word } from './word'

        const first = async (req: any, ctx: any, next: any) => {
          if (req.headers['x-key'] === 'bad') return { status: 401, body: { key: 'bad' } }
          req.order = ['first']
          const answer = await next()
          return { ...answer, headers: { ...answer.headers, 'x-project': word } }
        }
        const second = async (req: any, ctx: any, next: any) => {
          req.order.push('second')
          return next()
        }
        export default [first, second]
        """,
    "middleware/word.ts": "export const word = 'yes'\n",
    "middleware/first.py": """
        from middleware.word import word

        async def middleware(req, context, next_fn):
            if req.headers.get("x-key") == "bad":
                return {"status": 401, "body": {"key": "bad"}}
            req["order"] = ["first"]
            answer = await next_fn()
            return {**answer, "headers": {**answer.get("headers", {}), "x-project": word}}
        """,
    "middleware/second.py": """
        def middleware(req, context, next_fn):
            req["order"].append("second")
            return next_fn()
        """,
    "middleware/word.py": 'word = "yes"\n',
    "middleware/all.rb": """
        WORD = "yes"

        def first(req, context, following)
          return { status: 401, body: { key: "bad" } } if req.headers["x-key"] == "bad"

          req.order = ["first"]
          answer = following.call
          answer.merge(headers: (answer[:headers] || {}).merge("x-project" => WORD))
        end

        def second(req, context, following)
          req.order << "second"
          following.call
        end

        MIDDLEWARE = [:first, :second]
        """,
}

each_language = pytest.mark.parametrize("language", LANGUAGES)


@pytest.fixture(scope="module")
async def alone(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with start(tmp_path_factory.mktemp("own"), STEPS) as it:
        assert it.it.registry.all_problems == ()
        yield it


@pytest.fixture(scope="module")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with start(tmp_path_factory.mktemp("project"), {**STEPS, **PROJECT}) as it:
        assert it.it.registry.all_problems == ()
        yield it


@each_language
async def test_middleware_sees_changes_and_wraps(alone: Running, language: str) -> None:
    answer = await alone.http.post(f"/{language}", json={"n": 1})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-own"] == "outer"
    seen = answer.json()
    assert (seen["user"], seen["seen"], seen["body"]) == ("ann", "inner", {"n": 1})


@each_language
async def test_middleware_hands_on_another_request(alone: Running, language: str) -> None:
    seen = (await alone.http.post(f"/{language}?change=1", json={"n": 1})).json()
    assert (seen["body"], seen["seen"]) == ({"changed": True}, "inner")
    assert seen["raw"] == '{"n":1}'


@each_language
async def test_middleware_answers_itself(alone: Running, language: str) -> None:
    answer = await alone.http.post(f"/{language}?stop=1")
    assert (answer.status_code, answer.json()) == (403, {"stopped": True})
    assert answer.headers["x-own"] == "outer"


@each_language
async def test_middleware_catches_what_the_handler_throws(alone: Running, language: str) -> None:
    answer = await alone.http.post(f"/{language}?throw=1")
    assert (answer.status_code, answer.json()) == (418, {"caught": "handler failed"})


@each_language
async def test_the_project_s_is_around_the_step_s_in_its_order(
    whole: Running, language: str
) -> None:
    answer = await whole.http.post(f"/{language}", json={"n": 1})
    assert answer.status_code == 200, answer.text
    assert (answer.headers["x-project"], answer.headers["x-own"]) == ("yes", "outer")
    assert answer.json()["order"] == ["first", "second"]

    refused = await whole.http.post(f"/{language}", headers={"x-key": "bad"})
    assert (refused.status_code, refused.json()) == (401, {"key": "bad"})
    assert not [m for m in whole.messages if "[steps] middleware" in m]


async def test_a_language_without_is_warned_of(tmp_path: Path) -> None:
    files = {
        **STEPS,
        "stepweave.toml": '[steps]\nmiddleware = ["middleware/second.py"]\n',
        "middleware/second.py": (
            "async def middleware(req, context, next_fn):\n    return await next_fn()\n"
        ),
    }
    async with start(tmp_path, files) as running:
        (warning,) = [m for m in running.messages if "[steps] middleware" in m]
        assert "javascript and ruby and typescript" in warning
        assert (await running.http.post("/ruby")).status_code == 200


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("gone.py", "there is no file"),
        ("notes.txt", "must end in one of"),
    ],
)
async def test_a_file_that_cannot_be_one_stops_the_start(
    tmp_path: Path, name: str, says: str
) -> None:
    files = {"stepweave.toml": f'[steps]\nmiddleware = ["{name}"]\n', "notes.txt": "x"}
    with pytest.raises(SettingsError, match=says):
        async with start(tmp_path, files):
            pass


async def test_an_edit_of_the_project_s_is_taken_up_or_shown(tmp_path: Path) -> None:
    async with start(tmp_path, {**STEPS, **PROJECT}, mode="dev") as running:

        async def words() -> list[str]:
            answers = [await running.http.post(f"/{each}") for each in LANGUAGES]
            return [answer.headers.get("x-project", answer.text) for answer in answers]

        assert await words() == ["yes"] * 4
        ruby = PROJECT["middleware/all.rb"]
        write(
            tmp_path,
            {
                "middleware/word.ts": "export const word = 'new'\n",
                "middleware/word.py": 'word = "new"\n',
                "middleware/all.rb": ruby.replace('WORD = "yes"', 'WORD = "new"'),
            },
        )

        async def are(word: str) -> bool:
            return await words() == [word] * 4

        await running.until(lambda: are("new"))

        write(tmp_path, {"middleware/word.py": "word = (\n"})
        await running.until(lambda: [p for p in running.it.registry.all_problems])
        problem = running.it.registry.all_problems[0]
        assert "word.py" in str(problem)
        assert (await running.http.post("/python")).headers["x-project"] == "new"

        write(tmp_path, {"middleware/word.py": 'word = "mended"\n'})
        await running.until(lambda: not running.it.registry.all_problems)
        assert (await running.http.post("/python")).headers["x-project"] == "mended"
