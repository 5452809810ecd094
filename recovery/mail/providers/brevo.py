"""Brevo: webhooks with a secret that we choose, as it does not sign them."""

from collections.abc import Sequence

from pydantic import Field

from recovery.mail.bounce_words import BounceKind
from recovery.mail.providers.provider import (
    JSON_OBJECT,
    At,
    EventType,
    Payload,
    ProviderEvent,
    Recipient,
    RejectReason,
    SignedRequest,
    Text,
    UnsignedProvider,
)

_TYPES: dict[str, tuple[EventType, RejectReason | None, BounceKind | None]] = {
    "hard_bounce": (EventType.BOUNCED, RejectReason.BOUNCED, BounceKind.HARD),
    "soft_bounce": (EventType.BOUNCED, RejectReason.BOUNCED, BounceKind.SOFT),
    "invalid_email": (EventType.BOUNCED, RejectReason.INVALID, BounceKind.HARD),
    "blocked": (EventType.REJECTED, RejectReason.BLOCKED, BounceKind.BLOCKED),
    "spam": (EventType.COMPLAINED, RejectReason.SPAM, BounceKind.COMPLAINT),
    "deferred": (EventType.DEFERRED, None, BounceKind.SOFT),
    "unsubscribe": (EventType.UNSUBSCRIBED, None, None),
    "unsubscribed": (EventType.UNSUBSCRIBED, None, None),
}
_OTHERS = {
    "request": EventType.QUEUED,
    "delivered": EventType.DELIVERED,
    "opened": EventType.OPENED,
    "unique_opened": EventType.OPENED,
    "click": EventType.CLICKED,
    "list_addition": EventType.SUBSCRIBED,
    "error": EventType.FAILED,
}


class _Kind(Payload):
    event: str = ""


class _Event(Payload):
    email: Recipient
    reason: Text = ""
    message: Text = Field("", alias="message-id")
    milliseconds: Text = Field("", alias="ts_epoch")
    at: At = Field(None, alias="ts_event")


class Brevo(UnsignedProvider):
    """Brevo: https://developers.brevo.com/docs/transactional-webhooks."""

    name, title = "brevo", "Brevo"

    def read(self, request: SignedRequest) -> Sequence[ProviderEvent]:
        """Return the events of a verified request."""
        content = JSON_OBJECT.validate_json(request.body)
        name = _Kind.model_validate(content).event
        if name not in _TYPES:
            return [ProviderEvent(_OTHERS.get(name, EventType.UNKNOWN))]
        type_, reason, kind = _TYPES[name]
        # Only `ts_epoch` is in UTC, whatever the time zone of the account.
        event = _Event.model_validate(content | {"ts_event": _seconds(content.get("ts_epoch"))})
        id_ = f"{event.message} {name} {event.milliseconds}"[:200]
        return [ProviderEvent(type_, event.email, id_, event.at, reason, kind, event.reason)]


def _seconds(milliseconds: object) -> float | None:
    if not isinstance(milliseconds, int | float):
        return None
    try:
        return milliseconds / 1000
    except OverflowError:  # an integer of hundreds of digits
        return None
