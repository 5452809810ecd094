"""The interface of a provider that sends our mails: verifies and reads its webhooks. Pure: bytes and headers in.

A new one is a subclass of `Provider` in a file of its own, one line in `recovery.mail.providers.PROVIDERS`, a setting
of its name, and its tests. Event types and reject reasons are those of django-anymail.
"""

import base64
import hmac
from abc import ABC, abstractmethod
from binascii import Error as NotBase64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parseaddr
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from recovery.domain.fields import Email
from recovery.mail.bounce_words import BounceKind

DAY = 86_400
"""Seconds after which a signature is stale, of providers that repeat a delivery for hours without signing it again."""

AHEAD = 300
"""Seconds by which a signature may be ahead of our clock."""


class EventType(StrEnum):
    """The normalised type of an event."""

    BOUNCED = "bounced"
    COMPLAINED = "complained"
    DEFERRED = "deferred"
    DELIVERED = "delivered"
    UNSUBSCRIBED = "unsubscribed"
    REJECTED = "rejected"
    """The provider did not even try to send."""
    FAILED = "failed"
    QUEUED = "queued"
    SENT = "sent"
    OPENED = "opened"
    CLICKED = "clicked"
    SUBSCRIBED = "subscribed"
    AUTORESPONDED = "autoresponded"
    UNKNOWN = "unknown"


class RejectReason(StrEnum):
    """The normalised reason for a bounce, rejection or complaint."""

    INVALID = "invalid"
    BOUNCED = "bounced"
    TIMED_OUT = "timed_out"
    BLOCKED = "blocked"
    SPAM = "spam"
    UNSUBSCRIBED = "unsubscribed"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """An event about one recipient.

    `kind` is its severity in our words; without one, it says nothing against the address. `words` is the receiving
    server's reply, never the provider's own prose. `full`: the mailbox is full.
    """

    type: EventType
    email: str | None = None
    id: str = ""
    at: datetime | None = None
    reject_reason: RejectReason | None = None
    kind: BounceKind | None = None
    words: str = ""
    full: bool = False


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A webhook. `headers` have names in lower case; `secret` is the one in its address; `now` is our time.

    `certificate` is what `Provider.certificate_url` asked for, in PEM.
    """

    body: bytes
    headers: Mapping[str, str]
    now: datetime
    secret: str = ""
    certificate: bytes | None = None


class Provider(ABC):
    """One provider. Stateless."""

    name: ClassVar[str]
    """The path segment and the name of the setting with its secrets."""

    title: ClassVar[str]
    """The provider's name in texts for people."""

    signs: ClassVar[str]
    """The name of what proves that a request is the provider's, for error messages."""

    @abstractmethod
    def verify(self, request: SignedRequest, secrets: Sequence[str]) -> bool:
        """Return whether one of the secrets proves that the provider sent this."""

    @abstractmethod
    def read(self, request: SignedRequest) -> Sequence["ProviderEvent | ValidationError"]:
        """Return the events of a verified request; in place of one that cannot be read, the error.

        Raises `pydantic.ValidationError` if nothing can be read.
        """

    def certificate_url(self, request: SignedRequest, secrets: Sequence[str]) -> str | None:  # noqa: ARG002
        """Return the address of the certificate that `verify` needs, if it may be fetched; None if it needs none."""
        return None

    def confirmation_url(self, request: SignedRequest) -> str | None:  # noqa: ARG002
        """Return the address to call in order to confirm a subscription, if the request asks for that."""
        return None


class UnsignedProvider(Provider):
    """A provider that signs nothing: the address of its webhook, which the settings' owner enters, carries a secret."""

    signs = "The password in the webhook's address"

    def verify(self, request: SignedRequest, secrets: Sequence[str]) -> bool:
        """Return whether one of the secrets is in the request."""
        return has_secret(request, secrets)


class Payload(BaseModel):
    """Base of the models of providers' events: what is not named here is ignored."""

    # Built when the first event comes: most daemons have no provider, and each would start more slowly.
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True, defer_build=True)


_EMAIL: TypeAdapter[str] = TypeAdapter(Email)


def _address(value: str) -> str | None:
    """Return a valid address, else None: we have written to no other."""
    try:
        return _EMAIL.validate_python(parseaddr(value)[1] or value)
    except ValidationError:
        return None


def _instant(value: object) -> datetime | None:
    """Return a time in ISO 8601 or Unix seconds; None for one that cannot be read, as events are good without."""
    try:
        if isinstance(value, str) and not value.replace(".", "", 1).isdigit():
            at = datetime.fromisoformat(value)
            return at if at.tzinfo is not None else None
        return datetime.fromtimestamp(float(value), UTC) if isinstance(value, str | int | float) else None
    except (ValueError, OverflowError, OSError):
        return None


Recipient = Annotated[str, AfterValidator(_address)]
"""An address, perhaps with a name; None after validation if it is not valid."""
At = Annotated[datetime | None, BeforeValidator(_instant)]
Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else str(value)[:2000])]
"""Text that may be missing or a number."""

JSON_OBJECT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])
JSON_OBJECTS: TypeAdapter[list[dict[str, Any]]] = TypeAdapter(list[dict[str, Any]])


def has_secret(request: SignedRequest, secrets: Sequence[str]) -> bool:
    """Return whether a request has one of the secrets: as password (Basic), as token (Bearer), or in its address."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).decode(errors="replace").partition(":")[2]
        except (NotBase64, ValueError):
            return False
    elif scheme.lower() != "bearer":
        given = request.secret
    return same(given, secrets)


def same(given: str, expected: Sequence[str]) -> bool:
    """Return whether a text is one of the expected, in constant time; an empty text never is."""
    shown = given.encode(errors="replace")
    found = [hmac.compare_digest(shown, each.encode()) for each in expected]
    return sum(found) > 0 and bool(given)


def exact_base64(text: str) -> bytes | None:
    """Return the bytes that a text encodes; None if encoding them does not give this text."""
    try:
        content = base64.b64decode(text, validate=True)
    except (NotBase64, ValueError):
        return None
    return content if base64.b64encode(content).decode() == text else None


def is_fresh(time: str, now: datetime, *, within: int = DAY) -> bool:
    """Return whether a time in Unix seconds is at most `within` seconds ago, and hardly in the future."""
    if not (time.isascii() and time.isdigit() and len(time) < 12):
        return False
    age = now.timestamp() - int(time)
    return -AHEAD <= age <= within
