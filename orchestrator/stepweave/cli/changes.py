"""What a reload changed, in a line for each file."""

from __future__ import annotations

from collections.abc import Iterator

from stepweave.cli import problems
from stepweave.paint import Paint
from stepweave.steps.model import Entry
from stepweave.steps.registry import Registry

__all__ = ["changes"]


def changes(old: Registry, new: Registry, paint: Paint) -> str:
    """Files that came, changed or left, and what is wrong now that was not before; "" for none."""
    before = {entry.found.relpath: entry for entry in old.entries}
    after = {entry.found.relpath: entry for entry in new.entries}
    lines = [
        line
        for relpath in sorted(before.keys() | after.keys())
        for line in _file(relpath, before.get(relpath), after.get(relpath), paint)
    ]
    known = set(old.problems)
    lines.append(problems.render((each for each in new.problems if each not in known), paint))
    return "".join(lines)


def _file(relpath: str, old: Entry | None, new: Entry | None, paint: Paint) -> Iterator[str]:
    if new is None:
        yield f"{paint.red('➜ removed')}  {relpath}\n"
        return
    item, was = new.item, old.item if old else None
    title = f"{relpath}  {paint.dim(f'{item.name} ({item.kind})')}\n" if item else f"{relpath}\n"
    if item is not None and was is None:
        yield f"{paint.green('➜ added')}    {title}"
    elif item is not None and was is not None and item is not was:
        yield f"{paint.yellow('➜ updated')}  {title}"
    known = set(old.problems) if old else set()
    fresh = [each for each in new.problems if each not in known and each.severity != "info"]
    yield problems.render(fresh, paint)
    if item is not None and item is was and any(each.severity == "error" for each in fresh):
        yield f"  {paint.dim(f'{item.name} goes on with its last good version')}\n"
