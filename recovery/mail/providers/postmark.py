"""Postmark: webhooks with a secret that we choose, as it does not sign them."""

from collections.abc import Sequence

from pydantic import AliasChoices, Field

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

_OTHERS = {"Click": EventType.CLICKED, "Delivery": EventType.DELIVERED, "Open": EventType.OPENED}

_TYPES: dict[str, tuple[EventType, RejectReason | None, BounceKind | None]] = {
    "HardBounce": (EventType.BOUNCED, RejectReason.BOUNCED, BounceKind.HARD),
    "SoftBounce": (EventType.BOUNCED, RejectReason.BOUNCED, BounceKind.SOFT),
    "Transient": (EventType.DEFERRED, None, BounceKind.SOFT),
    "DnsError": (EventType.DEFERRED, None, BounceKind.SOFT),
    "OpenRelayTest": (EventType.DEFERRED, None, None),
    "BadEmailAddress": (EventType.REJECTED, RejectReason.INVALID, BounceKind.HARD),
    "Blocked": (EventType.REJECTED, RejectReason.BLOCKED, BounceKind.BLOCKED),
    "DMARCPolicy": (EventType.REJECTED, RejectReason.BLOCKED, BounceKind.BLOCKED),
    # A filter on the recipient's side, not a person: https://postmarkapp.com/developer/api/bounce-api#bounce-types
    "SpamNotification": (EventType.COMPLAINED, RejectReason.SPAM, BounceKind.BLOCKED),
    "VirusNotification": (EventType.BOUNCED, RejectReason.OTHER, BounceKind.BLOCKED),
    "SpamComplaint": (EventType.COMPLAINED, RejectReason.SPAM, BounceKind.COMPLAINT),
    "Unsubscribe": (EventType.UNSUBSCRIBED, RejectReason.UNSUBSCRIBED, None),
    "ManualSuppression": (EventType.UNSUBSCRIBED, RejectReason.UNSUBSCRIBED, None),
    "Subscribe": (EventType.SUBSCRIBED, None, None),
    "ManuallyDeactivated": (EventType.REJECTED, RejectReason.BLOCKED, None),
    "Unconfirmed": (EventType.REJECTED, None, None),
    "AutoResponder": (EventType.AUTORESPONDED, None, None),
    "AddressChange": (EventType.AUTORESPONDED, None, None),
    "ChallengeVerification": (EventType.AUTORESPONDED, None, None),
    "SMTPApiError": (EventType.FAILED, None, None),
    "TemplateRenderingFailed": (EventType.FAILED, None, None),
}
"""The meaning of `Type` of a bounce, and of `SuppressionReason`."""


class _Kind(Payload):
    record: str = Field("", alias="RecordType")


class _Bounce(Payload):
    email: Recipient = Field(validation_alias=AliasChoices("Email", "Recipient"))
    type: str = Field(alias="Type")
    id: Text = Field("", alias="ID")
    details: Text = Field("", alias="Details")
    at: At = Field(None, alias="BouncedAt")


class _Subscription(Payload):
    email: Recipient = Field(alias="Recipient")
    suppressed: bool = Field(alias="SuppressSending")
    reason: Text = Field("", alias="SuppressionReason")
    at: At = Field(None, alias="ChangedAt")
    message: Text = Field("", alias="MessageID")


class Postmark(UnsignedProvider):
    """Postmark: https://postmarkapp.com/developer/webhooks/webhooks-overview."""

    name, title = "postmark", "Postmark"

    def read(self, request: SignedRequest) -> Sequence[ProviderEvent]:
        """Return the events of a verified request."""
        content = JSON_OBJECT.validate_json(request.body)
        record = _Kind.model_validate(content).record
        if content.get("Type") == "Unsubscribe" and not {"Email", "Recipient"} & content.keys():
            return [ProviderEvent(*_TYPES["Unsubscribe"][:1])]  # a subscription change follows, with the address
        if record in ("Bounce", "SpamComplaint"):
            bounce = _Bounce.model_validate(content)
            type_, reason, kind = _TYPES.get(bounce.type, (EventType.UNKNOWN, None, None))
            words = bounce.details.partition(";")[2] if bounce.details.startswith("smtp;") else bounce.details
            return [ProviderEvent(type_, bounce.email, bounce.id, bounce.at, reason, kind, words)]
        if record == "SubscriptionChange":
            change = _Subscription.model_validate(content)
            unsubscribed = (EventType.UNSUBSCRIBED, None, None)
            type_, reason, kind = _TYPES.get(change.reason, unsubscribed) if change.suppressed else _TYPES["Subscribe"]
            return [ProviderEvent(type_, change.email, change.message, change.at, reason, kind)]
        return [ProviderEvent(_OTHERS.get(record, EventType.UNKNOWN))]
