"""A user's project folder and its settings (stepweave.toml, .env, the environment)."""

from __future__ import annotations

from stepweave.project.folder import SETTINGS_FILE, NoProject, Project
from stepweave.project.reading import SettingsError
from stepweave.project.settings import (
    Cron,
    Events,
    Runner,
    Server,
    Settings,
    Shutdown,
    Steps,
    Storage,
    Streams,
    Traces,
)

__all__ = [
    "SETTINGS_FILE",
    "Cron",
    "Events",
    "NoProject",
    "Project",
    "Runner",
    "Server",
    "Settings",
    "SettingsError",
    "Shutdown",
    "Steps",
    "Storage",
    "Streams",
    "Traces",
]
