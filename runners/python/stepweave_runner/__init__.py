"""The Python runner: loads step files and runs their handlers for a Stepweave orchestrator.

It lives in the interpreter of the project, Python 3.9 or newer, and needs nothing installed there.
To be read in this order: console, connection, peer, host, loader, context.
"""

from __future__ import annotations

__version__ = "0.1.0"
