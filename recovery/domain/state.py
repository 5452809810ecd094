"""What is kept of a checkout: its status, its messages, the claim on it, and its history."""

from collections.abc import Mapping
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
    """Where a checkout stands."""

    OPEN = "open"
    ORDERED = "ordered"
    CANCELLED = "cancelled"
    FINISHED = "finished"


class MessageState(StrEnum):
    """Where one message of a checkout stands."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    SKIPPED = "skipped"
    DEAD = "dead"

    @property
    def settled(self) -> bool:
        """Whether nothing will ever be done about this message again."""
        return self in (MessageState.SENT, MessageState.SKIPPED, MessageState.DEAD)


class Cause(StrEnum):
    """Why a message is dead."""

    DEAD_ADDRESS = "dead address"
    DEAD_MESSAGE = "dead message"
    ATTEMPTS = "attempts used up"
    RENDER_ERROR = "render error"
    LOST = "lost after the dot"
    INVALID = "invalid document"


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True)


class Message(_Kept):
    """What became of one message (a step's reminder, or the confirmation) of a checkout.

    `retry_at` is when a refused message may be tried again; `replayed_at` is when somebody asked for a dead one once
    more, which makes it due then. `deferred_to` is when it becomes due because its address had another mail before.
    `ambiguous` counts how often its content went out and nobody knows what became of it. `handed_over` says, while it
    is being sent, whether the content went out; None where that is not kept.
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
    ambiguous: Annotated[int, Field(ge=0)] = 0
    handed_over: bool | None = None

    @property
    def may_be_taken(self) -> bool:
        """Whether its sender died, and the relay may have it."""
        return self.state is MessageState.SENDING and self.handed_over is not False


class KeptConsent(_Kept):
    """A `Consent` as it is kept."""

    given: bool | None
    basis: str
    at: StoredInstant
    source: str


class Claim(_Kept):
    """The right of one sender to send one message of a checkout, until the lease ends."""

    token: str
    owner: str
    until: StoredInstant


class Past(_Kept):
    """One decision of the past, with its reason: what the shop's support staff read."""

    at: StoredInstant
    decision: str
    reason: str


class CheckoutState(_Kept):
    """A checkout as it is kept: the truth that every decision is made from."""

    id: Annotated[str, Field(alias="_id")]
    status: Status
    facts: Facts = Facts()
    consent: KeptConsent | None = None
    opened_at: StoredInstant
    touched_at: StoredInstant
    ordered_at: StoredInstant | None = None
    confirm: bool = True
    revision: Annotated[int, Field(ge=1)]
    messages: Mapping[str, Message] = Field(default_factory=dict)  # pydantic would copy a {} each time
    claim: Claim | None = None
    next_at: StoredInstant | None = None
    purge_at: StoredInstant | None = None
    history: tuple[Past, ...] = ()

    model_config = ConfigDict(frozen=True, validate_by_name=True, validate_by_alias=True)
