"""`python -m stepweave.conformance` is `stepweave conformance`."""

from __future__ import annotations

import argparse
import sys

from stepweave.conformance import add_arguments, run

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="stepweave conformance")
    add_arguments(parser)
    sys.exit(run(parser.parse_args()))
