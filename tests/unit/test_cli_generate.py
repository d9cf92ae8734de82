"""`generate openapi`: where the document goes, in which form, and what is said beside it."""

from __future__ import annotations

import json
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
