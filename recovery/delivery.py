"""What became of an attempt to deliver one message, and what follows from it.

The tree of outcomes is the table "What an answer means" of RFC 5321 replies and RFC 3463 codes; how a reply becomes an
outcome is told in `recovery.mail.replies`, what an outcome does to a message is told here.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from recovery.checkout import Cause, MessageState
from recovery.schedule import OnAmbiguous, Schedule

LONGEST_BACK_OFF = timedelta(hours=6)


class OutcomeKind(StrEnum):
    """What one attempt came to."""

    SENT = "sent"
    UNSENT = "unsent"
    """No connection was free in time: the message was not handed over at all."""
    SKIPPED = "skipped"
    """Its address is not to be written to: the message was not even made."""
    DEFERRED = "deferred"
    """Its address has had mail, or is about to: the message becomes due later."""
    CONNECTION = "connection"
    """The relay could not be reached, or went away before the message was handed over."""
    LATER = "later"
    """The relay asks to try this message again later."""
    DEAD_ADDRESS = "dead address"
    DEAD_MESSAGE = "dead message"
    OUR_FAULT = "our fault"
    """The relay refuses us, whatever the message: wrong credentials, policy, a broken conversation."""
    AMBIGUOUS = "ambiguous"
    """Lost after the final dot: the relay may have taken the message or not."""
    RENDER_ERROR = "render error"

    @property
    def blames_relay(self) -> bool:
        """Whether the fault lies with the relay or with us, so that every other message would meet it too."""
        return self in (OutcomeKind.CONNECTION, OutcomeKind.OUR_FAULT)

    @property
    def tells_of_relay(self) -> bool:
        """Whether the relay was spoken to, so that it is known how it is."""
        return self not in (OutcomeKind.UNSENT, OutcomeKind.SKIPPED, OutcomeKind.DEFERRED)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt came to, with the relay's reply or the error in words, and the Message-ID it was made under.

    `until` is when a deferred message becomes due.
    """

    kind: OutcomeKind
    reply: str
    message_id: str | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an outcome makes of a message: its state, its attempts, when to try again or to be due, why it is dead."""

    state: MessageState
    attempts: int
    retry_at: datetime | None = None
    deferred_to: datetime | None = None
    cause: Cause | None = None


def settle(outcome: Outcome, attempts: int, schedule: Schedule, now: datetime, jitter: float) -> Settlement:
    """Return what `outcome` makes of a message that has been tried `attempts` times, this one included.

    `jitter` is a number in [0, 1) that spreads the retries of messages refused together.
    """
    kind = outcome.kind
    if kind is OutcomeKind.SENT:
        return Settlement(MessageState.SENT, attempts)
    if kind is OutcomeKind.UNSENT:
        return Settlement(MessageState.WAITING, attempts - 1)
    if kind is OutcomeKind.SKIPPED:
        return Settlement(MessageState.SKIPPED, attempts - 1)
    if kind is OutcomeKind.DEFERRED:
        return Settlement(MessageState.WAITING, attempts - 1, deferred_to=outcome.until)
    if kind in _PAUSES:
        return Settlement(MessageState.WAITING, attempts - 1, retry_at=now + _PAUSES[kind] * (1 + jitter))
    if kind in _CAUSES:
        return Settlement(MessageState.DEAD, attempts, cause=_CAUSES[kind])
    if kind is OutcomeKind.AMBIGUOUS and schedule.on_ambiguous is OnAmbiguous.SKIP:
        return Settlement(MessageState.DEAD, attempts, cause=Cause.LOST)
    if attempts >= schedule.max_attempts:
        return Settlement(MessageState.DEAD, attempts, cause=Cause.ATTEMPTS)
    return Settlement(MessageState.WAITING, attempts, retry_at=now + back_off(attempts, schedule.retry_after, jitter))


_PAUSES = {OutcomeKind.CONNECTION: timedelta(seconds=1), OutcomeKind.OUR_FAULT: timedelta(minutes=1)}
"""The breaker stops all messages; these stop one that the relay breaks on, or refuses us, while it takes others."""

_CAUSES = {
    OutcomeKind.DEAD_ADDRESS: Cause.DEAD_ADDRESS,
    OutcomeKind.DEAD_MESSAGE: Cause.DEAD_MESSAGE,
    OutcomeKind.RENDER_ERROR: Cause.RENDER_ERROR,
}


def back_off(attempts: int, first: timedelta, jitter: float) -> timedelta:
    """Return how long to wait after the given number of attempts: doubling from `first`, up to half as much again."""
    return min(first * (1 << min(attempts - 1, 20)), LONGEST_BACK_OFF) * (1 + jitter / 2)
