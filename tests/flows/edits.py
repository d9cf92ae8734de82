"""An endpoint with a helper in every language, to be edited while it serves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.flows.harness import Running, write
from tests.flows.languages import LANGUAGES

__all__ = ["NAMES", "Endpoint"]

NAMES = list(LANGUAGES)

_STEPS = {
    "typescript": """
        import {{ existsSync }} from 'node:fs'
        import {{ word }} from '../services/{stem}'
        export const config = {{
          type: 'api', name: '{name}', method: 'GET', path: '{path}', emits: [],
        }}
        export const handler = async (req: any) => {{
          const gate = req.queryParams.gate
          while (gate && !existsSync(gate)) await new Promise((r) => setTimeout(r, 5))
          return {{ status: 200, body: {{ code: '{code}', word: word() }} }}
        }}
    """,
    "javascript": """
        const {{ existsSync }} = require('node:fs')
        const {{ word }} = require('../services/{stem}')
        exports.config = {{
          type: 'api', name: '{name}', method: 'GET', path: '{path}', emits: [],
        }}
        exports.handler = async (req) => {{
          const gate = req.queryParams.gate
          while (gate && !existsSync(gate)) await new Promise((r) => setTimeout(r, 5))
          return {{ status: 200, body: {{ code: '{code}', word: word() }} }}
        }}
    """,
    "python": """
        import asyncio, os
        from services.{stem} import word
        config = {{
            "type": "api", "name": "{name}", "method": "GET", "path": "{path}", "emits": [],
        }}
        async def handler(req, context):
            gate = req.query_params.get("gate")
            while gate and not os.path.exists(gate):
                await asyncio.sleep(0.005)
            return {{"status": 200, "body": {{"code": "{code}", "word": word()}}}}
    """,
    "ruby": """
        require_relative '../services/{stem}'
        def config
          {{ type: 'api', name: '{name}', method: 'GET', path: '{path}', emits: [] }}
        end
        def handler(req, context)
          gate = req[:query_params]['gate']
          sleep 0.005 until gate.nil? || File.exist?(gate)
          {{ status: 200, body: {{ code: '{code}', word: {constant}.word }} }}
        end
    """,
}
_HELPERS = {
    "typescript": "export const word = () => '{word}'\n",
    "javascript": "exports.word = () => '{word}'\n",
    "python": "def word():\n    return '{word}'\n",
    "ruby": "module {constant}\n  def self.word = '{word}'\nend\n",
}
_BROKEN = {
    "typescript": "export const fine = 1\nexport const = 2\n",
    "javascript": "exports.fine = 1\nexports.not fine = 2\n",
    "python": "fine = 1\nnot fine = 2\n",
    "ruby": "fine = 1\nnot fine fine) = 2\n",
}
_FILES = {"typescript": "ts", "javascript": "js", "python": "py", "ruby": "rb"}


class Endpoint:
    """One step and its helper on disk; what is not given to `step` stays as it was."""

    def __init__(self, root: Path, language: str, what: str) -> None:
        self.root = root
        self.language = language
        stem = f"{what}_{language}"
        self.relpath = f"steps/{stem}{LANGUAGES[language].suffix}"
        self.helper_relpath = f"services/{stem}.{_FILES[language]}"
        self.values = {
            "stem": stem,
            "name": stem,
            "path": f"/{stem}",
            "constant": "".join(part.capitalize() for part in stem.split("_")),
            "code": "old",
            "word": "old",
        }

    @property
    def path(self) -> str:
        """The route."""
        return self.values["path"]

    @property
    def file(self) -> Path:
        """The step's file."""
        return self.root / self.relpath

    def files(self) -> dict[str, str]:
        """Both files as they are to be."""
        return {
            self.relpath: _STEPS[self.language].format(**self.values),
            self.helper_relpath: _HELPERS[self.language].format(**self.values),
        }

    def make(self) -> None:
        """Write both."""
        write(self.root, dict(reversed(self.files().items())))

    def step(self, **values: str) -> None:
        """Write the step's file with other values: code, path, name."""
        self.values |= values
        self._save(self.relpath)

    def helper(self, word: str) -> None:
        """Write the helper's file with another word."""
        self.values["word"] = word
        self._save(self.helper_relpath)

    def _save(self, relpath: str) -> None:
        """Put the whole file in the place of the old one, as careful editors do: half of a helper
        may be good Ruby, and then it is what the step gets."""
        name = f".saved/{relpath}"
        write(self.root, {name: self.files()[relpath]})
        (self.root / name).replace(self.root / relpath)

    def break_step(self) -> None:
        """Make line 2 of the step's file no code."""
        write(self.root, {self.relpath: _BROKEN[self.language]})

    def break_helper(self) -> None:
        """Make line 2 of the helper no code."""
        write(self.root, {self.helper_relpath: _BROKEN[self.language]})

    def remove(self) -> None:
        """Delete both."""
        for relpath in (self.relpath, self.helper_relpath):
            (self.root / relpath).unlink(missing_ok=True)

    async def ask(self, running: Running, gate: Path | None = None) -> Any:
        """What it answers, None if there is no such route; with a gate once that file exists."""
        params = {} if gate is None else {"gate": str(gate)}
        answer = await running.http.get(self.path, params=params)
        if answer.status_code == 404:
            return None
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def answers(self, running: Running, code: str, word: str = "old") -> None:
        """Wait until it answers with this code and word."""
        expected = {"code": code, "word": word}

        async def arrived() -> bool:
            return bool(await self.ask(running) == expected)

        await running.until(arrived, f"{self.path} answering {expected}")

    def problems(self, running: Running) -> list[Any]:
        """The problems of the step's file that keep it from running."""
        entries = running.it.registry.entries
        found = [entry for entry in entries if entry.found.relpath == self.relpath]
        return [each for entry in found for each in entry.problems if each.severity == "error"]
