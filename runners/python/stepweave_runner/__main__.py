"""Starts the runner: first the output is guarded, then everything else is imported."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run until the orchestrator is gone; does not return."""
    here = os.path.dirname(os.path.abspath(__file__))
    # Python put this folder on the path, where `import msgpack` would find the runner's own.
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != here]
    sys.path.insert(0, os.path.dirname(here))
    from stepweave_runner import console

    del sys.path[0]
    reading, writing = console.guard()
    from stepweave_runner.host import Host

    Host(reading, writing).run()


# Also imported, under another name, by the children of multiprocessing.
if __name__ == "__main__":
    main()
