"""The conformance kit: proves that a program is a runner (SPEC 10)."""

from __future__ import annotations

from stepweave.conformance.command import add_arguments, run

__all__ = ["add_arguments", "run"]
