"""Which files of a project are steps, and which only look like it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stepweave.steps.discovery import Discovery, discover, language_of, what_is

from .vectors import EXTENSIONS

STEP = "config = {}\n"


def project(root: Path, *names: str, text: str = STEP) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def search(root: Path, *extra: str) -> Discovery:
    return discover(root, extra=extra, extensions=EXTENSIONS)


def listed(found: Discovery) -> list[tuple[str, str, str]]:
    return [(each.relpath, each.what, each.language) for each in found.found]


def warned(found: Discovery) -> list[tuple[str, str, str | None]]:
    assert all(problem.severity == "warning" for problem in found.problems)
    return [(problem.code, problem.file, problem.hint) for problem in found.problems]


def test_steps_are_found_in_both_roots_in_every_language(tmp_path: Path) -> None:
    project(
        tmp_path,
        "src/z.step.ts",
        "steps/b.step.js",
        "steps/a_step.py",
        "steps/deep/er/c.step.rb",
        "steps/d.step.mjs",
        "steps/e_step.cjs",
        "steps/f.step.py",
        "other/g.step.ts",
        "h.step.ts",
    )

    found = search(tmp_path)

    assert listed(found) == [
        ("src/z.step.ts", "step", "typescript"),
        ("steps/a_step.py", "step", "python"),
        ("steps/b.step.js", "step", "javascript"),
        ("steps/d.step.mjs", "step", "javascript"),
        ("steps/deep/er/c.step.rb", "step", "ruby"),
        ("steps/e_step.cjs", "step", "javascript"),
        ("steps/f.step.py", "step", "python"),
    ]
    assert found.problems == ()
    assert all(each.path == tmp_path / each.relpath for each in found.found)


def test_streams_are_found_beside_steps_and_in_their_own_folder(tmp_path: Path) -> None:
    project(tmp_path, "steps/a.stream.ts", "src/b_stream.py", "streams/c.stream.rb")

    assert listed(search(tmp_path)) == [
        ("src/b_stream.py", "stream", "python"),
        ("steps/a.stream.ts", "stream", "typescript"),
        ("streams/c.stream.rb", "stream", "ruby"),
    ]


def test_a_step_in_the_folder_of_streams_is_named(tmp_path: Path) -> None:
    project(tmp_path, "streams/a.step.ts")

    found = search(tmp_path)

    assert listed(found) == []
    assert warned(found) == [("misplaced_step", "streams/a.step.ts", "move it to steps/ or src/")]


def test_interfaces_features_and_helpers_are_not_steps(tmp_path: Path) -> None:
    project(
        tmp_path,
        "steps/a.step.tsx",
        "steps/a.step.jsx",
        "steps/a.step.ts-features.json",
        "steps/helper.py",
        "steps/a.step.test.ts",
        "steps/a.step.d.ts",
        "steps/.hidden.step.ts",
        "steps/step.ts",
        "steps/a.step.pyc",
    )

    assert search(tmp_path) == Discovery((), ())


@pytest.mark.parametrize(
    "folder",
    [
        "node_modules",
        ".venv",
        "venv",
        "python_modules",
        "dist",
        ".stepweave",
        ".git",
        "__pycache__",
    ],
)
def test_folders_of_packages_and_build_output_are_skipped(tmp_path: Path, folder: str) -> None:
    project(tmp_path, f"steps/{folder}/a.step.ts", f"src/x/{folder}/y/b.step.ts")

    assert search(tmp_path).found == ()


def test_a_project_inside_a_folder_of_build_output_is_searched(tmp_path: Path) -> None:
    project(tmp_path / "dist", "steps/a.step.ts")

    assert [each.relpath for each in search(tmp_path / "dist").found] == ["steps/a.step.ts"]


def test_folders_of_the_settings_are_searched_too(tmp_path: Path) -> None:
    project(tmp_path, "packages/shop/a.step.ts", "steps/b.step.ts")

    found = search(tmp_path, "packages/shop", "steps", ".")

    assert [each.relpath for each in found.found] == ["packages/shop/a.step.ts", "steps/b.step.ts"]
    assert found.problems == ()


def test_a_folder_of_the_settings_that_is_missing_or_outside_is_named(tmp_path: Path) -> None:
    project(tmp_path / "elsewhere", "a.step.ts")
    root = project(tmp_path / "app", "steps/b.step.ts")

    found = search(root, "modules", "../elsewhere")

    assert [each.relpath for each in found.found] == ["steps/b.step.ts"]
    assert {(code, file) for code, file, _ in warned(found)} == {
        ("missing_folder", "modules"),
        ("outside_project", "../elsewhere"),
    }


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("report-step.rb", "report.step.rb"),
        ("foo.steps.ts", "foo.step.ts"),
        ("foo_steps.py", "foo_step.py"),
        ("foo step.ts", "foo.step.ts"),
        ("chat-stream.ts", "chat.stream.ts"),
        ("chat.streams.py", "chat.stream.py"),
        ("foo.Step.ts", "foo.step.ts"),
        ("foo.step.TS", "foo.step.ts"),
    ],
)
def test_a_name_that_just_misses_gets_the_right_one(tmp_path: Path, name: str, right: str) -> None:
    project(tmp_path, f"steps/{name}")

    found = search(tmp_path)

    assert found.found == ()
    assert warned(found) == [("file_name", f"steps/{name}", f"call it {right}")]


def test_a_helper_with_a_similar_name_and_no_config_is_left_alone(tmp_path: Path) -> None:
    project(tmp_path, "src/video-stream.ts", "src/next-step.py", text="export const x = 1\n")

    assert search(tmp_path) == Discovery((), ())


def test_a_step_in_a_language_without_a_runner_is_named(tmp_path: Path) -> None:
    project(tmp_path, "steps/a.step.go")

    [problem] = search(tmp_path).problems

    assert (problem.code, problem.file) == ("unknown_language", "steps/a.step.go")
    assert "no runner takes .go files" in problem.message
    assert problem.hint is not None
    assert ".py" in problem.hint


def test_a_new_language_is_one_more_extension(tmp_path: Path) -> None:
    project(tmp_path, "steps/a.step.lua", "steps/b_stream.lua")

    found = discover(tmp_path, extensions={".lua": "lua"})

    assert listed(found) == [
        ("steps/a.step.lua", "step", "lua"),
        ("steps/b_stream.lua", "stream", "lua"),
    ]


def test_links_that_go_round_in_circles_end(tmp_path: Path) -> None:
    project(tmp_path, "steps/a/b.step.ts")
    (tmp_path / "steps/a/up").symlink_to(tmp_path / "steps", target_is_directory=True)
    (tmp_path / "steps/self").symlink_to(tmp_path / "steps/self")

    assert [each.relpath for each in search(tmp_path).found] == ["steps/a/b.step.ts"]


def test_a_linked_folder_or_file_of_the_project_is_found_once(tmp_path: Path) -> None:
    project(tmp_path, "steps/z/b.step.ts", "modules/c.step.ts", "modules/d.txt")
    (tmp_path / "steps/a").symlink_to(tmp_path / "steps/z", target_is_directory=True)
    (tmp_path / "steps/b.step.ts").symlink_to(tmp_path / "steps/z/b.step.ts")
    (tmp_path / "steps/m").symlink_to(tmp_path / "modules", target_is_directory=True)

    assert [each.relpath for each in search(tmp_path).found] == [
        "steps/m/c.step.ts",
        "steps/z/b.step.ts",
    ]


def test_a_link_that_leaves_the_project_is_named_and_not_followed(tmp_path: Path) -> None:
    project(tmp_path / "outside", "x.step.ts")
    root = project(tmp_path / "app", "steps/b.step.ts")
    (root / "steps/shared").symlink_to(tmp_path / "outside", target_is_directory=True)
    (root / "steps/y.step.ts").symlink_to(tmp_path / "outside/x.step.ts")
    (root / "steps/readme.md").symlink_to(tmp_path / "outside/x.step.ts")

    found = search(root)

    assert [each.relpath for each in found.found] == ["steps/b.step.ts"]
    assert [(code, file) for code, file, _ in warned(found)] == [
        ("outside_project", "steps/shared"),
        ("outside_project", "steps/y.step.ts"),
    ]


def test_an_empty_project_has_nothing(tmp_path: Path) -> None:
    assert search(tmp_path) == Discovery((), ())


def test_a_folder_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(tmp_path, "steps/a.step.ts", "steps/closed/b.step.ts")
    scandir = os.scandir

    def refusing(folder: Path) -> object:
        if folder.name == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refusing)

    found = search(tmp_path)

    assert [each.relpath for each in found.found] == ["steps/a.step.ts"]
    assert warned(found) == [("unreadable_folder", "steps/closed", None)]
    assert found.problems[0].message == "cannot be searched: Permission denied"


def test_a_name_that_is_not_text_is_named_and_left_out(tmp_path: Path) -> None:
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / os.fsdecode(b"\xff.step.ts")).write_text(STEP)

    found = search(tmp_path)

    assert found.found == ()
    assert warned(found) == [("file_name", "steps/\ufffd.step.ts", "rename it")]


def test_the_longest_suffix_counts() -> None:
    extensions = {".ts": "typescript", ".flow.ts": "flow"}

    assert language_of("a.step.flow.ts", extensions) == "flow"
    assert what_is("a.step.flow.ts", extensions) == "step"
    assert what_is("a.step.ts", extensions) == "step"
    assert language_of("a.step.lua", extensions) is None
