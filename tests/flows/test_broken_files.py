"""One broken file is reported with its place, and everything else runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flows.harness import start

pytestmark = pytest.mark.anyio

GOOD = {
    "steps/good.step.py": """
        config = {"type": "api", "name": "Good", "method": "GET", "path": "/good"}
        async def handler(req, context):
            return {"status": 200, "body": "fine"}
    """,
}

BROKEN = {
    "python syntax": (
        "steps/bad.step.py",
        'config = {"type": "event"\n\ndef handler(:\n',
        "SyntaxError",
        None,
    ),
    "typescript syntax": (
        "steps/bad.step.ts",
        "export const config = {}\nexport const = 5\n",
        "SyntaxError",
        2,
    ),
    "javascript syntax": (
        "steps/bad.step.js",
        "exports.config = {}\n\nexports.handler = async ( => {}\n",
        "SyntaxError",
        3,
    ),
    "ruby syntax": (
        "steps/bad.step.rb",
        "def config\n  { type: 'event' \nend\n",
        "SyntaxError",
        3,
    ),
    "python throws": (
        "steps/bad.step.py",
        "import os\nraise RuntimeError('no licence')\n",
        "RuntimeError: no licence",
        2,
    ),
    "typescript throws": (
        "steps/bad.step.ts",
        "const a: number = 1\nthrow new Error('no licence')\nexport const config = {}\n",
        "no licence",
        2,
    ),
    "javascript throws": (
        "steps/bad.step.js",
        "exports.config = {}\nthrow new TypeError('no licence')\n",
        "TypeError: no licence",
        2,
    ),
    "ruby throws": (
        "steps/bad.step.rb",
        "require 'json'\nraise ArgumentError, 'no licence'\n",
        "no licence",
        2,
    ),
    "python missing module": (
        "steps/bad.step.py",
        "import not_installed_anywhere\n",
        "not_installed_anywhere",
        1,
    ),
    "typescript missing module": (
        "steps/bad.step.ts",
        "import { z } from 'not-installed-anywhere'\nexport const config = { a: z }\n",
        "not-installed-anywhere",
        1,
    ),
    "ruby missing module": (
        "steps/bad.step.rb",
        "require 'not_installed_anywhere'\n",
        "not_installed_anywhere",
        1,
    ),
    "bad config": (
        "steps/bad.step.py",
        'config = {"type": "api", "name": "Bad", "method": "FETCH", "path": "/x"}\n'
        "async def handler(req, context): pass\n",
        "FETCH",
        1,
    ),
    "no config": ("steps/bad.step.js", "exports.handler = async () => {}\n", "config", None),
    "python exits": ("steps/bad.step.py", "import os\nos._exit(7)\n", "exit code 7", None),
    "javascript exits": ("steps/bad.step.js", "process.exit(7)\n", "exit code 7", None),
    "ruby exits": ("steps/bad.step.rb", "exit!(7)\n", "exit code 7", None),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_a_broken_file_is_reported_with_its_place_and_the_rest_runs(
    tmp_path: Path, case: str
) -> None:
    name, text, says, line = BROKEN[case]
    async with start(tmp_path, GOOD | {name: text}) as running:
        registry = running.it.registry
        (problem,) = [p for p in registry.all_problems if p.severity == "error"]
        assert problem.file == name
        assert says in str(problem), str(problem)
        if line is not None:
            assert problem.line == line, str(problem)
            assert problem.frame and f"> {line} |" in problem.frame
        assert not registry.ok
        assert (await running.http.get("/good")).text == "fine"


async def test_a_file_that_kills_its_runner_does_not_take_its_neighbours_along(
    tmp_path: Path,
) -> None:
    files = {
        f"steps/n{n}.step.js": f"""
            exports.config = {{ type: 'api', name: 'N{n}', method: 'GET', path: '/n{n}' }}
            exports.handler = async () => ({{ status: 200, body: {n} }})
        """
        for n in range(8)
    }
    async with start(tmp_path, files | {"steps/n4x.step.js": "process.exit(1)\n"}) as running:
        errors = [p.file for p in running.it.registry.all_problems if p.severity == "error"]
        assert errors == ["steps/n4x.step.js"]
        for n in range(8):
            assert (await running.http.get(f"/n{n}")).json() == n


async def test_an_error_in_a_helper_names_the_helper_and_who_needs_it(tmp_path: Path) -> None:
    files = GOOD | {
        "services/pay.ts": "export const fee = 1\nexport const = 2\n",
        "steps/pay.step.ts": """
            import { fee } from '../services/pay'
            export const config = { type: 'event', name: 'Pay', subscribes: ['a.b'] }
            export const handler = async () => fee
        """,
    }
    async with start(tmp_path, files) as running:
        (problem,) = [p for p in running.it.registry.all_problems if p.severity == "error"]
        assert (problem.file, problem.line) == ("services/pay.ts", 2)
        assert problem.hint == "steps/pay.step.ts needs it"
