"""Where the last run of Stepweave left a cron step, and what it missed since."""

from __future__ import annotations

from stepweave.engine.cron.job import MOST_MISSED, Job
from stepweave.engine.cron.runs import Notice
from stepweave.engine.store.operations import WRONG_CLOCK_MS

__all__ = ["set_right", "take_up"]

_MOST_COUNTED = 100


def take_up(job: Job, now: int, notice: Notice) -> None:
    """Note which times passed since the newest one that is recorded, as far as they matter.

    A paused step missed nothing. When the clock is behind what is recorded, the step waits for
    that time, so that nothing is repeated.
    """
    if job.newest is None:
        return
    if job.newest > now:
        job.due = job.schedule.after(job.newest)
        notice(
            "warn",
            f"{job.step.name} ran for {job.shown(job.newest)}, which is yet to come: the clock was "
            f"set back. It runs next at {job.shown(job.due)}",
            None,
        )
    elif not job.paused:
        most = MOST_MISSED if job.step.catch_up == "all" else _MOST_COUNTED
        times = job.schedule.between(job.newest, now, most + 1)
        if times:
            notice(*_told(job, times, most), None)
            if job.catches_up:
                job.owe(times[-most:])


def set_right(job: Job, now: int, notice: Notice) -> bool:
    """Forget the newest time that is recorded if only a wrong clock can have come to it, so that
    the step need not wait for it; whether it was so."""
    if job.newest is None or job.newest <= now + WRONG_CLOCK_MS:
        return False
    job.due = job.schedule.after(now)
    notice(
        "warn",
        f"{job.step.name} ran for {job.shown(job.newest)}, more than a day from now: the clock "
        f"was wrong then. It runs next at {job.shown(job.due)}",
        None,
    )
    job.newest = now
    return True


def _told(job: Job, times: list[int], most: int) -> tuple[str, str]:
    """Level and sentence about times that passed while nothing ran."""
    too_many = len(times) > most
    count = f"more than {most:,} times" if too_many else f"{len(times)} times"
    count = "1 time" if len(times) == 1 else count
    what = f"{job.step.name} missed {count} while nothing ran"
    newest = job.shown(times[-1])
    if job.step.catch_up == "none":
        return "info", f"{what}, the last at {newest}; they are passed over"
    if job.step.catch_up == "once":
        return "info", f"{what}; it runs once, for {newest}"
    if too_many:
        return "warn", f"{what}; it runs for each of the newest {most:,}, one after another"
    return "info", f"{what}; it runs for each, one after another"
