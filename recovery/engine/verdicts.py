"""The verdict on the end of a send: what it means for its message, and what breaker and governor learn from it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from recovery.domain.outcome import OutcomeKind
from recovery.engine.breaker import Breaker
from recovery.engine.flight import Ended
from recovery.engine.receivers import Count, Governor
from recovery.engine.setbacks import Setbacks


class Verdicts:
    """Lays each failure on the receiver, the relay or the message, and says how long the message waits.

    Times are seconds of a monotonic clock (`now`), or the database's time (`at`). `jitter` returns a number in [0, 1).
    """

    def __init__(self, breaker: Breaker, governor: Governor, jitter: Callable[[], float]) -> None:
        self._breaker = breaker
        self._governor = governor
        self._jitter = jitter
        self._blamed = Setbacks()
        self._throttled = Setbacks()

    def on(self, ended: Ended, now: float, at: datetime) -> tuple[Ended, bool]:
        """Return an end with its meaning for the message, and whether the relay throttled it."""
        by_receiver = self._of_receiver(ended, now, at)
        if by_receiver is not None:
            return by_receiver, False
        return self._of_relay(ended, now, at), ended.outcome.kind is OutcomeKind.THROTTLED

    def forget(self, id_: str) -> None:
        """Start again with the message of this checkout: it was not tried."""
        self._blamed.forget(id_)
        self._throttled.forget(id_)

    def _of_receiver(self, ended: Ended, now: float, at: datetime) -> Ended | None:
        """Return the end if the receiver alone throttles or blocks us, else None.

        The relay is not at fault: it answers, and takes what is for others. The message waits, and no attempt counts,
        unless the receiver takes others meanwhile and refuses this one again and again.
        """
        id_, outcome, customer = ended.flight.id, ended.outcome, ended.flight.checkout.facts.customer
        if customer is None:
            return None
        receiver = self._governor.of(customer.address)
        word = self._governor.tell(id_, receiver, outcome, now, at)
        if word is None:
            return None
        self._breaker.tell(id_, replace(outcome, kind=OutcomeKind.LATER), now)
        is_sure = outcome.kind in (OutcomeKind.THROTTLED, OutcomeKind.DROPPED)
        pause = self._throttled.add(id_, now, None if is_sure else self._governor.passed_at(receiver))
        if pause is None:
            return replace(ended, outcome=replace(outcome, kind=OutcomeKind.LATER))
        if word is Count.BLOCKED:  # its pause is the retry policy's
            return replace(ended, outcome=replace(outcome, kind=OutcomeKind.OUR_FAULT, until=None))
        return replace(ended, outcome=replace(outcome, kind=OutcomeKind.THROTTLED, until=self._after(at, pause)))

    def _of_relay(self, ended: Ended, now: float, at: datetime) -> Ended:
        """Report an outcome to the breaker; return the end."""
        id_, outcome = ended.flight.id, ended.outcome
        pause: float | None = None
        if outcome.kind in (OutcomeKind.DROPPED, OutcomeKind.OUR_FAULT):
            pause = self._blamed.add(id_, now, self._breaker.passed_at)
            if pause is None:
                return replace(ended, outcome=replace(outcome, kind=OutcomeKind.LATER))
        else:
            self._blamed.forget(id_)
        self._breaker.tell(id_, outcome, now)
        if outcome.kind is OutcomeKind.THROTTLED:
            pause = self._throttled.add(id_, now, None)
        else:
            self._throttled.forget(id_)
        if pause is None or outcome.kind is OutcomeKind.OUR_FAULT:  # its pause is the retry policy's
            return ended
        return replace(ended, outcome=replace(outcome, until=self._after(at, pause)))

    def _after(self, at: datetime, pause: float) -> datetime:
        return at + timedelta(seconds=pause * (1 + self._jitter()))
