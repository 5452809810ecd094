"""What became of an attempt to deliver one message, and what follows from it.

The tree of outcomes is the table "What an answer means" of RFC 5321 replies and RFC 3463 codes; how a reply becomes an
outcome is told in `recovery.mail.smtp.replies`, what an outcome does to a message is told here.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from recovery.domain.checkout import Cause, Message, MessageState
from recovery.domain.schedule import MOST_AMBIGUOUS, OnAmbiguous, Schedule

LONGEST_BACK_OFF = timedelta(hours=6)


class OutcomeKind(StrEnum):
    """What one attempt came to."""

    SENT = "sent"
    UNSENT = "unsent"
    """No connection was free in time: the message was not handed over at all."""
    CALLED_OFF = "called off"
    """It must not be handed over any more, or that could not be known in time: it goes back, to be looked at again."""
    FAILED = "failed"
    """An error of our own, before the content."""
    SKIPPED = "skipped"
    """Its address is not to be written to: the message was not even made."""
    DEFERRED = "deferred"
    """Its address has had mail, or is about to: the message becomes due later."""
    CONNECTION = "connection"
    """The relay could not be reached."""
    DROPPED = "dropped"
    """The relay went away, or fell silent, after it was told of the message and before its content."""
    THROTTLED = "throttled"
    """The relay says that we send too much or too fast: nothing is wrong with the message."""
    LATER = "later"
    """The relay asks to try this message again later."""
    DEAD_ADDRESS = "dead address"
    DEAD_MESSAGE = "dead message"
    OUR_FAULT = "our fault"
    """The relay refuses us, whatever the message: wrong credentials, policy, a broken conversation."""
    AMBIGUOUS = "ambiguous"
    """The content was on the wire and no reply came: the relay may have taken the message or not."""
    RENDER_ERROR = "render error"

    @property
    def blames_relay(self) -> bool:
        """Whether the fault lies with the relay or with us, so that every other message would meet it too."""
        return self in _RELAYS_FAULTS

    @property
    def tells_of_relay(self) -> bool:
        """Whether the relay was spoken to, so that it is known how it is."""
        return self not in _WITHOUT_RELAY


_WITHOUT_RELAY = (
    OutcomeKind.UNSENT,
    OutcomeKind.CALLED_OFF,
    OutcomeKind.FAILED,
    OutcomeKind.RENDER_ERROR,
    OutcomeKind.SKIPPED,
    OutcomeKind.DEFERRED,
)
_RELAYS_FAULTS = (
    OutcomeKind.THROTTLED,
    OutcomeKind.CONNECTION,
    OutcomeKind.DROPPED,
    OutcomeKind.OUR_FAULT,
    OutcomeKind.AMBIGUOUS,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt came to, with the relay's reply or the error in words, and the Message-ID it was made under.

    `until` is when a deferred message becomes due, or when a dropped one may be tried again.
    """

    kind: OutcomeKind
    reply: str
    message_id: str | None = None
    until: datetime | None = None

    @property
    def is_refusal(self) -> bool:
        """Whether the relay refused the message or its address for good: not we, so that its reply has a code."""
        return self.kind in (OutcomeKind.DEAD_ADDRESS, OutcomeKind.DEAD_MESSAGE) and self.reply[:3].isdigit()


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
