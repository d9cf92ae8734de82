"""Stepweave: steps in four languages as one running system."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
