"""The retry policy: what an outcome makes of a message, and the backoff until its next attempt."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from recovery.domain.decision import MOST_AMBIGUOUS
from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.schedule import OnAmbiguous, Schedule
from recovery.domain.state import Cause, Message, MessageState

LONGEST_BACK_OFF = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an outcome makes of a message: its state, its attempts, when to try again or to be due, why it is dead.

    `ambiguous` is how often it may have been taken without our knowing.
    """

    state: MessageState
    attempts: int
    retry_at: datetime | None = None
    deferred_to: datetime | None = None
    cause: Cause | None = None
    ambiguous: int = 0


def settle(outcome: Outcome, message: Message, schedule: Schedule, now: datetime, jitter: float) -> Settlement:
    """Return what `outcome` makes of a message as it was claimed, with this attempt counted.

    `jitter` is a number in [0, 1) that spreads the retries of messages refused together.
    """
    kind, attempts = outcome.kind, message.attempts
    if kind is OutcomeKind.AMBIGUOUS:
        return _ambiguous(message, schedule, now, jitter)
    settled = Settlement(MessageState.SENT, attempts, ambiguous=message.ambiguous)
    if kind is OutcomeKind.SENT:
        return settled
    if kind in _CAUSES:
        return replace(settled, state=MessageState.DEAD, cause=_CAUSES[kind])
    if kind is OutcomeKind.SKIPPED:
        return replace(settled, state=MessageState.SKIPPED, attempts=attempts - 1)
    waiting = replace(settled, state=MessageState.WAITING)
    if kind in (OutcomeKind.UNSENT, OutcomeKind.CALLED_OFF):
        return replace(waiting, attempts=attempts - 1)
    if kind is OutcomeKind.DEFERRED:
        return replace(waiting, attempts=attempts - 1, deferred_to=outcome.until)
    if kind in _PAUSES:
        retry_at = outcome.until or now + min(_PAUSES[kind], schedule.retry_after) * (1 + jitter)
        return replace(waiting, attempts=attempts - 1, retry_at=retry_at)
    return _tried(waiting, schedule, now, jitter)


def _ambiguous(message: Message, schedule: Schedule, now: datetime, jitter: float) -> Settlement:
    """Give up what may have been taken, or try it once more: of a second time nobody would ever hear the end."""
    ambiguous = message.ambiguous + 1
    if schedule.on_ambiguous is OnAmbiguous.SKIP or ambiguous > MOST_AMBIGUOUS:
        return Settlement(MessageState.DEAD, message.attempts, cause=Cause.LOST, ambiguous=ambiguous)
    waiting = Settlement(MessageState.WAITING, message.attempts, ambiguous=ambiguous)
    return _tried(waiting, schedule, now, jitter)


def _tried(waiting: Settlement, schedule: Schedule, now: datetime, jitter: float) -> Settlement:
    if waiting.attempts >= schedule.max_attempts:
        return replace(waiting, state=MessageState.DEAD, cause=Cause.ATTEMPTS)
    return replace(waiting, retry_at=now + back_off(waiting.attempts, schedule.retry_after, jitter))


_PAUSES = {
    OutcomeKind.CONNECTION: timedelta(seconds=1),
    OutcomeKind.DROPPED: timedelta(seconds=1),
    OutcomeKind.OUR_FAULT: timedelta(minutes=1),
    OutcomeKind.THROTTLED: timedelta(minutes=5),
}
"""The breaker stops all messages; these stop one that the relay breaks on, or refuses us, while it takes others."""

_CAUSES = {
    OutcomeKind.DEAD_ADDRESS: Cause.DEAD_ADDRESS,
    OutcomeKind.DEAD_MESSAGE: Cause.DEAD_MESSAGE,
    OutcomeKind.RENDER_ERROR: Cause.RENDER_ERROR,
}


def back_off(attempts: int, first: timedelta, jitter: float) -> timedelta:
    """Return how long to wait after the given number of attempts: doubling from `first`, up to half as much again."""
    return min(first * (1 << min(attempts - 1, 20)), LONGEST_BACK_OFF) * (1 + jitter / 2)
