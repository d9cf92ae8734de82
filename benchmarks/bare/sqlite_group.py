"""The most that SQLite gives one plain thread: `… bare.sqlite_group hop IN_FLIGHT SECONDS`.

A group is one transaction: as many events with a delivery each go in as are in flight, and those
of the group before go out. No loop, no other thread. Prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.bare.sqlite_commits import (
    DELETE_DELIVERY,
    DELETE_EVENT,
    INSERT_DELIVERY,
    INSERT_EVENT,
    SCHEMA,
    STEP,
    connect,
    event_row,
)


def main(in_flight: int, seconds: float) -> dict[str, float]:
    """Hops per second and processor time per hop in µs."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        db = connect(Path(folder) / "bench.db")
        db.executescript(SCHEMA)
        used, began = time.process_time(), time.perf_counter()
        until = began + seconds
        last = 0
        while time.perf_counter() < until:
            before = range(last - in_flight, last)
            group = range(last, last + in_flight)
            last += in_flight
            db.execute("BEGIN IMMEDIATE")
            db.executemany(INSERT_EVENT, [event_row(each) for each in group])
            db.executemany(INSERT_DELIVERY, [(each, STEP) for each in group])
            db.executemany(DELETE_DELIVERY, [(each, STEP) for each in before])
            db.executemany(DELETE_EVENT, [(each,) for each in before])
            db.execute("COMMIT")
        took = time.perf_counter() - began
        used = time.process_time() - used
        db.close()
    return {"ops/s": last / took, "cpu µs": used / last * 1e6}


if __name__ == "__main__":
    _, _what, given_in_flight, given_seconds = sys.argv
    print(json.dumps(main(int(given_in_flight), float(given_seconds))))
