"""Composed mails, read back by the standard library."""

import re
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any

from hypothesis import strategies as st

from recovery.domain.checkout import Customer
from recovery.domain.schedule import Step
from recovery.domain.state import CheckoutState
from recovery.mail.composer import Composer, Envelope, Identity
from recovery.mail.templates import samples
from recovery.mail.templates.templates import Templates

NOW = datetime(2026, 3, 5, 15, 0, tzinfo=UTC)
SUBJECT = "{{ items[0].name }}"
STEP = Step("reminder-1", timedelta(minutes=30), "reminder-1", SUBJECT, timedelta(hours=1))
HEADERS = [
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "From",
    "Reply-To",
    "Auto-Submitted",
    "MIME-Version",
    "Content-Type",
]

TEMPLATES = Templates()
IDENTITY = Identity("Lamp Shop <shop@lamps.example>", reply_to="Ada & Bob <help@lamps.example>")
COMPOSER = Composer(TEMPLATES, IDENTITY)


def left(name: str | None = "Ada", email: str = "ada@example.com", item: str = "Lamp", **facts: Any) -> CheckoutState:
    """The sample with another customer and item, unchecked: what a database may hand out."""
    checkout = samples.left_open()
    first, *others = checkout.facts.items
    changed = {
        "customer": Customer.model_construct(email=email, name=name),
        "items": (first.model_copy(update={"name": item}), *others),
        **facts,
    }
    return checkout.model_copy(update={"facts": checkout.facts.model_copy(update=changed)})


def read(envelope: Envelope) -> EmailMessage:
    """Read a message with the standard library; it must find no fault anywhere."""
    message = message_from_bytes(envelope.content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    for part in message.walk():
        assert part.defects == []
        for value in part.values():
            assert value.defects == ()
    return message


def recipient(envelope: Envelope) -> tuple[str, str]:
    """The name and the address in the To header, which holds no more than one."""
    (address,) = read(envelope)["To"].addresses
    raw = str(message_from_bytes(envelope.content, policy=policy.compat32)["To"])
    phrase = raw.removesuffix(f"<{address.addr_spec}>")
    if phrase.count("=?utf-8?b?") > 1:
        # Python 3.11 keeps the space between encoded words of a name, which RFC 2047 section 6.2 says to ignore, and
        # which its older decoder does ignore.
        return str(make_header(decode_header(phrase))).strip(" "), address.addr_spec
    return address.display_name, address.addr_spec


def part(message: EmailMessage, kind: str) -> str:
    """A part as a reader gets it: in the HTML, characters for character references."""
    body = message.get_body((kind,))
    assert body is not None
    text = str(body.get_content())
    return characters(text) if kind == "html" else text


def keeps_to_its_lines(content: bytes, header: int = 78) -> bool:
    """Whether a mail has CRLF line ends alone, no longer header line than this, and no line that a relay may refuse."""
    head, _, body = content.partition(b"\r\n\r\n")
    longest = max(map(len, head.split(b"\r\n")))
    lines = body.split(b"\r\n")
    return (
        content.endswith(b"\r\n")
        and longest <= header
        and max(map(len, lines)) <= 998
        and not re.search(rb"[\r\n\0]", b"".join(lines))
    )


def characters(html: str) -> str:
    """HTML with each character outside ASCII as itself; what is escaped stays escaped."""
    return re.sub(r"&#(\d+);", lambda found: chr(int(found[1])) if int(found[1]) > 127 else found[0], html)


def elements(html: str) -> list[tuple[str, list[tuple[str, str | None]]]]:
    """All elements of a page with their attributes."""
    seen: list[tuple[str, list[tuple[str, str | None]]]] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: seen.append((tag, attrs))  # type: ignore[method-assign]
    parser.feed(html)
    parser.close()
    return seen


NASTY = st.sampled_from(
    [
        "\r\nBcc: eve@evil.example",
        "\nBcc: eve@evil.example\n\n<script>",
        "=?utf-8?q?=0D=0ABcc:=20eve@evil.example?=",
        "=?utf-8?b?QmNjOiBldmU=?=",
        '"><img src=x onerror=alert(1)>',
        "</td></table><script>alert(1)</script>",
        "--=_recovery--",
        '", <eve@evil.example>, "',
        "{{ 7 * 7 }}",
        "\x00\x1b[31m\x85\u2028\u202e",
        "\U0001f9d1\u200d\U0001f680",
        "\\",
    ]
)
WORDS = st.lists(st.one_of(st.text(max_size=60), NASTY, st.just(" ")), min_size=1, max_size=6).map("".join)
