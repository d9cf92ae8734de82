"""The checks of `stepweave doctor`: what is there, what is missing, how to mend it."""

from __future__ import annotations

from stepweave.cli.checkup.check import Check, Status

__all__ = ["Check", "Status"]
