"""Mailgun: webhooks signed by an HMAC over time and token. The signature does not cover the event itself."""

import hmac
from collections.abc import Sequence

from pydantic import Field, ValidationError

from recovery.mail.bounce_words import BounceKind, judged
from recovery.mail.providers.provider import (
    JSON_OBJECT,
    At,
    EventType,
    Payload,
    Provider,
    ProviderEvent,
    Recipient,
    RejectReason,
    SignedRequest,
    Text,
    is_fresh,
    same,
)

_TYPES = {
    "accepted": EventType.QUEUED,
    "rejected": EventType.REJECTED,
    "delivered": EventType.DELIVERED,
    "failed": EventType.BOUNCED,
    "opened": EventType.OPENED,
    "clicked": EventType.CLICKED,
    "unsubscribed": EventType.UNSUBSCRIBED,
    "complained": EventType.COMPLAINED,
}
_REASONS = {"bounce": RejectReason.BOUNCED, "suppress-bounce": RejectReason.BOUNCED}
_SUPPRESSED = {"suppress-bounce": BounceKind.SOFT, "suppress-complaint": BounceKind.COMPLAINT}
"""What is on Mailgun's own lists, so that it did not even try."""


class _Signature(Payload):
    timestamp: Text
    token: str
    signature: str


class _Signed(Payload):
    signature: _Signature
    data: dict[str, object] = Field(alias="event-data")


class _Status(Payload):
    message: Text = ""
    description: Text = ""
    enhanced: Text = Field("", alias="enhanced-code")


def _no_status() -> _Status:
    return _Status.model_validate({})


class _Event(Payload):
    email: Recipient = Field(alias="recipient")
    severity: Text = ""
    reason: Text = ""
    status: _Status = Field(default_factory=_no_status, alias="delivery-status")
    id: Text = ""
    at: At = Field(None, alias="timestamp")


class Mailgun(Provider):
    """Mailgun: https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhooks."""

    name, title, signs = "mailgun", "Mailgun", "`signature` in the body"

    def verify(self, request: SignedRequest, secrets: Sequence[str]) -> bool:
        """Return whether one of the keys signed the time and the token."""
        try:
            given = _Signed.model_validate_json(request.body).signature
        except ValidationError:
            return False
        signed = f"{given.timestamp}{given.token}".encode(errors="replace")
        expected = [hmac.digest(secret.encode(), signed, "sha256").hex() for secret in secrets]
        return same(given.signature, expected) and is_fresh(given.timestamp, request.now)

    def read(self, request: SignedRequest) -> Sequence[ProviderEvent]:
        """Return the events of a verified request."""
        content = JSON_OBJECT.validate_json(request.body)
        data = _Signed.model_validate(content).data
        type_ = _TYPES.get(str(data.get("event")), EventType.UNKNOWN)
        if type_ not in (EventType.BOUNCED, EventType.UNSUBSCRIBED, EventType.COMPLAINED):
            return [ProviderEvent(type_)]
        event = _Event.model_validate(data)
        if type_ is EventType.BOUNCED and event.severity == "temporary":
            type_ = EventType.DEFERRED
        reason = _REASONS.get(event.reason, RejectReason.OTHER) if event.reason else None
        words = event.status.message or event.status.description
        return [ProviderEvent(type_, event.email, event.id, event.at, reason, _kind(type_, event, words), words)]


def _kind(type_: EventType, event: _Event, words: str) -> BounceKind | None:
    match type_:
        case EventType.COMPLAINED:
            return BounceKind.COMPLAINT
        case EventType.DEFERRED:
            return BounceKind.SOFT
        case EventType.BOUNCED if event.reason == "suppress-unsubscribe":
            return None
        case EventType.BOUNCED:
            return _SUPPRESSED.get(event.reason) or judged(event.status.enhanced, words)
        case _:
            return None
