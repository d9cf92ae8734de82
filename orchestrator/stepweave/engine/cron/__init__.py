"""Cron steps: when each is due, what is recorded of it, and its runs."""

from __future__ import annotations

from stepweave.engine.cron.clock import Clock, SystemClock, Timer
from stepweave.engine.cron.runs import Ended
from stepweave.engine.cron.service import AlreadyRunning, CronService, NotServing

__all__ = ["AlreadyRunning", "Clock", "CronService", "Ended", "NotServing", "SystemClock", "Timer"]
