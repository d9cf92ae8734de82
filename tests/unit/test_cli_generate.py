"""`generate openapi`: where the document goes, in which form, and what is said beside it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from stepweave import cli

GET = """
config = {"type": "api", "name": "Get", "method": "GET", "path": "/things/:id"}

async def handler(req, context):
    return {"status": 200}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "get.step.py").write_text(GET)
    (tmp_path / "stepweave.toml").write_text('name = "shop"\n[server]\nport = 8080\n')
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "2.1.0"\n')
    return tmp_path


def test_the_document_goes_to_stdout_as_json(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["generate", "openapi", str(project)]) == 0

    out, err = capsys.readouterr()
    content = json.loads(out)
    assert content["openapi"] == "3.1.0"
    assert content["info"] == {"title": "shop", "version": "2.1.0"}
    assert content["servers"] == [{"url": "http://localhost:8080"}]
    assert list(content["paths"]) == ["/things/{id}"]
    assert err == ""
    assert not (project / ".stepweave").exists()


def test_title_and_version_may_be_given(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["generate", "openapi", str(project), "-t", "Shop API", "-v", "7"]) == 0

    assert json.loads(capsys.readouterr().out)["info"] == {"title": "Shop API", "version": "7"}


@pytest.mark.parametrize(
    ("file", "options", "is_yaml"),
    [
        ("api.json", [], False),
        ("api.yaml", [], True),
        ("api.yml", [], True),
        ("api.txt", ["--format", "yaml"], True),
        ("api.yaml", ["--format", "json"], False),
    ],
)
def test_a_files_ending_tells_the_form(
    project: Path, file: str, options: list[str], is_yaml: bool
) -> None:
    target = project / file
    command = ["generate", "openapi", str(project), "--output", str(target), *options]
    servers = ["--server", "https://a.example", "--server", "https://b.example"]

    assert cli.main([*command, *servers]) == 0

    text = target.read_text()
    content = yaml.safe_load(text) if is_yaml else json.loads(text)
    assert [server["url"] for server in content["servers"]] == servers[1::2]
    assert text.startswith("openapi: 3.1.0\n") is is_yaml


def test_what_does_not_load_is_left_out_and_told(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "steps" / "bad.step.py").write_text("config = {\n")

    assert cli.main(["generate", "openapi", str(project)]) == 1

    out, err = capsys.readouterr()
    assert list(json.loads(out)["paths"]) == ["/things/{id}"]
    assert "steps/bad.step.py" in err


def test_routes_that_openapi_cannot_tell_apart_are_told(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = GET.replace('"Get"', '"Year"').replace("/things/:id", r"/things/:year(\\d{4})")
    (project / "steps" / "year.step.py").write_text(other)

    assert cli.main(["generate", "openapi", str(project)]) == 0

    assert "OpenAPI cannot tell it from another GET /things/{" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_told(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = str(project / "nowhere" / "api.json")

    assert cli.main(["generate", "openapi", str(project), "-o", target]) == 1

    assert f"{target}: cannot be written: No such file" in capsys.readouterr().err


STEPS = {
    "list.step.py": """
config = {
    "type": "api", "name": "ListPets", "method": "GET", "path": "/shops/:shop/pets/:id?",
    "params_schema": {"type": "object", "properties": {"shop": {"type": "integer"}}},
    "query_schema": {
        "type": "object",
        "properties": {
            "page": {"type": "integer", "default": 1},
            "tag": {"type": "array", "items": {"type": "string"}},
        },
    },
}

async def handler(req, context):
    return {"status": 200}
""",
    "photo.step.rb": """
def config
  { type: "api", name: "Add photo", method: "POST", path: "/photos",
    body_schema: { title: "string", photo: "file" },
    response_schema: { 201 => { id: "string" }, 409 => { error: "string" } },
    emits: ["photo.added", "photo.seen"] }
end

def handler(req, context) = { status: 201, body: { id: "1" } }
""",
    "shrink.step.py": """
config = {
    "type": "event", "name": "Shrink", "subscribes": ["photo.added"], "input": {"id": "string"},
    "infrastructure": {"queue": {"batch": 10}},
}

async def handler(photos, context):
    pass
""",
    "nightly.step.py": """
config = {"type": "cron", "name": "Nightly", "cron": "@daily"}

async def handler(context):
    pass
""",
    "board.stream.py": """
config = {"name": "board", "schema": {"title": "string"}}
""",
}

USE = """
import type { Handlers } from 'motia'

export const list: Handlers['ListPets'] = async ({ pathParams, queryParams }) => {
  const shop: number = pathParams.shop
  const page: number = queryParams.page
  const tags: string[] | undefined = queryParams.tag
  const id: string | undefined = pathParams.id
  // @ts-expect-error it may be missing
  const sure: string = pathParams.id
  // @ts-expect-error there is no such parameter
  const other = queryParams.pages
  return { status: 200, body: { shop, page, tags, id, sure, other } }
}

export const add: Handlers['Add photo'] = async ({ body, files }, { emit, streams }) => {
  const title: string = body.title
  // @ts-expect-error files are not in the body
  const photo = body.photo
  await emit({ topic: 'photo.added', data: { id: '1' }, delay: 5 })
  await emit({ topic: 'photo.seen', data: photo })
  // @ts-expect-error the topic is misspelled
  await emit({ topic: 'photo.aded', data: { id: '1' } })
  await streams.board.set('all', '1', { title })
  // @ts-expect-error that is no item
  await streams.board.set('all', '1', { name: title })
  if (files.photo === undefined) return { status: 409, body: { error: 'none' } }
  return { status: 201, body: { id: '1' } }
}

// @ts-expect-error the answer lacks its id
export const bad: Handlers['Add photo'] = async () => ({ status: 201, body: {} })

export const shrink: Handlers['Shrink'] = async (photos) => photos.map((photo) => photo.id)
export const nightly: Handlers['Nightly'] = async ({ emit }) => emit({ topic: 'any' })
"""

COMPILER = Path(__file__).parents[2] / "runners" / "node" / "node_modules" / ".bin" / "tsc"


@pytest.fixture
def typed(tmp_path: Path) -> Path:
    (tmp_path / "steps").mkdir()
    for name, text in STEPS.items():
        (tmp_path / "steps" / name).write_text(text)
    return tmp_path


@pytest.mark.skipif(not shutil.which("ruby"), reason="Ruby is not installed")
@pytest.mark.skipif(not COMPILER.exists(), reason="the Node runner's packages are not installed")
def test_the_types_of_a_project_hold_for_its_handlers(typed: Path) -> None:
    assert cli.main(["generate", "types", str(typed)]) == 0

    (typed / "use.ts").write_text(USE)
    options = ["--noEmit", "--strict", "--target", "es2022", "--moduleResolution", "bundler"]
    options += ["--module", "esnext"]
    done = subprocess.run(
        [COMPILER, *options, "types.d.ts", "use.ts"],
        cwd=typed,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_types_may_go_to_stdout(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["generate", "types", str(project), "--output", "-"]) == 0

    assert "'Get': ApiRouteHandler<" in capsys.readouterr().out
    assert not (project / "types.d.ts").exists()


def test_the_name_that_motia_gave_it_still_works(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = []
    for words in (["generate", "types"], ["generate-types"]):
        assert cli.main([*words, str(project), "--output", "-"]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] != ""


def test_types_have_no_format(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["generate", "types", str(project), "--format", "yaml"]) == 2

    assert "are for openapi" in capsys.readouterr().err
