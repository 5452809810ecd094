"""Twilio SendGrid: signed event webhooks (ECDSA over the time and the body), many events in one."""

import base64
from binascii import Error as NotBase64
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pydantic import Field, ValidationError

from recovery.mail.bounce_words import BounceKind
from recovery.mail.providers.provider import (
    JSON_OBJECTS,
    At,
    EventType,
    Payload,
    Provider,
    ProviderEvent,
    Recipient,
    RejectReason,
    SignedRequest,
    Text,
    exact_base64,
    is_fresh,
)

SIGNATURE = "x-twilio-email-event-webhook-signature"
TIMESTAMP = "x-twilio-email-event-webhook-timestamp"

_TYPES = {
    "bounce": EventType.BOUNCED,
    "deferred": EventType.DEFERRED,
    "delivered": EventType.DELIVERED,
    "dropped": EventType.REJECTED,
    "processed": EventType.QUEUED,
    "click": EventType.CLICKED,
    "open": EventType.OPENED,
    "spamreport": EventType.COMPLAINED,
    "unsubscribe": EventType.UNSUBSCRIBED,
    "group_unsubscribe": EventType.UNSUBSCRIBED,
    "group_resubscribe": EventType.SUBSCRIBED,
}
_OF_INTEREST = {
    *(EventType.BOUNCED, EventType.DEFERRED, EventType.REJECTED, EventType.COMPLAINED, EventType.UNSUBSCRIBED),
}
_REASONS = {
    "invalid": RejectReason.INVALID,
    "bounced address": RejectReason.BOUNCED,
    "bounce": RejectReason.BOUNCED,
    "unsubscribed address": RejectReason.UNSUBSCRIBED,
    "spam reporting address": RejectReason.SPAM,
    "blocked": RejectReason.BLOCKED,
    "expired": RejectReason.TIMED_OUT,
}
"""The meaning of `type` or `reason` of what was dropped."""

_DROPPED = {
    RejectReason.INVALID: BounceKind.HARD,
    RejectReason.BOUNCED: BounceKind.SOFT,  # it is on SendGrid's own list, whatever put it there
    RejectReason.SPAM: BounceKind.COMPLAINT,
}
_ABOUT_THE_ADDRESS = ("", "invalid address", "mailbox unavailable", "unclassified")
"""Values of `bounce_classification`: others are about content, reputation, volume or technical faults."""


class _Event(Payload):
    email: Recipient
    type: Text = ""
    reason: Text = ""
    response: Text = ""
    classification: Text = Field("", alias="bounce_classification")
    id: Text = Field("", alias="sg_event_id")
    at: At = Field(None, alias="timestamp")


class SendGrid(Provider):
    """SendGrid: https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event."""

    name, title, signs = "sendgrid", "SendGrid", "X-Twilio-Email-Event-Webhook-Signature"

    def verify(self, request: SignedRequest, secrets: Sequence[str]) -> bool:
        """Return whether one of the public keys (base64, as SendGrid shows them) verifies the signature."""
        time = request.headers.get(TIMESTAMP, "")
        if not is_fresh(time, request.now):
            return False
        signature = exact_base64(request.headers.get(SIGNATURE, ""))
        return signature is not None and any(_verifies(key, signature, time.encode() + request.body) for key in secrets)

    def read(self, request: SignedRequest) -> Sequence[ProviderEvent | ValidationError]:
        """Return the events of a verified request."""
        return [_read(each) for each in JSON_OBJECTS.validate_json(request.body)]


def _verifies(key: str, signature: bytes, signed: bytes) -> bool:
    try:
        public = load_der_public_key(base64.b64decode(key))
    except (NotBase64, ValueError, UnsupportedAlgorithm):
        return False
    if not isinstance(public, EllipticCurvePublicKey):
        return False
    try:
        public.verify(signature, signed, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def _read(content: dict[str, object]) -> ProviderEvent | ValidationError:
    type_ = _TYPES.get(str(content.get("event")), EventType.UNKNOWN)
    if type_ not in _OF_INTEREST:
        return ProviderEvent(type_)
    try:
        event = _Event.model_validate(content)
    except ValidationError as exc:
        return exc
    reason, words = None, event.response or event.reason
    if type_ is EventType.REJECTED:
        reason, words = _REASONS.get((event.type or event.reason).lower(), RejectReason.OTHER), ""
        type_ = EventType.REJECTED
    return ProviderEvent(type_, event.email, event.id, event.at, reason, _kind(type_, event, reason), words)


def _kind(type_: EventType, event: _Event, reason: RejectReason | None) -> BounceKind | None:
    match type_:
        case EventType.COMPLAINED:
            return BounceKind.COMPLAINT
        case EventType.DEFERRED:
            return BounceKind.SOFT
        case EventType.REJECTED:
            return _DROPPED.get(reason) if reason is not None else None
        case EventType.BOUNCED:
            dead = event.type in ("", "bounce") and event.classification.lower() in _ABOUT_THE_ADDRESS
            return BounceKind.HARD if dead else BounceKind.SOFT
        case _:
            return None
