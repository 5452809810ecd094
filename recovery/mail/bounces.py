"""Parser of bounces: delivery reports (DSN, RFC 3464), complaints (feedback loop, FBL; ARF, RFC 5965), and free text.

A part that says what happened is taken wherever it lies: servers leave out `report-type`, or nest the report.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, message_from_string
from email.message import Message
from email.utils import parsedate_to_datetime
from hashlib import sha256
from json import JSONDecoder

from recovery.mail.bounce_text import (
    Said,
    answers_rcpt,
    before_returned,
    fields_in,
    is_bounce,
    is_feedback_loop,
    is_unsubscription,
    read_text,
    text_of,
)
from recovery.mail.bounce_words import STATUS, BounceKind, judged, says_full, strength
from recovery.mail.providers.provider import EventType
from recovery.mail.providers.ses import read_notification

DELIVERY, FEEDBACK = "delivery-status", "feedback-report"
"""Subtypes of the parts that say what happened (RFC 3464, RFC 5965), also with `global-` before them (RFC 6533)."""

RECEIPT = "disposition-notification"

COMPLAINTS = {"abuse", "fraud", "opt-out", "opt-out-list"}
"""Values of `Feedback-Type`. Others concern the message (`virus`, `auth-failure`) or are praise (`not-spam`)."""

DELIVERED = {"delivered", "relayed", "expanded"}
"""Values of `Action` that mean no bounce."""

_BROKEN_JSON = JSONDecoder(strict=False)
"""Reads JSON whose lines were broken on the way, also within texts."""

_PARAGRAPHS = re.compile(r"\n[ \t\r]*\n")
_CONTENT_TYPE = re.compile(rb"^content-type:[^\n]*(?:\n[ \t][^\n]*)*", re.IGNORECASE | re.MULTILINE)

READ = 64 * 1024
"""Bytes of a report that are parsed; the rest is ignored."""

MOST_LINES = 20_000
MOST_PARTS = 50
"""Limits lines and parts: Python's parser compares every line with the boundary of every enclosing part."""

MOST_DASHES = 1_000
"""Limits lines that begin with two dashes: each may be the boundary of a part, and parts are what is dear to parse."""

MOST_RECIPIENTS = 50
"""Our messages have one recipient each; a list or an alias may stand behind it."""

LONGEST_CONTENT_TYPE = 2000
"""Bytes of a content type: Python's parser counts its quotation marks again at each semicolon."""

LONGEST_DATE = 100


class NoReport(Exception):
    """The message is not a bounce or complaint report; the error says why, in a sentence."""


@dataclass(frozen=True, slots=True)
class Bounced:
    """A report about one address.

    `email` is the address named by the report; it may be one that mail was forwarded to. `headers` joins the headers of
    the report, its fields, and the headers of the reported message: our return path and our unsubscribe link are there,
    if anywhere. `report` is the id of the report. `detail` is a status code or the type of a complaint. `words` is the
    text of the server that refused. `full`: the mailbox is full. `delayed`: the sending server goes on trying.
    """

    kind: BounceKind
    email: str | None
    headers: str
    report: str
    detail: str
    at: datetime | None
    words: str = ""
    full: bool = False
    delayed: bool = False


def read(raw: bytes) -> list[Bounced]:
    """Return one `Bounced` per address; none if the report is about a successful delivery.

    Only the beginning is parsed: the report's fields and the headers of our message precede the message's text. Raises
    `NoReport`, also for input that would take long to parse: anybody may send a report.
    """
    id_ = sha256(raw).hexdigest()
    raw = raw[:READ]
    lines = raw.count(b"\n") + raw.count(b"\r")
    dashes = raw.count(b"\n--") + raw.count(b"\r--")
    if lines > 2 * MOST_LINES or dashes > MOST_DASHES or raw.lower().count(b"boundary") > MOST_PARTS:
        raise NoReport("This message has more lines or parts than any bounce or complaint report.")
    if any(len(found[0]) > LONGEST_CONTENT_TYPE for found in _CONTENT_TYPE.finditer(raw)):
        raise NoReport("A content type in this message is longer than in any bounce or complaint report.")
    try:
        return list(_read(message_from_bytes(raw), id_))
    except RecursionError:
        raise NoReport("The parts of this message are nested too deeply.") from None


def _read(message: Message, without_id: str) -> Iterator[Bounced]:
    parts = list(message.walk())
    headers = list(_headers(message, *(block for part in parts for block in _own_fields(part))))
    id_ = (_text(message, "Message-ID") or without_id)[:200]
    told = _said(message, parts, headers)
    joined = "\n".join(headers)
    for said in told:
        yield Bounced(
            said.kind,
            said.email,
            joined,
            id_,
            said.detail,
            _date(message),
            said.words,
            full=said.kind is BounceKind.SOFT and says_full(said.words),
            delayed=said.delayed,
        )


def _said(message: Message, parts: Sequence[Message], headers: list[str]) -> list[Said]:
    """Return the statements of a mail, in the first form found; adds text that may hold our marks to the headers."""
    declared = str(message.get_param("report-type", "")).lower()
    if RECEIPT in (declared, *(part.get_content_subtype() for part in parts)):
        raise NoReport("This is a receipt (RFC 8098): neither a delivery report (RFC 3464) nor a complaint (RFC 5965).")
    text = text_of(message)
    if (told := _reported(message, parts, text)) is not None:
        return told
    if declared == FEEDBACK:
        raise NoReport("This complaint has no part of the type message/feedback-report.")
    if (told := _notified(text)) is not None:
        headers.append(text)
        return told
    if is_feedback_loop(message):
        original = next(filter(None, map(_original, parts)), Message())
        return [Said(BounceKind.COMPLAINT, _address(original, "X-HmXmrOriginalRecipient"), "abuse", "", delayed=False)]
    if is_unsubscription(message):
        return [Said(BounceKind.COMPLAINT, None, "opt-out", "", delayed=False)]
    if not is_bounce(message, text):
        raise NoReport("This is neither a delivery report (RFC 3464) nor a complaint (RFC 5965).")
    headers.append(text)
    if (fields := fields_in(before_returned(text))) is not None:
        blocks = [message_from_string(block.lstrip()) for block in _PARAGRAPHS.split(fields, maxsplit=MOST_PARTS)]
        if recipients := _recipients(blocks):
            return _delivery(recipients, message, text)
    return [read_text(message, text)]


def _reported(message: Message, parts: Sequence[Message], text: str) -> list[Said] | None:
    """Return the statements of the first part that is a report; None if there is none."""
    for part in parts:
        if _is_report(part, FEEDBACK):
            return _feedback(part)
        if _is_report(part, DELIVERY) and (recipients := _recipients(_blocks(part))):
            return _delivery(recipients, message, text)
    return None


def _notified(text: str) -> list[Said] | None:
    """Return the statements of a notification of Amazon SES that SNS sends as a mail; None for any other mail."""
    if not text.lstrip().startswith("{") or "notificationType" not in text:
        return None
    try:
        content, _ = _BROKEN_JSON.raw_decode(text.lstrip())
        if isinstance(message := content.get("Message"), str):
            content = _BROKEN_JSON.decode(message)
        events = list(read_notification(json.dumps(content), ""))
    except (ValueError, RecursionError):  # ValidationError is a ValueError
        return None
    return [
        Said(each.kind, each.email, "", each.words, delayed=each.type is EventType.DEFERRED)
        for each in events
        if each.kind is not None
    ]


def _is_report(part: Message, kind: str) -> bool:
    return part.get_content_maintype() == "message" and part.get_content_subtype().endswith(kind)


def _recipients(blocks: Iterable[Message]) -> list[Message]:
    recipients = [fields for fields in blocks if "Final-Recipient" in fields or "Action" in fields]
    if len(recipients) > MOST_RECIPIENTS:
        raise NoReport(f"This delivery report names more than {MOST_RECIPIENTS} recipients.")
    return recipients


def _delivery(recipients: Sequence[Message], message: Message, text: str) -> list[Said]:
    """Return the statement on each recipient.

    `text` is the part for people. It may name the command that was refused, and says more than fields that say nothing.
    """
    actions = [_text(fields, "Action").lower() for fields in recipients]
    at_rcpt = answers_rcpt(before_returned(text))
    said = []
    for action, fields in zip(actions, recipients, strict=True):
        status, (type_, _, words) = _status(fields), _text(fields, "Diagnostic-Code").partition(";")
        kind = _judged(action, status, words.strip(), at_rcpt=at_rcpt)
        if kind is BounceKind.SOFT and len(recipients) == 1 and action == "failed" and not words.strip():
            kind = max(kind, read_text(message, text).kind, key=strength)
        by_program = type_.strip().lower() == "x-unix"  # whose exit code may mean anything
        if kind is BounceKind.HARD and (by_program or not DELIVERED.isdisjoint(actions)):
            kind = BounceKind.SOFT  # the address stands for several mailboxes, and some of them work
        if kind is not None:
            email = _address(fields, "Original-Recipient") or _address(fields, "Final-Recipient")
            said.append(Said(kind, email, status, words.strip(), delayed=action == "delayed"))
    return said


def _judged(action: str, status: str, words: str, *, at_rcpt: bool) -> BounceKind | None:
    """Return the bounce kind of one recipient; None if nothing bounced."""
    if action in DELIVERED:
        return None
    if action == "delayed" or not status.startswith("5"):
        return BounceKind.SOFT
    return judged(status, words, at_rcpt=at_rcpt)


def _status(fields: Message) -> str:
    """Return the status code; where that says nothing, the code of the server that refused; empty if there is none."""
    codes = [STATUS.search(_text(fields, name)) for name in ("Status", "Diagnostic-Code")]
    found = [code[0] for code in codes if code is not None]
    return next((code for code in found if not code.endswith(".0.0")), found[0] if found else "")


def _feedback(report: Message) -> list[Said]:
    fields = next(_messages(report.get_payload()), report)
    kind = _text(fields, "Feedback-Type").lower()
    if not kind:
        raise NoReport("This complaint has no Feedback-Type.")
    if kind not in COMPLAINTS:
        return []
    return [Said(BounceKind.COMPLAINT, _address(fields, "Original-Rcpt-To"), kind, "", delayed=False)]


def _own_fields(part: Message) -> Iterator[Message]:
    """Yield what a part quotes of the reported message: the fields of a report, or the headers of the message."""
    if _is_report(part, DELIVERY) or _is_report(part, FEEDBACK):
        yield from _blocks(part)
    elif (original := _original(part)) is not None:
        yield original


def _blocks(report: Message) -> Iterator[Message]:
    """Yield the blocks of fields of a delivery report: first the message's, then each recipient's."""
    for block in _messages(report.get_payload()):
        yield block
        # Python's parser splits the blocks, but not those of internationalised reports (RFC 6533).
        rest = block.get_payload()
        if isinstance(rest, str):
            yield from (message_from_string(text.lstrip()) for text in _PARAGRAPHS.split(rest) if text.strip())


def _original(part: Message) -> Message | None:
    """Return the message in a part of a report, whole or its headers only; None if there is none."""
    match part.get_content_type():
        case "message/rfc822" | "message/global":
            return next(_messages(part.get_payload()), None)
        case "text/rfc822-headers" | "message/global-headers":
            content = part.get_payload(decode=True)
            return message_from_bytes(content) if isinstance(content, bytes) else next(_messages(part.get_payload()))
        case _:
            return None


def _messages(payload: object) -> Iterator[Message]:
    return (part for part in payload if isinstance(part, Message)) if isinstance(payload, list) else iter(())


def _headers(*messages: Message) -> Iterator[str]:
    return (f"{name}: {_unfolded(value)}" for message in messages for name, value in message.items())


def _text(fields: Message, name: str) -> str:
    return _unfolded(fields.get(name, ""))


def _unfolded(value: object) -> str:
    return " ".join(filter(None, (line.strip() for line in str(value).splitlines())))


def _address(fields: Message, name: str) -> str | None:
    """Return the address in a field such as `rfc822; ada@example.com`, with or without the type."""
    address = _text(fields, name).rpartition(";")[2].strip().strip("<>")
    return address if "@" in address else None


def _date(message: Message) -> datetime | None:
    try:
        at = parsedate_to_datetime(_text(message, "Date")[:LONGEST_DATE])
    except (ValueError, OverflowError):
        return None
    return at if at.tzinfo is not None else None
