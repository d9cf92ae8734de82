"""`python -m stepweave` is the `stepweave` command."""

from __future__ import annotations

import sys

from stepweave.cli import main

if __name__ == "__main__":
    sys.exit(main())
