"""Read what waits in a Stepweave file and delete it: `… bare.sqlite_drain FILE`.

64 events a transaction, one thread, nothing else. Prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from benchmarks.bare.sqlite_commits import connect

GROUP = 64
READ = "SELECT * FROM deliveries JOIN events ON events.id = deliveries.event ORDER BY event"
DELETE_DELIVERIES = "DELETE FROM deliveries WHERE event = ?"
DELETE_EVENT = "DELETE FROM events WHERE id = ?"


def main(path: Path) -> dict[str, float]:
    """Times from the opening of the file, in µs."""
    began = time.perf_counter()
    db = connect(path)
    ids: list[tuple[int]] = []
    first = 0.0
    for row in db.execute(READ):
        first = first or time.perf_counter()
        ids.append((row[0],))
    read = time.perf_counter()
    for at in range(0, len(ids), GROUP):
        group = ids[at : at + GROUP]
        db.execute("BEGIN IMMEDIATE")
        db.executemany(DELETE_DELIVERIES, group)
        db.executemany(DELETE_EVENT, group)
        db.execute("COMMIT")
    done = time.perf_counter()
    db.close()
    return {
        "events": len(ids),
        "ready µs": (read - began) * 1e6,
        "first µs": (first - began) * 1e6,
        "all µs": (done - began) * 1e6,
        "events/s": len(ids) / (done - began),
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
