"""Resend: webhooks signed as Svix and Standard Webhooks do."""

import base64
import hmac
from binascii import Error as NotBase64
from collections.abc import Sequence

from pydantic import Field

from recovery.mail.bounce_words import BounceKind
from recovery.mail.providers.provider import (
    AHEAD,
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
from recovery.mail.providers.ses import kind_of_bounce

_TYPES = {
    "email.sent": EventType.SENT,
    "email.delivered": EventType.DELIVERED,
    "email.delivery_delayed": EventType.DEFERRED,
    "email.complained": EventType.COMPLAINED,
    "email.bounced": EventType.BOUNCED,
    "email.suppressed": EventType.REJECTED,
    "email.failed": EventType.FAILED,
    "email.opened": EventType.OPENED,
    "email.clicked": EventType.CLICKED,
}


class _Kind(Payload):
    type: str = ""


class _Bounce(Payload):
    message: Text = ""
    type: Text = ""
    subtype: Text = Field("", alias="subType")


class _Data(Payload):
    to: list[Recipient]
    bounce: _Bounce | None = None
    id: Text = Field("", alias="email_id")


class _Event(Payload):
    data: _Data
    at: At = Field(None, alias="created_at")


class Resend(Provider):
    """Resend: https://resend.com/docs/dashboard/webhooks/introduction."""

    name, title, signs = "resend", "Resend", "svix-signature"

    def verify(self, request: SignedRequest, secrets: Sequence[str]) -> bool:
        """Return whether one of the secrets, `whsec_` and base64, signed the id, the time and the body."""
        id_, time, given = (_header(request, name) for name in ("id", "timestamp", "signature"))
        if not id_ or not is_fresh(time, request.now, within=AHEAD):
            return False
        signed = f"{id_}.{time}.".encode(errors="replace") + request.body
        keys = [key for secret in secrets if (key := _key(secret)) is not None]
        expected = [base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys]
        signatures = [each.partition(",") for each in given.split(" ")[:20]]
        return any(version == "v1" and same(signature, expected) for version, _, signature in signatures)

    def read(self, request: SignedRequest) -> Sequence[ProviderEvent]:
        """Return the events of a verified request."""
        content = JSON_OBJECT.validate_json(request.body)
        type_ = _TYPES.get(_Kind.model_validate(content).type, EventType.UNKNOWN)
        if type_ not in (EventType.DEFERRED, EventType.COMPLAINED, EventType.BOUNCED):
            return [ProviderEvent(type_)]
        event = _Event.model_validate(content)
        id_ = _header(request, "id") or event.data.id
        # Each recipient has its events, which do not say whose they are.
        email = event.data.to[0] if len(event.data.to) == 1 else None
        bounce = event.data.bounce
        match type_:
            case EventType.COMPLAINED:
                return [ProviderEvent(type_, email, id_, event.at, kind=BounceKind.COMPLAINT)]
            case EventType.BOUNCED if bounce is not None:
                kind = kind_of_bounce(bounce.type or _guessed(bounce.message), bounce.subtype)
                full = bounce.subtype == "MailboxFull" or "inbox was full" in bounce.message
                return [ProviderEvent(type_, email, id_, event.at, _reason(bounce.message), kind, full=full)]
            case _:
                return [ProviderEvent(type_, email, id_, event.at, kind=BounceKind.SOFT)]


def _header(request: SignedRequest, name: str) -> str:
    return request.headers.get(f"svix-{name}", "") or request.headers.get(f"webhook-{name}", "")


def _key(secret: str) -> bytes | None:
    try:
        return base64.b64decode(secret.removeprefix("whsec_"))
    except (NotBase64, ValueError):
        return None


def _guessed(message: str) -> str:
    return "Permanent" if "hard bounce" in message else "Transient"


def _reason(message: str) -> RejectReason:
    if "suppressed sending" in message:
        return RejectReason.BLOCKED
    return RejectReason.BOUNCED if "bounce message" in message else RejectReason.OTHER
