"""What the end of a run means for its delivery: settled, tried again, or a dead letter."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from stepweave.calls import Call, Outcome, now_ms
from stepweave.engine.delivery import batches, refusals, retries
from stepweave.engine.delivery.cancelled import Cancelled
from stepweave.engine.delivery.event import UNKNOWN, Delivery, Event
from stepweave.engine.delivery.records import Records
from stepweave.engine.delivery.retries import Verdict
from stepweave.engine.delivery.subscription import Subscription
from stepweave.engine.store.operations import Bury, Retry, Settle
from stepweave.errors import InvalidInput

__all__ = ["Ends", "Notice"]

INVALID = "invalid input"
"""Why an event whose data does not fit is a dead letter."""

Notice = Callable[[str, str, Call | None], None]
"""(level, message, the call it is about) for the log."""


class Ends:
    """Settles, retries or buries the deliveries whose runs have ended.

    `delay` takes a delivery until it is due; `ended` is called for each one that is settled or
    buried.
    """

    def __init__(
        self,
        records: Records,
        notice: Notice,
        *,
        delay: Callable[[Delivery], None],
        ended: Callable[[Delivery], None],
        cancelled: Cancelled,
    ) -> None:
        self._records = records
        self._notice = notice
        self._delay = delay
        self._ended = ended
        self._cancelled = cancelled
        self.delivered = 0
        self.retried = 0
        self.buried = 0

    def of(
        self, subscription: Subscription, delivery: Delivery, call: Call, outcome: Outcome
    ) -> None:
        """A run of one delivery has ended."""
        if outcome.status == "ok":
            self.delivered += 1
            if call.transaction is None:
                self.settle(subscription, delivery)
            else:
                # Its settlement was committed together with what the handler did.
                self._over(subscription, delivery)
            return
        if refusals.is_refusal(outcome):
            listed = refusals.text(outcome)
            name = subscription.step.name
            message = f"{delivery.event.topic} does not match the input of {name}: {listed}"
            error = {**(outcome.error or {}), "message": message}
            self._bury(subscription, delivery, Outcome("error", None, error), INVALID)
            return
        queue = subscription.step.infrastructure.queue
        next = retries.verdict(delivery, queue, outcome)
        if outcome.status == "lost" and next is not Verdict.KEEP:
            delivery.deaths += 1
        if next is Verdict.KEEP:
            subscription.over(delivery, keep=True)
        elif next is Verdict.AGAIN:
            pause = retries.later_ms(outcome, delivery.put_off)
            delivery.put_off += 1
            self.again(subscription, delivery, pause)
        elif next is Verdict.RETRY:
            self._retry(subscription, delivery, call, outcome)
        else:
            message = (outcome.error or {}).get("message", "")
            self._notice("error", self._last_words(subscription, delivery, message), call)
            self._bury(subscription, delivery, outcome, outcome.status)

    def of_batch(
        self,
        subscription: Subscription,
        deliveries: list[Delivery],
        call: Call,
        outcome: Outcome,
    ) -> None:
        """A run of several together has ended."""
        named: set[int] = set()
        if outcome.status == "ok":
            try:
                named = batches.failed(outcome.result, len(deliveries))
            except InvalidInput as error:
                outcome = Outcome("error", None, error.to_wire())
        elif refusals.is_refusal(outcome):
            self._batch_refused(subscription, deliveries, call, outcome)
            return
        message = "the handler named it among those of its batch that failed"
        refused = Outcome("error", None, {"code": "handler_failed", "message": message})
        for position, delivery in enumerate(deliveries):
            each = refused if position in named else outcome
            self.of(subscription, delivery, call, each)

    def invalid(self, subscription: Subscription, delivery: Delivery, problem: str) -> None:
        """The data of a delivery does not fit, so that its handler is not run."""
        error = {"code": "invalid_payload", "message": problem}
        self._bury(subscription, delivery, Outcome("error", None, error), INVALID)

    def again(self, subscription: Subscription, delivery: Delivery, pause_ms: int) -> None:
        """Deliver once more, for a reason that is not the event's own and does not count."""
        delivery.due_at = now_ms() + pause_ms
        subscription.over(delivery, keep=True)
        self._delay(delivery)

    def settle(self, subscription: Subscription, delivery: Delivery) -> None:
        """A delivery is done."""
        last = self._last(delivery.event)
        self._end(subscription, delivery, Settle(delivery.event.id, subscription.name, last))

    def _batch_refused(
        self,
        subscription: Subscription,
        deliveries: list[Delivery],
        call: Call,
        outcome: Outcome,
    ) -> None:
        """Bury those that do not fit; the handler has not run, so the others lose no try."""
        apart = refusals.by_position(outcome, len(deliveries))
        for position, delivery in enumerate(deliveries):
            if position in apart:
                self.of(subscription, delivery, call, apart[position])
            else:
                self.again(subscription, delivery, 0)

    def _retry(
        self, subscription: Subscription, delivery: Delivery, call: Call, outcome: Outcome
    ) -> None:
        """Try again later; the store knows before the delivery is queued again."""
        queue = subscription.step.infrastructure.queue
        pause = retries.pause_ms(delivery, queue, outcome)
        error = _error_bytes(delivery, outcome)
        delivery.attempt += 1
        delivery.put_off = 0
        delivery.due_at = now_ms() + pause
        self.retried += 1
        message = (outcome.error or {}).get("message", "")
        self._notice(
            "warn",
            f"{delivery.event.topic}: {subscription.name} failed ({message}); "
            f"try {delivery.attempt} of {queue.max_retries + 1} in {pause / 1000:.3g} s",
            call,
        )
        op = Retry(delivery.event.id, subscription.name, delivery.attempt, delivery.due_at, error)
        self._records.retry(op, lambda: self._delay(delivery))
        subscription.over(delivery, keep=True)

    def _last_words(self, subscription: Subscription, delivery: Delivery, message: str) -> str:
        group = delivery.event.group
        tries = "once" if delivery.attempt == 1 else f"{delivery.attempt} times"
        text = (
            f"{delivery.event.topic}: {subscription.name} failed {tries} and is now a dead letter "
            f"({message})"
        )
        if subscription.holds and group is not None:
            text += f"; its group {group} waits until that is retried or discarded"
        return text

    def _bury(
        self, subscription: Subscription, delivery: Delivery, outcome: Outcome, reason: str
    ) -> None:
        event = delivery.event
        holds = subscription.holds and event.group is not None
        self.buried += 1
        op = Bury(
            event.id,
            subscription.name,
            delivery.attempt,
            reason,
            _error_bytes(delivery, outcome),
            now_ms(),
            self._last(event),
            holds,
        )
        if event.pending > 0:
            # Whoever settles last must not take away what the store may refuse to bury.
            event.pending = UNKNOWN
        if holds and event.group is not None:
            subscription.held[event.group] = subscription.held.get(event.group, 0) + 1
        self._end(subscription, delivery, op)

    def _last(self, event: Event) -> bool | None:
        """Whether an event has no delivery left but the one that is over now, None if only the
        store can tell."""
        if self._cancelled and self._cancelled.concerns(event.id):
            event.pending = UNKNOWN
        return event.settle()

    def _end(self, subscription: Subscription, delivery: Delivery, op: Settle | Bury) -> None:
        """A delivery is over for good. The next of its group begins once that is recorded: after
        a crash it would otherwise have begun before this one ran again."""
        if delivery.event.group is None or not subscription.fifo:
            self._records.end(op, None)
            self._over(subscription, delivery)
        else:
            self._records.end(op, lambda: subscription.over(delivery))
            self._over(subscription, delivery, keep=True)

    def _over(self, subscription: Subscription, delivery: Delivery, *, keep: bool = False) -> None:
        self._ended(delivery)
        subscription.over(delivery, keep=keep)


def _error_bytes(delivery: Delivery, outcome: Outcome) -> bytes:
    error = {
        "attempt": delivery.attempt,
        "status": outcome.status,
        "at": now_ms(),
        **(outcome.error or {}),
    }
    return orjson.dumps(error, default=str)
