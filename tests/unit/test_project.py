"""Finding a project, reading its settings, and what is said when they are wrong."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from stepweave.project import NoProject, Project, Runner, Settings, SettingsError

DOCS = Path(__file__).parents[2] / "docs" / "operating.md"
SECTIONS = [field.name for field in dataclasses.fields(Settings) if field.name != "name"]


def make(root: Path, toml: str | None = "", env: str | None = None) -> Path:
    """A project folder with a stepweave.toml (None: only steps/) and perhaps a .env file."""
    (root / "steps").mkdir(parents=True, exist_ok=True)
    if toml is not None:
        (root / "stepweave.toml").write_text(toml)
    if env is not None:
        (root / ".env").write_text(env)
    return root


def settings(root: Path, toml: str, **environment: str) -> Settings:
    return Project.open(make(root, toml), environment).settings


# --- the folder


def test_a_folder_with_steps_is_a_project_with_default_settings(tmp_path: Path) -> None:
    project = Project.open(make(tmp_path / "shop", None), {})

    assert (project.root, project.name) == (tmp_path / "shop", "shop")
    assert project.settings == Settings()
    assert project.storage == tmp_path / "shop" / ".stepweave"
    assert (project.settings.server.port, project.settings.server.max_body) == (5173, 16 << 20)


@pytest.mark.parametrize("mark", ["src", "steps", "stepweave.toml"])
def test_any_of_the_marks_makes_a_project(tmp_path: Path, mark: str) -> None:
    if mark == "stepweave.toml":
        (tmp_path / mark).write_text("")
    else:
        (tmp_path / mark).mkdir()

    assert Project.open(tmp_path, {}).root == tmp_path


def test_the_name_comes_from_the_settings_then_package_json_then_the_folder(
    tmp_path: Path,
) -> None:
    make(tmp_path / "folder", "")
    assert Project.open(tmp_path / "folder", {}).name == "folder"
    (tmp_path / "folder" / "package.json").write_text('{"name": "@acme/shop"}')
    assert Project.open(tmp_path / "folder", {}).name == "@acme/shop"
    make(tmp_path / "folder", 'name = "Shop"')
    assert Project.open(tmp_path / "folder", {}).name == "Shop"
    (tmp_path / "folder" / "package.json").write_text("[broken")
    make(tmp_path / "folder", "")
    assert Project.open(tmp_path / "folder", {}).name == "folder"


def test_a_folder_that_is_no_project_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoProject, match=r"holds no project.*steps/hello\.step\.py"):
        Project.open(tmp_path, {})
    with pytest.raises(NoProject, match="there is no such folder"):
        Project.open(tmp_path / "none", {})


def test_a_project_is_found_from_inside_it(tmp_path: Path) -> None:
    make(tmp_path, None)
    (tmp_path / "steps" / "deep").mkdir()

    assert Project.find(tmp_path / "steps" / "deep", {}).root == tmp_path


def test_a_src_folder_above_is_no_reason_to_leave(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "elsewhere").mkdir()

    with pytest.raises(NoProject):
        Project.find(tmp_path / "elsewhere", {})
    assert Project.find(tmp_path, {}).root == tmp_path


# --- .env


def test_variables_of_the_env_file_are_kept_for_runners(tmp_path: Path) -> None:
    make(tmp_path, "", "# comment\nKEY='a b'\nexport OTHER=2\nTAKEN=file\nNOTHING\n")
    project = Project.open(tmp_path, {"TAKEN": "process"})

    assert project.env == {"KEY": "a b", "OTHER": "2"}


def test_secrets_of_the_env_file_do_not_show_in_a_project_printed(tmp_path: Path) -> None:
    make(tmp_path, "", "KEY=hush")

    assert "hush" not in repr(Project.open(tmp_path, {}))


def test_the_env_file_may_set_settings_below_the_process_environment(tmp_path: Path) -> None:
    make(tmp_path, "", "PORT=4000\nSTEPWEAVE_EVENTS_CONCURRENCY=5\n")

    assert Project.open(tmp_path, {}).settings.server.port == 4000
    project = Project.open(tmp_path, {"PORT": "4001", "STEPWEAVE_EVENTS_CONCURRENCY": "6"})
    assert (project.settings.server.port, project.settings.events.concurrency) == (4001, 6)


# --- values


def test_every_section_is_read(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        """
        [server]
        host = "0.0.0.0"
        port = 8080
        max_body = "1.5KB"
        request_timeout_s = "2m"
        [steps]
        roots = ["app"]
        emits = "strict"
        [events]
        concurrency = 1
        backoff_base_s = "250ms"
        [storage]
        path = "data"
        durability = "commit"
        [traces]
        enabled = false
        retention_hours = 0.5
        [runners.python]
        processes = 2
        env = { MODE = "fast", LEVEL = 3, DEBUG = true }
        [runners.lua]
        path = "runners/lua"
        [shutdown]
        grace_s = "1h"
        [cron]
        timezone = "Europe/Berlin"
        """,
    )

    assert (found.server.host, found.server.port) == ("0.0.0.0", 8080)
    assert (found.server.max_body, found.server.request_timeout_s) == (1536, 120)
    assert (found.steps.roots, found.steps.emits) == (("app",), "strict")
    assert (found.events.concurrency, found.events.backoff_base_s) == (1, 0.25)
    assert (found.storage.path, found.storage.durability) == ("data", "commit")
    assert (found.traces.enabled, found.traces.retention_hours) == (False, 0.5)
    assert found.runner("python").processes == 2
    assert found.runner("python").env == {"MODE": "fast", "LEVEL": "3", "DEBUG": "true"}
    assert found.runner("lua").path == "runners/lua"
    assert found.runner("ruby") == Runner()
    assert (found.shutdown.grace_s, found.cron.timezone) == (3600, "Europe/Berlin")


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        "[server]\nport = 1\n[runners.python]\nprocesses = 2\nwindow = 3",
        PORT="2",
        HOST="::1",
        STEPWEAVE_SERVER_PORT="3",
        STEPWEAVE_SERVER_MAX_BODY="1MB",
        STEPWEAVE_STEPS_ROOTS="steps, app",
        STEPWEAVE_TRACES_ENABLED="no",
        STEPWEAVE_RUNNERS_PYTHON_PROCESSES="4",
        STEPWEAVE_RUNNERS_MY_LANG_CANCEL_GRACE_S="1.5",
        STEPWEAVE_ROOT="/not/a/setting",
        STEPWEAVE_CACHE="/not/either",
    )

    assert (found.server.port, found.server.host, found.server.max_body) == (3, "::1", 1 << 20)
    assert found.steps.roots == ("steps", "app")
    assert not found.traces.enabled
    assert (found.runner("python").processes, found.runner("python").window) == (4, 3)
    assert found.runner("my_lang").cancel_grace_s == 1.5


def test_an_empty_variable_named_port_sets_nothing(tmp_path: Path) -> None:
    assert settings(tmp_path, "", PORT="", HOST="").server.port == 5173


def test_an_empty_string_stands_for_none(tmp_path: Path) -> None:
    assert settings(tmp_path, '[server]\ntoken = ""').server.token is None


# --- what is wrong


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("port = 1", r'stepweave\.toml: there is no section "port"'),
        ("[sever]\nport = 1", r'there is no section "sever"; did you mean "server"\?'),
        ("[server]\nprot = 1", r'\[server\] has no setting "prot"; did you mean "port"\?'),
        ("[storage]\nzzz = 1", r'has no setting "zzz"; it may be durability, path'),
        ("server = 1", r"server must be a section, such as \[server\]"),
        ("runners = 1", "runners must be a section"),
        ("[runners]\npython = 1", r"runners\.python must be a section, such as \[runners"),
        ("[runners.python]\nproces = 1", r'\.python\] has no setting "proces"; did you mean'),
        ('[server]\nport = "x"', r'\[server\] port must be a whole number from 0 .*, not "x"'),
        ("[server]\nport = 70000", "from 0 to 65535, not 70000"),
        ("[server]\nport = true", "not True"),
        ('[server]\ncompression = "much"', 'true, false, or bytes or a string such as "16MB"'),
        ('[server]\nstatic = { a = "b" }', 'a folder such as "public", or a table'),
        ('[server]\nhost = ""', "host must be a string that is not empty"),
        ('[server]\nmax_body = "lots"', 'bytes or a string such as "16MB", at least 1, not "lots"'),
        ('[shutdown]\ngrace_s = "5 parsecs"', 'seconds or a string such as "5m"'),
        ("[shutdown]\ngrace_s = -1", "at least 0"),
        ('[steps]\nemits = "strickt"', 'emits must be "warn" or "strict", not "strickt"'),
        ('[steps]\nroots = "x"\nextra = [1]', "extra must be a list of strings"),
        ('[traces]\nenabled = "maybe"', "true or false"),
        ('[traces]\nretention_hours = "x"', "a number of at least 0.01"),
        ('[storage]\ndurability = "none"', '"edge" or "commit" or "process"'),
        ('[cron]\ntimezone = "Berlin"', "the name of a time zone, such as Europe/Berlin"),
        ('[streams]\norigins = ["https://a.b/"]', "origins such as .*, without a path, not"),
        ('[streams]\norigins = ["a.b"]', 'a list of origins such as "https://shop.example"'),
        ("[runners.python]\nenv = { A = [1] }", "a table of strings"),
        ("name = 3", r"stepweave\.toml: name must be"),
        ("= broken", "is not valid TOML"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_refused_with_its_place(tmp_path: Path, toml: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        settings(tmp_path, toml)
    assert str(caught.value).startswith(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "size"), [("true", 1024), ("off", None), ("4KB", 4096), ("1", 1024)]
)
def test_compression_is_a_switch_or_a_size(tmp_path: Path, text: str, size: int | None) -> None:
    read = settings(tmp_path, "", STEPWEAVE_SERVER_COMPRESSION=text)
    assert read.server.compression == size


@pytest.mark.parametrize(
    ("text", "folders"),
    [
        ("public", {"/": "public"}),
        ("/a=x, /=y/z", {"/a": "x", "/": "y/z"}),
        ("", {}),
    ],
)
def test_folders_come_from_the_environment_too(
    tmp_path: Path, text: str, folders: dict[str, str]
) -> None:
    read = settings(tmp_path, "", STEPWEAVE_SERVER_STATIC=text)
    assert read.server.static == folders


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("PORT", "http", 'PORT must be a whole number from 0 to 65535, not "http"'),
        ("STEPWEAVE_SERVER_PROT", "1", r'STEPWEAVE_SERVER_PROT names no .*; did you mean "port"\?'),
        ("STEPWEAVE_EVENTS_MAX_RETRIES", "-1", "STEPWEAVE_EVENTS_MAX_RETRIES must be"),
        ("STEPWEAVE_RUNNERS_PYTHON_SPEED", "1", "names no setting of a runner"),
    ],
)
def test_a_wrong_variable_is_refused_by_name(
    tmp_path: Path, variable: str, value: str, message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        settings(tmp_path, "", **{variable: value})


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    make(tmp_path).joinpath("stepweave.toml").write_bytes(b"\xff\xfe")

    with pytest.raises(SettingsError, match="is not valid TOML"):
        Project.open(tmp_path, {})


# --- documentation


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_is_documented(section: str) -> None:
    text = DOCS.read_text("utf-8")
    heading = "### `[runners.<name>]`" if section == "runners" else f"### `[{section}]`"
    kind = Runner if section == "runners" else type(getattr(Settings(), section))
    part = text.partition(heading)[2].partition("\n## ")[0].partition("\n### ")[0]

    assert part, f"docs/operating.md has no heading {heading}"
    missing = [f.name for f in dataclasses.fields(kind) if f"| `{f.name}` |" not in part]
    assert not missing, f"docs/operating.md {heading} lacks {missing}"
