"""The retry policy: the message after an attempt to send it, and the backoff until the next attempt."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from recovery.domain.decision import MOST_AMBIGUOUS
from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.schedule import OnAmbiguous, Schedule
from recovery.domain.state import Cause, Message, MessageState

LONGEST_BACK_OFF = timedelta(hours=6)

REPLY_KEPT = 500
"""Characters of a relay's reply that are kept."""


def changes_after(
    outcome: Outcome, message: Message, schedule: Schedule, now: datetime, jitter: float
) -> Mapping[str, Any]:
    """Return the changes of a message after an attempt that ended with `outcome`: sent, dead, or waiting for its next.

    `message` is as it was claimed, with this attempt counted. `jitter` is a number in [0, 1) that spreads the retries
    of messages that were refused together.
    """
    ended = {"message_id": outcome.message_id, "reply": outcome.reply[:REPLY_KEPT], "handed_over": None}
    return ended | _changes(outcome, message, schedule, now, jitter)


def _changes(outcome: Outcome, message: Message, schedule: Schedule, now: datetime, jitter: float) -> dict[str, Any]:
    kind = outcome.kind
    if kind is OutcomeKind.SENT:
        return {"state": MessageState.SENT, "sent_at": now}
    if kind is OutcomeKind.AMBIGUOUS:
        return _ambiguous(message, schedule, now, jitter)
    if kind in _CAUSES:
        return _dead(_CAUSES[kind])
    uncounted = {"state": MessageState.WAITING, "attempts": message.attempts - 1}
    if kind in (OutcomeKind.UNSENT, OutcomeKind.CALLED_OFF):
        return uncounted
    if kind in _PAUSES:
        retry_at = outcome.until or now + min(_PAUSES[kind], schedule.retry_after) * (1 + jitter)
        return {**uncounted, "retry_at": retry_at}
    return _tried(message, schedule, now, jitter)


def _ambiguous(message: Message, schedule: Schedule, now: datetime, jitter: float) -> dict[str, Any]:
    """Give up a message that may have been taken, or try it once again: a second doubt would never be resolved."""
    ambiguous = message.ambiguous + 1
    if schedule.on_ambiguous is OnAmbiguous.SKIP or ambiguous > MOST_AMBIGUOUS:
        return {**_dead(Cause.LOST), "ambiguous": ambiguous}
    return {**_tried(message, schedule, now, jitter), "ambiguous": ambiguous}


def _tried(message: Message, schedule: Schedule, now: datetime, jitter: float) -> dict[str, Any]:
    if message.attempts >= schedule.max_attempts:
        return _dead(Cause.ATTEMPTS)
    retry_at = now + back_off(message.attempts, schedule.retry_after, jitter)
    return {"state": MessageState.WAITING, "retry_at": retry_at}


def _dead(cause: Cause) -> dict[str, Any]:
    return {"state": MessageState.DEAD, "reason": cause}


_PAUSES = {
    OutcomeKind.CONNECTION: timedelta(seconds=1),
    OutcomeKind.DROPPED: timedelta(seconds=1),
    OutcomeKind.OUR_FAULT: timedelta(minutes=1),
    OutcomeKind.THROTTLED: timedelta(minutes=5),
}
"""Pauses of a single message that the relay breaks on, or refuses us for, while it takes others.

The circuit breaker stops all messages; these keep one from being tried in a hot loop.
"""

_CAUSES = {
    OutcomeKind.DEAD_ADDRESS: Cause.DEAD_ADDRESS,
    OutcomeKind.DEAD_MESSAGE: Cause.DEAD_MESSAGE,
    OutcomeKind.RENDER_ERROR: Cause.RENDER_ERROR,
}


def back_off(attempts: int, first: timedelta, jitter: float) -> timedelta:
    """Return the pause after this many attempts: exponential backoff from `first`, at most 6 h, plus up to half."""
    return min(first * (1 << min(attempts - 1, 20)), LONGEST_BACK_OFF) * (1 + jitter / 2)
