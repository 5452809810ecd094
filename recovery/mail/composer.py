"""A mail as bytes, ready for SMTP.

The message is a skeleton filled with text: Python's `email` package takes about a millisecond for what takes a tenth
of one here (measured). In return, what it would see to is seen to here: folding and encoded words (RFC 5322, RFC 2047),
and that nothing a customer wrote can begin a header.
"""

import re
from binascii import b2a_base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from hashlib import sha256
from struct import Struct
from typing import Protocol

from email_validator import validate_email

from recovery.domain.checkout import shop_of
from recovery.domain.masking import greeted
from recovery.domain.schedule import Step
from recovery.domain.state import CheckoutState
from recovery.errors import RecoveryError
from recovery.mail.headers import list_id, list_unsubscribe, mailbox, own_address, unstructured
from recovery.mail.templates.templates import Rendered, Templates

_BOUNDARY = "=_recovery"  # base64 has no "_", so it cannot occur in a part
_PLAIN_ADDRESS = re.compile(r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}")
"""An address that is the same in SMTP as anywhere, with nothing in it that a header would have to quote."""


class RenderError(RecoveryError):
    """A mail cannot be made: the message names the step and says why. Trying again will not help."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom mail is from: `"Lamp Shop <shop@example.com>"`, and where answers go if not there.

    `domain` is that of the Message-IDs; the sender's own if None. `list_id` is what mail programs know the reminders by
    (RFC 2919): `"Lamp Shop <reminders.example.com>"`; made of the sender if None.
    """

    sender: str
    reply_to: str | None = None
    domain: str | None = None
    list_id: str | None = None


class Links(Protocol):
    """The addresses that are made for each mail."""

    def unsubscribe(self, shop: str, email: str) -> str | None:
        """Return the https address where this customer is reminded no more; None where there is none."""
        ...

    def back(self, checkout: CheckoutState, step: Step) -> str | None:
        """Return the address that the button of this step's mail holds; None if no way back is known."""
        ...

    def return_path(self, shop: str, email: str) -> str | None:
        """Return the address that this customer's mail comes back to if it bounces; None for the sender's."""
        ...


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message, with the bare addresses to hand it over with.

    `content` has CRLF line ends and no dots stuffed. `needs_utf8`: only a relay with SMTPUTF8 (RFC 6531) can take it.
    """

    sender: str
    recipient: str
    message_id: str
    content: bytes
    needs_utf8: bool


def message_id(checkout_id: str, step_name: str, domain: str) -> str:
    """Return the Message-ID of a step's message: always the same, so that a double can be recognised as one."""
    digest = sha256(f"{checkout_id}\0{step_name}".encode()).hexdigest()
    return f"<{digest[:40]}@{domain}>"


class Composer:
    """Makes the mails of one sender. Raises `ValueError` if an address of the identity is none.

    Without `links`, a mail holds the checkout's own link and no way to unsubscribe, and bounces come to the sender.
    `subject_prefix` goes before every subject. `sign`, if given, has the last word on each mail: it returns it under a
    signature.
    """

    def __init__(
        self,
        templates: Templates,
        identity: Identity,
        links: Links | None = None,
        *,
        subject_prefix: str = "",
        sign: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self.templates = templates
        self._links = links
        self._subject_prefix = subject_prefix
        self._sign = sign
        name, self._sender, self._domain = own_address("sender", identity.sender)
        self._list = "\r\n".join(
            [
                "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
                list_id(identity.list_id or f"{name} <reminders.{self._domain}>"),
            ]
        )
        if identity.domain is not None:
            *_, self._domain = own_address("Message-ID domain", f"recovery@{identity.domain}")
        fixed = [mailbox("From", name, self._sender)]
        if identity.reply_to is not None:
            name, address, _ = own_address("reply-to", identity.reply_to)
            fixed.append(mailbox("Reply-To", name, address))
        self._fixed = "\r\n".join(
            [
                *fixed,
                "Auto-Submitted: auto-generated",
                "MIME-Version: 1.0",
                f'Content-Type: multipart/alternative; boundary="{_BOUNDARY}"',
            ]
        )

    def compose(self, checkout: CheckoutState, step: Step, now: datetime) -> Envelope:
        """Return the message of this step, dated `now`. Raises `RenderError`, whatever is wrong."""
        try:
            return self._compose(checkout, step, now)
        except Exception as exc:
            raise RenderError(f"{step.name}: {exc}") from exc

    def render(self, checkout: CheckoutState, step: Step) -> Rendered:
        """Return the message of this step in words. Raises `RenderError`, whatever is wrong."""
        try:
            return self._render(checkout, step, self._unsubscribe(checkout, step))
        except Exception as exc:
            raise RenderError(f"{step.name}: {exc}") from exc

    def _compose(self, checkout: CheckoutState, step: Step, now: datetime) -> Envelope:
        customer = checkout.facts.customer
        if customer is None:
            raise ValueError("nobody to write to is known")
        recipient, needs_utf8 = _recipient(customer.email)
        unsubscribe = self._unsubscribe(checkout, step)
        rendered = self._render(checkout, step, unsubscribe)
        identifier = message_id(checkout.id, step.name, self._domain)
        head = "\r\n".join(
            [
                mailbox("To", greeted(customer.name), recipient),
                unstructured("Subject", self._subject_prefix + rendered.subject),
                _date(now.replace(microsecond=0)),
                f"Message-ID: {identifier}",
                *self._list_headers(unsubscribe),
                self._fixed,
            ]
        )
        content = b"\r\n".join(
            [
                head.encode("utf-8" if needs_utf8 else "ascii"),
                *_part("plain", rendered.text),
                *_part("html", rendered.html),
                f"--{_BOUNDARY}--\r\n".encode(),
            ]
        )
        if self._sign is not None:
            content = self._sign(content)
        return Envelope(self._return_path(checkout, customer.email), recipient, identifier, content, needs_utf8)

    def _list_headers(self, unsubscribe: str | None) -> tuple[str, ...]:
        # RFC 8058 knows https alone; any other link, as on the machine of a developer, is for the foot of the mail.
        if unsubscribe is None or not unsubscribe.startswith("https://"):
            return ()
        return list_unsubscribe(unsubscribe), self._list

    def _unsubscribe(self, checkout: CheckoutState, step: Step) -> str | None:
        customer = checkout.facts.customer
        if self._links is None or customer is None or not step.kind.is_marketing:
            return None
        return self._links.unsubscribe(shop_of(checkout.id), customer.email)

    def _render(self, checkout: CheckoutState, step: Step, unsubscribe: str | None) -> Rendered:
        back = checkout.facts.checkout_url if self._links is None else self._links.back(checkout, step)
        return self.templates.render(step, checkout, checkout_url=back, unsubscribe_url=unsubscribe)

    def _return_path(self, checkout: CheckoutState, email: str) -> str:
        path = None if self._links is None else self._links.return_path(shop_of(checkout.id), email)
        if path is None:
            return self._sender
        if not _PLAIN_ADDRESS.fullmatch(path):
            _, path, _ = own_address("return path", f"<{path}>")  # an address alone, without a name
        return path


def _recipient(email: str) -> tuple[str, bool]:
    """Return an address for SMTP, and whether it needs SMTPUTF8."""
    if _PLAIN_ADDRESS.fullmatch(email):
        return email, False
    to = validate_email(email, check_deliverability=False)
    return f"{to.local_part}@{to.ascii_domain}", to.smtputf8


@lru_cache(maxsize=16)
def _date(at: datetime) -> str:
    return f"Date: {format_datetime(at)}"


def _part(subtype: str, text: str) -> tuple[bytes, ...]:
    """Return one alternative, in lines of at most 76 characters (RFC 2045 section 6.8)."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    body = b2a_base64(text.replace("\n", "\r\n").encode(), newline=False)
    return (
        b"",
        f"--{_BOUNDARY}".encode(),
        f"Content-Type: text/{subtype}; charset=utf-8".encode(),
        b"Content-Transfer-Encoding: base64",
        b"",
        *_lines(len(body) // 76).unpack_from(body),
        body[len(body) // 76 * 76 :],
    )


@lru_cache(maxsize=1024)
def _lines(count: int) -> Struct:
    """Return what cuts lines of 76 characters; four times as fast as slices (measured)."""
    return Struct("76s" * count)
