"""The fault scenarios at length: `make soak`, or `python -m tests.faults.soak --help`."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.faults.scenarios import SCENARIOS
from tests.faults.scenarios.scale import Figures, Scale

_WIDTH = 78


class _Progress:
    """One line on a terminal that is written anew; nothing elsewhere."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._next = 0.0

    def say(self, text: str) -> None:
        """Show the text, unless the last one was a moment ago."""
        now = time.monotonic()
        if self._shown and now >= self._next:
            self._next = now + 0.2
            sys.stderr.write(f"\r{text[:_WIDTH]:<{_WIDTH}}")
            sys.stderr.flush()

    def clear(self) -> None:
        """Leave no line behind."""
        if self._shown:
            sys.stderr.write(f"\r{'':<{_WIDTH}}\r")
        self._next = 0.0


def main(words: list[str] | None = None) -> int:
    """0 if every promise was kept, 1 if one was broken."""
    args = _parser().parse_args(words)
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(1 << 32)
    ends = time.monotonic() + args.minutes * 60
    broken: list[str] = []
    while True:
        print(f"seed {seed}", flush=True)
        again = f"python -m tests.faults.soak --seed {seed} --only"
        names = args.only or list(SCENARIOS)
        broken += [f"{again} {name}" for name in names if not _play(name, args, seed)]
        if time.monotonic() >= ends or broken:
            break
        seed = (seed + 1) % (1 << 32)
    for command in broken:
        print(f"broken; again with: {command}")
    return 1 if broken else 0


def _play(name: str, args: argparse.Namespace, seed: int) -> bool:
    """Run a scenario and print its figures, or what went wrong and where its files are."""
    scenario, events, faults = SCENARIOS[name]
    progress = _Progress()
    scale = Scale(
        events if args.events is None else args.events,
        faults if args.kills is None else args.kills,
        seed,
        lambda text: progress.say(f"{name}: {text}"),
    )
    folder = Path(tempfile.mkdtemp(prefix=f"stepweave-{name}-"))
    began = time.monotonic()
    try:
        figures = scenario(folder, scale)
    except Exception:
        progress.clear()
        traceback.print_exc()
        print(f"{name}: BROKEN after {time.monotonic() - began:.0f} s; its files: {folder}")
        return False
    progress.clear()
    shutil.rmtree(folder, ignore_errors=True)
    print(table(name, {**figures, "took": f"{time.monotonic() - began:.0f} s"}), flush=True)
    return True


def table(name: str, figures: Figures) -> str:
    """The figures of one scenario below its name."""
    width = max(map(len, figures))
    return "\n".join([name, *(f"  {what:<{width}}  {figure}" for what, figure in figures.items())])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.soak",
        description="Hurt Stepweave at length and prove that it keeps its promises. "
        "Exit code 1 if it does not.",
    )
    parser.add_argument("--seed", type=int, help="decides the moments; random without it")
    parser.add_argument("--events", type=int, help="events of each scenario in place of its own")
    parser.add_argument("--kills", type=int, help="faults of each scenario in place of its own")
    parser.add_argument(
        "--minutes", type=float, default=0, help="go on with further seeds for so long"
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=list(SCENARIOS),
        metavar="NAME",
        help=f"one of {', '.join(SCENARIOS)}; may be repeated",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
