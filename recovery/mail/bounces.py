"""Parser of bounces: delivery reports (DSN, RFC 3464) and complaints (feedback loop, FBL; ARF format, RFC 5965)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, message_from_string
from email.message import Message
from email.utils import parsedate_to_datetime
from enum import StrEnum
from hashlib import sha256

from recovery.domain.outcome import OutcomeKind
from recovery.mail.smtp.replies import Phase, read_reply

DELIVERY, FEEDBACK = "delivery-status", "feedback-report"
"""Values of `report-type` (RFC 6522)."""

COMPLAINTS = {"abuse", "fraud", "opt-out", "opt-out-list"}
"""Values of `Feedback-Type`. Others concern the message (`virus`, `auth-failure`) or are praise (`not-spam`)."""

DELIVERED = {"delivered", "relayed", "expanded"}
"""Values of `Action` that mean no bounce."""

_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)")
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


class BounceKind(StrEnum):
    """Severity of a report for its address, the weakest first. `BLOCKED`: the refusal is about us, not the address."""

    BLOCKED = "blocked"
    SOFT = "soft"
    HARD = "hard"
    COMPLAINT = "complaint"


@dataclass(frozen=True, slots=True)
class Bounced:
    """A report about one address.

    `email` is the address named by the report; it may be one that mail was forwarded to. `headers` joins the headers of
    the report, its fields, and the headers of the reported message: our return path and our unsubscribe link are there,
    if anywhere. `report` is the id of the report. `detail` is a status code or the type of a complaint. `words` is the
    text of the server that refused.
    """

    kind: BounceKind
    email: str | None
    headers: str
    report: str
    detail: str
    at: datetime | None
    words: str = ""


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
    kind = str(message.get_param("report-type", "")).lower()
    if message.get_content_type() != "multipart/report" or kind not in (DELIVERY, FEEDBACK):
        raise NoReport("This is neither a delivery report (RFC 3464) nor a complaint (RFC 5965).")
    parts = message.get_payload() if message.is_multipart() else []
    report = next((part for part in _messages(parts) if part.get_content_subtype().endswith(kind)), None)
    if report is None:
        raise NoReport(f"This report has no part of the type message/{kind}.")
    found = list(_delivery(report) if kind == DELIVERY else _feedback(report))
    headers = "\n".join(_headers(message, *_blocks(report), *map(_original, _messages(parts))))
    id_ = _text(message, "Message-ID") or without_id
    for bounce_kind, email, detail, words in found:
        yield Bounced(bounce_kind, email, headers, id_[:200], detail, _date(message), words)


_Said = tuple[BounceKind, str | None, str, str]
"""A kind, an address, a status code or type of complaint, and the server's text."""


def _delivery(report: Message) -> Iterator[_Said]:
    recipients = [fields for fields in _blocks(report) if "Final-Recipient" in fields or "Action" in fields]
    if not recipients:
        raise NoReport("This delivery report names no recipient.")
    if len(recipients) > MOST_RECIPIENTS:
        raise NoReport(f"This delivery report names more than {MOST_RECIPIENTS} recipients.")
    actions = [_text(fields, "Action").lower() for fields in recipients]
    for action, fields in zip(actions, recipients, strict=True):
        status, words = _status(fields), _text(fields, "Diagnostic-Code").partition(";")[2].strip()
        kind = _judged(action, status, words)
        if kind is BounceKind.HARD and not DELIVERED.isdisjoint(actions):
            kind = BounceKind.SOFT  # the address stands for several mailboxes, and some of them work
        if kind is not None:
            yield kind, _address(fields, "Original-Recipient") or _address(fields, "Final-Recipient"), status, words


def _judged(action: str, status: str, words: str) -> BounceKind | None:
    """Return the bounce kind of one recipient, by the rules for the relay's own replies; None if it is no bounce.

    Servers report a blocklist under the code of a dead address, and put more exact words under any code. Where code
    and words contradict each other, the weaker counts.
    """
    if action in DELIVERED:
        return None
    if action == "delayed" or not status.startswith("5"):
        return BounceKind.SOFT
    return judged(status, words)


def judged(status: str, words: str) -> BounceKind:
    """Return the bounce kind of a permanent failure (class 5), by its status and the server's text."""
    # The phase of the SMTP session is not known. After the dot, only an enhanced code can mean a dead address.
    own = _STATUS.search(words)
    codes = {status, own[0] if own is not None and not own[0].endswith(".0.0") else status}
    return min(
        (_KINDS.get(read_reply(Phase.DOT, 550, f"{code} {words}"), BounceKind.SOFT) for code in codes), key=_rank
    )


_KINDS = {OutcomeKind.DEAD_ADDRESS: BounceKind.HARD, OutcomeKind.OUR_FAULT: BounceKind.BLOCKED}
_rank = list(BounceKind).index


def _status(fields: Message) -> str:
    """Return the status code; where that says nothing, the code of the server that refused; empty if there is none."""
    codes = [_STATUS.search(_text(fields, name)) for name in ("Status", "Diagnostic-Code")]
    found = [code[0] for code in codes if code is not None]
    return next((code for code in found if not code.endswith(".0.0")), found[0] if found else "")


def _feedback(report: Message) -> Iterator[_Said]:
    fields = next(_messages(report.get_payload()), report)
    kind = _text(fields, "Feedback-Type").lower()
    if not kind:
        raise NoReport("This complaint has no Feedback-Type.")
    if kind in COMPLAINTS:
        yield BounceKind.COMPLAINT, _address(fields, "Original-Rcpt-To"), kind, ""


def _blocks(report: Message) -> Iterator[Message]:
    """Yield the blocks of fields of a delivery report: first the message's, then each recipient's."""
    for block in _messages(report.get_payload()):
        yield block
        # Python's parser splits the blocks, but not those of internationalised reports (RFC 6533).
        rest = block.get_payload()
        if isinstance(rest, str):
            yield from (message_from_string(text.lstrip()) for text in re.split(r"\n\s*\n", rest) if text.strip())


def _original(part: Message) -> Message:
    """Return the message in a part of a report, whole or its headers only; an empty message if there is none."""
    match part.get_content_type():
        case "message/rfc822" | "message/global":
            return next(_messages(part.get_payload()), Message())
        case "text/rfc822-headers" | "message/global-headers":
            content = part.get_payload(decode=True)
            return message_from_bytes(content) if isinstance(content, bytes) else next(_messages(part.get_payload()))
        case _:
            return Message()


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
