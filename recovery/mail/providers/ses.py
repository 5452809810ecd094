"""Amazon SES: notifications and events, which Amazon SNS delivers and signs (RSA, with a certificate of Amazon's)."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from pydantic import Field, ValidationError

from recovery.mail.bounce_words import BounceKind
from recovery.mail.providers.provider import (
    AHEAD,
    DAY,
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
    exact_base64,
    same,
)

_SNS_HOST = re.compile(r"sns\.[a-z]{2,}(?:-[a-z]+)+-\d+\.amazonaws\.com")
_CERTIFICATE = re.compile(r"/SimpleNotificationService-[0-9a-f]{1,64}\.pem")

NOTIFICATION = "Notification"
_SIGNED = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
"""The fields that SNS signs, by type of message, in this order. `Subject` only if there is one."""

_DEAD = ("", "General", "NoEmail")
"""Subtypes of a permanent bounce that are about the address. Others: it is on a suppression list of Amazon's."""

_OTHERS = {
    "Send": EventType.SENT,
    "Delivery": EventType.DELIVERED,
    "Open": EventType.OPENED,
    "Click": EventType.CLICKED,
    "Rendering Failure": EventType.FAILED,
}


class _Sns(Payload):
    type: str = Field(alias="Type")
    topic: str = Field(alias="TopicArn")
    message: str = Field(alias="Message")
    id: str = Field(alias="MessageId")
    timestamp: At = Field(None, alias="Timestamp")
    version: str = Field("1", alias="SignatureVersion")
    signature: str = Field(alias="Signature")
    certificate: str = Field(alias="SigningCertURL")
    subscribe: str = Field("", alias="SubscribeURL")


class _Kind(Payload):
    event: str = Field("", alias="eventType")
    notification: str = Field("", alias="notificationType")


class _Bounced(Payload):
    email: Recipient = Field(alias="emailAddress")
    diagnostic: Text = Field("", alias="diagnosticCode")


class _Bounce(Payload):
    type: Text = Field("", alias="bounceType")
    subtype: Text = Field("", alias="bounceSubType")
    recipients: list[_Bounced] = Field(alias="bouncedRecipients")
    id: Text = Field("", alias="feedbackId")
    at: At = Field(None, alias="timestamp")


class _Complaint(Payload):
    recipients: list[_Bounced] = Field(alias="complainedRecipients")
    feedback: Text = Field("", alias="complaintFeedbackType")
    id: Text = Field("", alias="feedbackId")
    at: At = Field(None, alias="timestamp")


class _Delay(Payload):
    recipients: list[_Bounced] = Field(alias="delayedRecipients")
    at: At = Field(None, alias="timestamp")


class _Mail(Payload):
    destination: list[Recipient]


class Ses(Provider):
    """Amazon SES by SNS: https://docs.aws.amazon.com/ses/latest/dg/monitor-sending-activity-using-notifications-sns.html.

    The "secrets" are the ARNs of our topics: Amazon signs those of everybody alike.
    """

    name, title, signs = "ses", "Amazon SES", "`Signature` in the body, for one of the topics in providers.ses"

    def certificate_url(self, request: SignedRequest, secrets: Sequence[str]) -> str | None:
        """Return the address of the certificate, if the topic is ours and the address Amazon SNS's."""
        message = _sns(request)
        if message is None or not same(message.topic, secrets):
            return None
        parts = _amazons(message.certificate)
        if parts is None or not _CERTIFICATE.fullmatch(parts[1]) or parts[2]:
            return None
        return message.certificate

    def verify(self, request: SignedRequest, secrets: Sequence[str]) -> bool:
        """Return whether Amazon signed this, for one of the topics."""
        message = _sns(request)
        if message is None or request.certificate is None or self.certificate_url(request, secrets) is None:
            return False
        if message.type not in _SIGNED or message.timestamp is None:
            return False
        if not -AHEAD <= (request.now - message.timestamp).total_seconds() <= DAY:
            return False
        return _verifies(request, message)

    def read(self, request: SignedRequest) -> Sequence[ProviderEvent]:
        """Return the events of a verified request."""
        message = _Sns.model_validate_json(request.body)
        if message.type != NOTIFICATION or not message.message.lstrip().startswith("{"):
            return []  # of a subscription, or that the topic was tested
        return list(read_notification(message.message, message.id))

    def confirmation_url(self, request: SignedRequest) -> str | None:
        """Return the address that confirms the subscription, if it is Amazon SNS's."""
        message = _sns(request)
        if message is None or message.type != "SubscriptionConfirmation":
            return None
        parts = _amazons(message.subscribe)
        asked = parse_qs(parts[2]) if parts is not None else {}
        confirms = asked.get("Action") == ["ConfirmSubscription"] and asked.get("TopicArn") == [message.topic]
        return message.subscribe if confirms else None


def read_notification(text: str, id_: str) -> Iterator[ProviderEvent]:
    """Yield the events of a notification of SES. Raises `ValidationError`."""
    content = JSON_OBJECT.validate_json(text)
    kind = _Kind.model_validate(content)
    match kind.event or kind.notification:
        case "Bounce":
            yield from _bounces(_Bounce.model_validate(content.get("bounce")), id_)
        case "Complaint":
            complaint = _Complaint.model_validate(content.get("complaint"))
            severity = BounceKind.COMPLAINT if complaint.feedback in ("", "abuse", "fraud") else None
            for each in complaint.recipients:
                spam = RejectReason.SPAM
                yield ProviderEvent(EventType.COMPLAINED, each.email, complaint.id or id_, complaint.at, spam, severity)
        case "DeliveryDelay":
            delay = _Delay.model_validate(content.get("deliveryDelay"))
            for each in delay.recipients:
                soft = BounceKind.SOFT
                yield ProviderEvent(EventType.DEFERRED, each.email, id_, delay.at, None, soft, _words(each))
        case "Reject":
            for email in _Mail.model_validate(content.get("mail")).destination:
                blocked = BounceKind.BLOCKED
                yield ProviderEvent(EventType.REJECTED, email, id_, None, RejectReason.BLOCKED, blocked)
        case "Subscription":
            for email in _Mail.model_validate(content.get("mail")).destination:
                yield ProviderEvent(EventType.UNSUBSCRIBED, email, id_)
        case other:
            yield ProviderEvent(_OTHERS.get(other, EventType.UNKNOWN))


def _bounces(bounce: _Bounce, id_: str) -> Iterator[ProviderEvent]:
    kind, full = kind_of_bounce(bounce.type, bounce.subtype), bounce.subtype == "MailboxFull"
    for each in bounce.recipients:
        about = (each.email, bounce.id or id_, bounce.at, RejectReason.BOUNCED, kind)
        yield ProviderEvent(EventType.BOUNCED, *about, _words(each), full=full)


def kind_of_bounce(type_: str, subtype: str) -> BounceKind:
    """Return the severity of a bounce by SES's type and subtype, which Resend uses too."""
    if type_ == "Permanent" and subtype in _DEAD:
        return BounceKind.HARD
    return BounceKind.BLOCKED if subtype in ("ContentRejected", "AttachmentRejected") else BounceKind.SOFT


def _words(recipient: _Bounced) -> str:
    return recipient.diagnostic.partition(";")[2].strip() or recipient.diagnostic


def _sns(request: SignedRequest) -> _Sns | None:
    try:
        return _Sns.model_validate_json(request.body)
    except ValidationError:
        return None


def _amazons(address: str) -> tuple[str, str, str] | None:
    """Return host, path and query of an address of Amazon SNS, by https on the usual port; None for any other."""
    if not address.isascii() or not address.isprintable() or "\\" in address:
        return None
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    if parts.scheme != "https" or not _SNS_HOST.fullmatch(parts.netloc) or parts.fragment:
        return None
    return parts.netloc, parts.path, parts.query


def _verifies(request: SignedRequest, message: _Sns) -> bool:
    content = JSON_OBJECT.validate_json(request.body)
    fields = [name for name in _SIGNED[message.type] if isinstance(content.get(name), str)]
    signed = "".join(f"{name}\n{content[name]}\n" for name in fields).encode(errors="replace")
    signature = exact_base64(message.signature)
    try:
        certificate = x509.load_pem_x509_certificate(request.certificate or b"")
    except ValueError:
        return False
    key = certificate.public_key()
    if signature is None or not isinstance(key, RSAPublicKey) or not _valid_at(certificate, request.now):
        return False
    try:
        # SNS signs by SHA-1 unless the topic has SignatureVersion 2.
        key.verify(signature, signed, PKCS1v15(), SHA256() if message.version == "2" else SHA1())  # noqa: S303
    except InvalidSignature:
        return False
    return True


def _valid_at(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
