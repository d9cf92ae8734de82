"""`python -m benchmarks`: measure, print tables, and write JSON if asked."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    chains,
    flood,
    hops,
    http,
    machine,
    memory,
    options,
    recovery,
    rpc,
    state,
    streams,
    uptime,
)
from benchmarks.processes import NotAvailable
from benchmarks.settings import FULL, QUICK, Settings
from benchmarks.table import Table, render

BENCHMARKS: dict[str, Callable[[Settings], list[Table]]] = {
    "rpc": rpc.run,
    "http": http.run,
    "hops": hops.run,
    "chains": chains.run,
    "flood": flood.run,
    "options": options.run,
    "uptime": uptime.run,
    "recovery": recovery.run,
    "state": state.run,
    "streams": streams.run,
    "memory": memory.run,
}


def main() -> int:
    """Run what was asked for; 1 when a benchmark could not run."""
    options = _options()
    settings = FULL if options.full else QUICK
    where = machine.describe()
    print("  ".join(f"{name} {value}" for name, value in where.items()), end="\n\n")
    tables: list[Table] = []
    failed = 0
    for name in options.only or BENCHMARKS:
        began = time.monotonic()
        foreign = machine.Foreign()
        try:
            found = BENCHMARKS[name](settings)
        except NotAvailable as reason:
            print(f"{name} did not run: {reason}\n", file=sys.stderr)
            failed += 1
            continue
        others = round(foreign.cores(), 2)
        for table in found:
            table.foreign_cores = others
            print(render(table), end="\n\n", flush=True)
        tables += found
        took = time.monotonic() - began
        print(f"  ({name}: {took:.0f} s; others used {others} cores meanwhile)\n", flush=True)
    if options.json:
        report = {
            "machine": where,
            "settings": dataclasses.asdict(settings),
            "tables": [dataclasses.asdict(table) for table in tables],
        }
        options.json.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        choices=BENCHMARKS,
        metavar="NAME",
        help=f"one of {', '.join(BENCHMARKS)}; may be given more than once",
    )
    parser.add_argument("--full", action="store_true", help="more rounds, longer measurements")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
