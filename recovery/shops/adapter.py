"""The interface of an adapter: translates one shop platform's webhooks into events. Pure: bytes and headers in.

A new platform is a subclass of `Adapter` in a file of its own, one line in `recovery.shops.ADAPTERS`, and its tests.
`tests/support/example_adapter.py` is the shortest one that works.
"""

import base64
import hmac
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError

from recovery.shops.events import Found, Unmapped
from recovery.shops.key_sets import PublicKeys

_OBJECT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

NOT_SIGNED = "is not the signature of this body by the configured secret"
"""The fault of a signature that no secret has made; the name of its header comes before it."""


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A verified webhook. `headers` have names in lower case.

    `shop` is the shop that it was verified for; it is empty only for an adapter whose `names_shop` is true.
    `confirm_orders` is whether the settings want this platform's orders confirmed by a mail of ours. `checkout_url` is
    the configured address of a checkout, with `{id}` in the place of its id, or None.
    """

    shop: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    confirm_orders: bool = False
    checkout_url: str | None = None

    def json(self) -> dict[str, Any]:
        """Return the JSON object in the body. Raises `pydantic.ValidationError`, which the endpoint handles.

        Lone surrogates are replaced: a note that was cut in the middle of an emoji must not cost an order.
        """
        return _OBJECT.validate_json(_without_lone_surrogates(self.body))

    def link(self, checkout: str) -> str | None:
        """Return the address of a checkout, by the configured `checkout_url`; None if none is configured."""
        return self.checkout_url and self.checkout_url.replace("{id}", quote(checkout, safe=""))


@dataclass(frozen=True, slots=True)
class Trust:
    """What a signature is checked with: the shop's secrets, the public keys that the shop publishes, and the time."""

    now: datetime
    secrets: Sequence[str] = ()
    keys: PublicKeys = field(default_factory=dict)


class Adapter(ABC):
    """One shop platform. Stateless: one instance serves all shops.

    It is reached at `POST /webhooks/{name}/{shop}`. The endpoint does the rest: it finds the shop's secrets, limits the
    body, answers 401 or 404, counts, logs, and carries out what `read` returns.
    """

    name: ClassVar[str]
    """The path segment, the label in the metrics and the key in the settings: lower-case letters, digits, - and _."""

    title: ClassVar[str]
    """The platform's name in texts for people."""

    signature_header: ClassVar[str]
    """The header with the signature. A request without it is refused before its body is read.

    A leading `X-` is optional in requests, here and for `topic_header`."""

    topic_header: ClassVar[str] = ""
    """The header that names the kind of event, for log lines; empty if there is none."""

    names_shop: ClassVar[bool] = False
    """Whether requests name their shop, so that `POST /webhooks/{name}` serves them as well."""

    key_set_path: ClassVar[str] = ""
    """The path below the shop's address at which the platform publishes the keys that it signs with; empty if it signs
    with a secret. The endpoint fetches them, from the address in the settings and no other."""

    configured_by: ClassVar[str] = "webhooks.secrets"
    """The setting with the secrets, for error messages."""

    headers: ClassVar[Mapping[str, tuple[str, bool]]] = {}
    """The headers that the API description lists for that endpoint: a sentence, and whether the header is required."""

    description: ClassVar[str] = ""
    """The API description's paragraph on that endpoint."""

    @abstractmethod
    def signature_fault(self, body: bytes, headers: Mapping[str, str], trust: Trust) -> str | None:
        """Return why the signature is not accepted, or None if it is: `NOT_SIGNED`, or another end of a sentence.

        Must compare in constant time, as `hmac_fault` does, and accept the signature of each secret.
        """

    @abstractmethod
    def read(self, request: WebhookRequest) -> Sequence[Found]:
        """Return the events that a verified webhook reports, or one `Ignored` or `Unmapped` with the reason.

        May raise `pydantic.ValidationError`, which the endpoint takes for `Unmapped`. All events must be of
        `request.shop`, if that is not empty. They are carried out in this order.
        """

    def shop_of(self, headers: Mapping[str, str], given: str) -> str:  # noqa: ARG002 - for those with `names_shop`
        """Return the shop's key: by the path (`given`), or by the headers if the path names none."""
        return given

    def key_id(self, headers: Mapping[str, str]) -> str:  # noqa: ARG002 - for those with a `key_set_path`
        """Return the id of the public key that a request claims to be signed with; empty if it names none."""
        return ""

    def is_ping(self, body: bytes, headers: Mapping[str, str]) -> bool:  # noqa: ARG002 - few platforms send one
        """Return whether this unsigned request is only the platform's question whether the address works.

        It is answered with 200, and nothing follows from it. Asked only of requests without a signature, of at most
        1 KiB, for a shop that has a secret.
        """
        return False


def hmac_fault(
    body: bytes, signature: str | None, secrets: Sequence[str], *, encoding: Literal["base64", "hex"] = "base64"
) -> str | None:
    """Return None if `signature` is the HMAC-SHA256 of the raw body by one of the secrets, else `NOT_SIGNED`."""
    digests = [hmac.digest(secret.encode(), body, "sha256") for secret in secrets]
    expected = [base64.b64encode(each) if encoding == "base64" else each.hex().encode() for each in digests]
    return None if is_one_of(signature or "", expected) else NOT_SIGNED


def is_one_of(signature: str, expected: Sequence[bytes]) -> bool:
    """Return whether a signature is one of the expected ones, in constant time."""
    given = signature.encode(errors="replace")
    return sum(hmac.compare_digest(each, given) for each in expected) > 0  # all of them: it must not end at the first


def header_of(headers: Mapping[str, str], name: str) -> str:
    """Return the value of a header, with or without the `X-` that its name begins with; empty if it is missing."""
    lower = name.lower()
    return headers.get(lower, headers.get(lower.removeprefix("x-"), ""))


def unmapped(exc: ValidationError, sources: Mapping[str, str] | None = None) -> Unmapped:
    """Return pydantic's first error by the platform's name of the field: `sources` are those names by ours."""
    error = exc.errors(include_url=False, include_context=False, include_input=False)[0]
    if not error["loc"] and error["type"] in ("json_invalid", "dict_type"):
        return Unmapped("body", "is not a JSON object")
    names = sources or {}
    path = ".".join(names.get(str(part), str(part)) for part in error["loc"])
    return Unmapped(path or "body", error["msg"].removeprefix("Value error, "))


def _without_lone_surrogates(body: bytes) -> bytes:
    if not _SURROGATE.search(body):
        return body
    try:
        return json.dumps(json.loads(body), ensure_ascii=False).encode(errors="replace")
    except (ValueError, RecursionError):
        return body
