"""Header fields of a mail: folded, encoded and safe against header injection.

RFC 5322 for their syntax, RFC 2047 for non-ASCII text, RFC 2919 and RFC 8058 for list headers.
"""

import re
import textwrap
from binascii import b2a_base64

from email_validator import validate_email

from recovery.domain.mailboxes import is_list_id, split_mailbox
from recovery.domain.masking import visible

LINE = 78
"""Recommended length of a header line, RFC 5322 section 2.1.1."""

LONGEST_LINE = 998
"""Length that no line may exceed, by the same section."""

_HTTPS_ADDRESS = re.compile(r"https://[!-;=?-~]+")
"""A URL allowed in List-Unsubscribe: ASCII, without spaces and angle brackets, RFC 2369 section 2."""
_BLANK = re.compile(r"\s+")


def own_address(what: str, written: str) -> tuple[str, str, str]:
    """Return the name, the address and its domain of a mailbox such as `Lamp Shop <shop@example.com>`."""
    name, address = split_mailbox(written)
    try:
        # Our own addresses may be in a private network, and must pass relays without SMTPUTF8.
        valid = validate_email(address, check_deliverability=False, allow_smtputf8=False, globally_deliverable=False)
    except ValueError as exc:
        raise ValueError(f"the {what} {written!r} is not a valid address: {exc}") from exc
    return name, f"{valid.local_part}@{valid.ascii_domain}", valid.ascii_domain


def list_id(written: str) -> str:
    """Return the List-Id header of `Lamp Shop <reminders.example.com>`, RFC 2919 section 3; at most 255 characters."""
    name, identifier = split_mailbox(written)
    if not is_list_id(identifier):
        raise ValueError(f"the List-Id {written!r} is invalid: it must be like Lamp Shop <reminders.example.com>")
    return mailbox("List-Id", name, identifier) if name else f"List-Id: <{identifier}>"


def list_unsubscribe(address: str) -> str:
    """Return the List-Unsubscribe header of RFC 8058 section 3.1: one https URL, on one line at any length."""
    line = f"List-Unsubscribe: <{address}>"
    if not _HTTPS_ADDRESS.fullmatch(address):
        raise ValueError(f"the unsubscribe link {address!r} must be a full https:// URL in ASCII")
    if len(line) > LONGEST_LINE:
        raise ValueError(f"the unsubscribe link of {len(address)} characters is too long for a header")
    return line


def mailbox(header: str, name: str | None, address: str) -> str:
    """Return a header with one address: its name quoted if that suffices (RFC 5322), else as encoded words."""
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


def unstructured(header: str, text: str) -> str:
    """Return a header of free text: folded between words if that suffices, else as encoded words."""
    text = _clean(text)
    if not _is_plain(text) or max(map(len, text.split(" "))) > LINE - len(f"{header}: ") - 1:
        return f"{header}: {_encoded(text)}"
    if len(f"{header}: {text}") < LINE:
        return f"{header}: {text}"
    lines = textwrap.wrap(f"{header}: {text}", LINE - 1, break_long_words=False, break_on_hyphens=False)
    return "\r\n ".join(lines)


def _clean(text: str) -> str:
    """Return `text` on one line, without control characters: no text may end its header.

    Characters that change the direction of text go, too, and those that nobody sees: the word joiner among them, as no
    mail program makes links in a header.
    """
    return _BLANK.sub(" ", visible(text)).strip(" ")


def _is_plain(text: str) -> bool:
    """Return whether `text` needs no encoding and does not look encoded."""
    return text.isascii() and "=?" not in text


def _encoded(text: str) -> str:
    """Return `text` as encoded words, one a line; none splits a character (RFC 2047 section 5)."""
    data = text.encode()
    words = []
    start = 0
    while start < len(data):
        end = start + 42  # the most bytes whose encoded word, after "Reply-To: ", fits the line
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        words.append(f"=?utf-8?b?{b2a_base64(data[start:end], newline=False).decode()}?=")
        start = end
    return "\r\n ".join(words)
