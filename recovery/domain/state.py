"""The stored state of a checkout: status, messages, claim and history."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
)

from recovery.domain.checkout import Facts
from recovery.domain.fields import StoredInstant


class Status(StrEnum):
    """The status of a checkout."""

    OPEN = "open"
    ORDERED = "ordered"
    CANCELLED = "cancelled"
    FINISHED = "finished"


class MessageState(StrEnum):
    """The state of one message of a checkout."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    SKIPPED = "skipped"
    DEAD = "dead"

    @property
    def settled(self) -> bool:
        """Whether this state is final."""
        return self in _SETTLED


_SETTLED = frozenset((MessageState.SENT, MessageState.SKIPPED, MessageState.DEAD))


class Cause(StrEnum):
    """The reason for a dead letter."""

    DEAD_ADDRESS = "dead address"
    DEAD_MESSAGE = "dead message"
    ATTEMPTS = "attempts used up"
    RENDER_ERROR = "render error"
    LOST = "lost after the dot"
    INVALID = "invalid document"


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True)


class Message(_Kept):
    """The state of one message (a step's reminder, or the confirmation) of a checkout.

    `retry_at` is the earliest time of the next attempt; `replayed_at` is the time at which an operator replayed a dead
    message, or sent one early, which makes it due then. `deferred_to` is the due time of a message that was postponed,
    by an operator or because its address had another mail. `coupon` is the code that the mail contains. `ambiguous`
    counts the attempts after which the relay may have taken it. `handed_over` says, while the message is being sent,
    whether its content was sent; None if that is not recorded.
    """

    state: MessageState = MessageState.WAITING
    attempts: Annotated[int, Field(ge=0)] = 0
    due_at: StoredInstant | None = None
    retry_at: StoredInstant | None = None
    replayed_at: StoredInstant | None = None
    deferred_to: StoredInstant | None = None
    sent_at: StoredInstant | None = None
    reason: str | None = None
    message_id: str | None = None
    reply: str | None = None
    coupon: str | None = None
    ambiguous: Annotated[int, Field(ge=0)] = 0
    handed_over: bool | None = None

    @property
    def may_be_taken(self) -> bool:
        """Whether its sender died and the relay may have the message."""
        return self.state is MessageState.SENDING and self.handed_over is not False


class KeptConsent(_Kept):
    """A `Consent` as stored."""

    given: bool | None
    basis: str
    at: StoredInstant
    source: str


class Pause(_Kept):
    """A pause of a checkout's reminders: since when, and why. A report of later activity ends it."""

    at: StoredInstant
    reason: str


class Claim(_Kept):
    """A lease: the right of one sender to send one message of a checkout, until a time.

    `token` is the fencing token, which every later write of the sender must match.
    """

    token: str
    owner: str
    until: StoredInstant


class Past(_Kept):
    """A history entry: one decision with its reason, for the shop's support staff."""

    at: StoredInstant
    decision: str
    reason: str


class CheckoutState(_Kept):
    """A checkout as stored: the single source of every decision.

    `active_at` is the time of the latest activity that was reported without facts, as of a cart. `returned` is when the
    customer came back by the link in a mail, by step; `experiments` is the checkout's arm in each experiment.
    """

    id: Annotated[str, Field(alias="_id")]
    status: Status
    facts: Facts = Facts()
    consent: KeptConsent | None = None
    opened_at: StoredInstant
    touched_at: StoredInstant
    active_at: StoredInstant | None = None
    paused: Pause | None = None
    ordered_at: StoredInstant | None = None
    confirm: bool = True
    revision: Annotated[int, Field(ge=1)]
    messages: Mapping[str, Message] = Field(default_factory=dict)  # pydantic would copy a {} each time
    claim: Claim | None = None
    next_at: StoredInstant | None = None
    purge_at: StoredInstant | None = None
    history: tuple[Past, ...] = ()
    returned: Mapping[str, StoredInstant] = Field(default_factory=dict)
    experiments: Mapping[str, str] = Field(default_factory=dict)

    model_config = ConfigDict(frozen=True, validate_by_name=True, validate_by_alias=True)

    @property
    def left_at(self) -> datetime:
        """The time of the customer's last activity, in the checkout or in its cart: the steps are counted from it."""
        return self.touched_at if self.active_at is None else max(self.touched_at, self.active_at)

    @property
    def pause(self) -> Pause | None:
        """The pause, or None if there is none, or the checkout was reported with later activity."""
        return self.paused if self.paused is not None and self.paused.at >= self.touched_at else None
