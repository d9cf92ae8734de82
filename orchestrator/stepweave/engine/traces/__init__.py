"""Spans and log records on disk, kept for some days and searched by people."""

from __future__ import annotations

from stepweave.engine.traces.store import Settings, Statistics, TraceStore

__all__ = ["Settings", "Statistics", "TraceStore"]
