"""The outcome of one attempt to send a message.

`recovery.mail.smtp.replies` makes an outcome of a relay's reply; `recovery.domain.retry` says what follows from it.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class OutcomeKind(StrEnum):
    """What one attempt came to."""

    SENT = "sent"
    UNSENT = "unsent"
    """No connection was free in time: the message was not handed over at all."""
    CALLED_OFF = "called off"
    """It must not be handed over any more, or that could not be known in time: it goes back, to be looked at again."""
    FAILED = "failed"
    """An error of our own, before the content."""
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

    `until` is when a dropped message may be tried again.
    """

    kind: OutcomeKind
    reply: str
    message_id: str | None = None
    until: datetime | None = None

    @property
    def is_refusal(self) -> bool:
        """Whether the relay refused the message or its address for good: not we, so that its reply has a code."""
        return self.kind in (OutcomeKind.DEAD_ADDRESS, OutcomeKind.DEAD_MESSAGE) and self.reply[:3].isdigit()
