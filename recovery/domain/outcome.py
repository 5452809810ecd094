"""The outcome of one attempt to send a message.

`recovery.mail.smtp.replies` reads it from a relay's reply; `recovery.domain.retry` decides what follows.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class OutcomeKind(StrEnum):
    """The result of an attempt, by what can be done about it."""

    SENT = "sent"
    UNSENT = "unsent"
    """No connection was free in time: the message was not handed over at all."""
    CALLED_OFF = "called off"
    """The message must not be handed over, or the database did not answer in time: it goes back and stays due."""
    FAILED = "failed"
    """An error of our own, before the content."""
    CONNECTION = "connection"
    """The relay could not be reached."""
    DROPPED = "dropped"
    """The connection was lost, or the relay fell silent, between the envelope and the content of the message."""
    THROTTLED = "throttled"
    """The relay limits our rate or volume; the message itself is not at fault."""
    LATER = "later"
    """A temporary refusal of this message (4xx; others call it deferred)."""
    DEAD_ADDRESS = "dead address"
    DEAD_MESSAGE = "dead message"
    OUR_FAULT = "our fault"
    """The relay refuses us, whatever the message: wrong credentials, policy, a protocol error."""
    AMBIGUOUS = "ambiguous"
    """The content was sent and no reply came: the relay may have taken the message."""
    RENDER_ERROR = "render error"

    @property
    def blames_relay(self) -> bool:
        """Whether the fault is the relay's or ours, so that every other message would fail too."""
        return self in _RELAYS_FAULTS

    @property
    def tells_of_relay(self) -> bool:
        """Whether the attempt reached the relay, so that it shows the state of the relay."""
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
    """The result of one attempt, with the relay's reply or the error, and the Message-ID of the mail.

    `until` is the time from which a dropped message may be tried again. `to_recipient`: the reply is to RCPT, or to
    what came after it, so that it may be about the recipient.
    """

    kind: OutcomeKind
    reply: str
    message_id: str | None = None
    until: datetime | None = None
    to_recipient: bool = False

    @property
    def is_refusal(self) -> bool:
        """Whether the relay (not our own code: the reply has a status) refused the message or its address for good."""
        return self.kind in (OutcomeKind.DEAD_ADDRESS, OutcomeKind.DEAD_MESSAGE) and self.reply[:3].isdigit()
