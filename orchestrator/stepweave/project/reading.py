"""From stepweave.toml and the environment to Settings; whatever is wrong is said with its place."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
import types
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from stepweave.errors import UsageError
from stepweave.project.settings import Runner, Settings

__all__ = ["PREFIX", "SettingsError", "parse", "read"]

PREFIX = "STEPWEAVE_"

# Names by which others set the same thing, weaker than our own variables.
_ALIASES = {"PORT": ("server", "port"), "HOST": ("server", "host")}

_SECTIONS: Mapping[str, type[Any]] = types.MappingProxyType(
    {
        name: kind
        for name, kind in get_type_hints(Settings).items()
        if dataclasses.is_dataclass(kind) and isinstance(kind, type)
    }
)

T = TypeVar("T")


class SettingsError(UsageError):
    """A setting that cannot be used; the message names its place and what it must be."""

    code = "bad_settings"


def read(file: Path, environment: Mapping[str, str]) -> Settings:
    """The settings of a file, which may be absent, overridden by the environment.

    Raises SettingsError for TOML that cannot be read, and as `parse`.
    """
    try:
        data = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        data = {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: is not valid TOML: {error}") from error
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror}") from error
    return parse(data, str(file), environment)


def parse(data: Mapping[str, Any], source: str, environment: Mapping[str, str]) -> Settings:
    """The settings of a parsed file. `source` names it in messages.

    Raises SettingsError for an unknown section or key, a wrong type, or a value out of range.
    """
    sections = {field.name for field in dataclasses.fields(Settings)} - {"name"}
    values: dict[str, dict[str, Any]] = {}
    top: dict[str, Any] = {}
    for key, value in data.items():
        if key == "name":
            top["name"] = _value(Settings, "name", value, f"{source}: name")
        elif key not in sections:
            raise _unknown(f'{source}: there is no section "{key}"', key, sections)
        elif not isinstance(value, dict):
            raise SettingsError(f"{source}: {key} must be a section, such as [{key}]")
        elif key == "runners":
            values[key] = {
                name: _section(Runner, f"runners.{name}", table, source)
                for name, table in value.items()
            }
        else:
            values[key] = _section(_SECTIONS[key], key, value, source)
    for path, key, value, origin in _overrides(environment):
        if path[0] == "runners":
            kind, table = Runner, values.setdefault("runners", {}).setdefault(path[1], {})
        else:
            kind, table = _SECTIONS[path[0]], values.setdefault(path[0], {})
        table[key] = _value(kind, key, value, origin)
    return Settings(
        **top,
        **{name: kind(**values.get(name, {})) for name, kind in _SECTIONS.items()},
        runners={name: Runner(**table) for name, table in values.get("runners", {}).items()},
    )


def _section(kind: type[Any], name: str, table: Any, source: str) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise SettingsError(f"{source}: {name} must be a section, such as [{name}]")
    known = [field.name for field in dataclasses.fields(kind)]
    for key in table:
        if key not in known:
            raise _unknown(f'{source}: [{name}] has no setting "{key}"', key, known)
    return {
        key: _value(kind, key, value, f"{source}: [{name}] {key}") for key, value in table.items()
    }


def _value(kind: type[Any], key: str, value: Any, place: str) -> Any:
    (reader,) = [f.metadata["read"] for f in dataclasses.fields(kind) if f.name == key]
    try:
        return reader(value)
    except ValueError as error:
        raise SettingsError(f"{place} must be {error}, not {_shown(value)}") from error


def _overrides(
    environment: Mapping[str, str],
) -> Iterator[tuple[tuple[str, ...], str, str, str]]:
    """(section path, key, text, variable) of each variable that sets something."""
    for variable, (section, key) in _ALIASES.items():
        if environment.get(variable):
            yield (section,), key, environment[variable], variable
    for variable in sorted(environment):
        name = variable.removeprefix(PREFIX).lower()
        if name == variable.lower():
            continue
        if name.startswith("runners_"):
            yield _runner_override(variable, name.removeprefix("runners_"), environment[variable])
            continue
        section, _, key = name.partition("_")
        if section not in _SECTIONS or not key:
            continue
        known = [field.name for field in dataclasses.fields(_SECTIONS[section])]
        if key not in known:
            raise _unknown(
                f"the environment variable {variable} names no setting of [{section}]", key, known
            )
        yield (section,), key, environment[variable], variable


def _runner_override(variable: str, rest: str, value: str) -> tuple[tuple[str, ...], str, str, str]:
    known = [field.name for field in dataclasses.fields(Runner) if field.name != "env"]
    for key in known:
        runner = rest.removesuffix(f"_{key}")
        if runner and runner != rest:
            return ("runners", runner), key, value, variable
    raise SettingsError(
        f"the environment variable {variable} names no setting of a runner; "
        f"they are {', '.join(known)}"
    )


def _unknown(message: str, word: str, known: Iterable[str]) -> SettingsError:
    names = sorted(known)
    close = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.6)
    hint = f'did you mean "{close[0]}"?' if close else f"it may be {', '.join(names)}"
    return SettingsError(f"{message}; {hint}")


def _shown(value: Any) -> str:
    text = f'"{value}"' if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
