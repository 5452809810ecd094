"""A mail as bytes, ready for SMTP.

The message is a skeleton filled with text: Python's `email` package takes about a millisecond for what takes a tenth
of one here (measured). In return, what it would see to is seen to here: folding and encoded words (RFC 5322, RFC 2047),
and that nothing a customer wrote can begin a header.
"""

import re
import textwrap
from binascii import b2a_base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from hashlib import sha256

from email_validator import validate_email

from recovery.checkout import CheckoutState
from recovery.mail.templates import Templates
from recovery.schedule import Step

LINE = 78
"""What a header line should keep to, RFC 5322 section 2.1.1."""

_BOUNDARY = "=_recovery"  # base64 has no "_", so it cannot occur in a part
_MAILBOX = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>]+)>")
_PLAIN_ADDRESS = re.compile(r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}")
"""An address that is the same in SMTP as anywhere, with nothing in it that a header would have to quote."""
_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")


class RenderError(Exception):
    """A mail cannot be made: the message names the step and says why. Trying again will not help."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom mail is from: `"Lamp Shop <shop@example.com>"`, and where answers go if not there.

    `domain` is that of the Message-IDs; the sender's own if None.
    """

    sender: str
    reply_to: str | None = None
    domain: str | None = None


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
    """Makes the mails of one sender. `sign`, if given, has the last word on each: it returns it under a signature.

    Raises `ValueError` if an address of the identity is none.
    """

    def __init__(
        self, templates: Templates, identity: Identity, *, sign: Callable[[bytes], bytes] | None = None
    ) -> None:
        self._templates = templates
        self._sign = sign
        name, self._sender, self._domain = _own("sender", identity.sender)
        if identity.domain is not None:
            *_, self._domain = _own("Message-ID domain", f"recovery@{identity.domain}")
        fixed = [_mailbox("From", name, self._sender)]
        if identity.reply_to is not None:
            name, address, _ = _own("reply-to", identity.reply_to)
            fixed.append(_mailbox("Reply-To", name, address))
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

    def _compose(self, checkout: CheckoutState, step: Step, now: datetime) -> Envelope:
        customer = checkout.facts.customer
        if customer is None:
            raise ValueError("nobody to write to is known")
        recipient, needs_utf8 = _recipient(customer.email)
        rendered = self._templates.render(step, checkout)
        identifier = message_id(checkout.id, step.name, self._domain)
        head = "\r\n".join(
            [
                _mailbox("To", customer.name, recipient),
                _unstructured("Subject", rendered.subject),
                _date(now.replace(microsecond=0)),
                f"Message-ID: {identifier}",
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
        return Envelope(self._sender, recipient, identifier, content, needs_utf8)


def _recipient(email: str) -> tuple[str, bool]:
    """Return an address for SMTP, and whether it needs SMTPUTF8."""
    if _PLAIN_ADDRESS.fullmatch(email):
        return email, False
    to = validate_email(email, check_deliverability=False)
    return f"{to.local_part}@{to.ascii_domain}", to.smtputf8


@lru_cache(maxsize=16)
def _date(at: datetime) -> str:
    return f"Date: {format_datetime(at)}"


def _own(what: str, written: str) -> tuple[str, str, str]:
    """Return the name, the address and its domain of a mailbox such as `Lamp Shop <shop@example.com>`."""
    mailbox = _MAILBOX.fullmatch(written)
    name, address = (mailbox["name"].strip(' "'), mailbox["address"]) if mailbox else ("", written)
    try:
        # Our own addresses may well be in a private network, and must pass through relays without SMTPUTF8.
        valid = validate_email(address, check_deliverability=False, allow_smtputf8=False, globally_deliverable=False)
    except ValueError as exc:
        raise ValueError(f"the {what} {written!r} is not an address: {exc}") from exc
    return name, f"{valid.local_part}@{valid.ascii_domain}", valid.ascii_domain


def _mailbox(header: str, name: str | None, address: str) -> str:
    """Return a header of one address: the name quoted if that is enough (RFC 5322), else as encoded words."""
    if "=?" in address:
        raise ValueError(f"the address {address!r} would be read as an encoded word")
    name = _clean(name or "")
    if not name:
        return f"{header}: {address}"
    phrase = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if not _is_plain(name) or len(f"{header}: {phrase}") > LINE:
        phrase = _encoded(name)
    line = f"{header}: {phrase} <{address}>"
    return line if len(line) <= LINE else f"{header}: {phrase}\r\n <{address}>"


def _unstructured(header: str, text: str) -> str:
    """Return a header of free text: as it is and folded between words if that is enough, else as encoded words."""
    text = _clean(text)
    if not _is_plain(text) or max(map(len, text.split(" "))) > LINE - len(f"{header}: ") - 1:
        return f"{header}: {_encoded(text)}"
    if len(f"{header}: {text}") < LINE:
        return f"{header}: {text}"
    lines = textwrap.wrap(f"{header}: {text}", LINE - 1, break_long_words=False, break_on_hyphens=False)
    return "\r\n ".join(lines)


def _clean(text: str) -> str:
    """Return `text` on one line, without control characters: nothing may end a header but we."""
    return _BLANK.sub(" ", text).strip(" ")


def _is_plain(text: str) -> bool:
    """Whether `text` needs no encoding, and would not be taken for something that is encoded."""
    return text.isascii() and "=?" not in text


def _encoded(text: str) -> str:
    """Return `text` as encoded words, one on a line; none ends within a character (RFC 2047 section 5)."""
    data = text.encode()
    words = []
    start = 0
    while start < len(data):
        end = start + 42  # the longest whose word, after "Reply-To: ", keeps to the line
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        words.append(f"=?utf-8?b?{b2a_base64(data[start:end], newline=False).decode()}?=")
        start = end
    return "\r\n ".join(words)


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
        *[body[start : start + 76] for start in range(0, len(body), 76)],
    )
