"""Where the package looks for what lies beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepweave import files

HOUSE = Path(__file__).parents[2]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package folder of its own, as in an unpacked sdist."""
    folder = tmp_path / "orchestrator" / "stepweave"
    folder.mkdir(parents=True)
    monkeypatch.setattr(files, "PACKAGE", folder)
    return folder


def test_a_checkout_is_read_in_place() -> None:
    assert files.root() == HOUSE
    assert files.path("orchestrator", "stepweave") == HOUSE / "orchestrator" / "stepweave"


def test_an_installation_carries_its_own(package: Path) -> None:
    (package / "_files" / "protocol").mkdir(parents=True)
    assert files.path("protocol") == package / "_files" / "protocol"


def test_an_incomplete_installation_is_to_be_repeated(package: Path) -> None:
    (package / "_files").mkdir()
    with pytest.raises(files.FileMissing, match="incomplete; install stepweave again"):
        files.path("runners", "ruby")


def test_what_is_not_built_names_the_command(package: Path) -> None:
    with pytest.raises(files.FileMissing, match=r"main\.cjs .* run `make setup`"):
        files.path("runners", "node", "dist", "main.cjs")


def test_any_other_file_is_named_with_its_root(package: Path) -> None:
    with pytest.raises(files.FileMissing) as raised:
        files.path("protocol", "nothing.yaml")
    assert raised.value.name == "protocol/nothing.yaml"
    assert str(package.parents[1]) in str(raised.value)
