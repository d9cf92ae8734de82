"""The types that step authors get, proved with the TypeScript compiler of the Node runner."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from stepweave import files
from stepweave.steps import keys
from stepweave.steps.model import Kind

HERE = Path(__file__).parent
COMPILER = HERE.parents[2] / "runners" / "node" / "node_modules" / ".bin" / "tsc"
INTERFACES = {
    Kind.API: ("BaseConfig", "RunConfig", "ApiRouteConfig"),
    Kind.EVENT: ("BaseConfig", "RunConfig", "EventConfig"),
    Kind.CRON: ("BaseConfig", "RunConfig", "CronConfig"),
    Kind.NOOP: ("BaseConfig", "NoopConfig"),
    Kind.STREAM: ("StreamConfig",),
}


@pytest.mark.skipif(
    not COMPILER.exists() or shutil.which("node") is None,
    reason="the Node runner's packages are not installed",
)
def test_step_files_compile_and_their_mistakes_do_not() -> None:
    done = subprocess.run(
        [COMPILER, "--project", HERE / "types"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", Kind)
def test_the_types_name_the_keys_of_a_kind(kind: Kind) -> None:
    text = files.path("steps", "typescript", "core.d.ts").read_text()
    members: set[str] = set()
    for name in INTERFACES[kind]:
        found = re.search(rf"  (?:export )?interface {name}\b.*?\{{\n(.*?)\n  \}}", text, re.DOTALL)
        assert found is not None, name
        members |= set(re.findall(r"^    (\w+)\??[:(]", found[1], re.MULTILINE))

    assert members == keys.KEYS[kind]
