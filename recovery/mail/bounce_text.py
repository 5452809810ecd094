"""Reading of bounces in free text: what qmail, Exim, older gateways and some providers write for people.

Nothing here depends on who wrote it. The text before the returned message is split into paragraphs; in each, a reply of
a server is judged, with the command that it answered, if that is named.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from itertools import pairwise

from recovery.domain.masking import plain
from recovery.mail.bounce_words import SEARCHED, STATUS, BounceKind, judged, says_full, says_no_domain, strength

READ = 16 * 1024
"""Characters of a text that are read: what happened precedes the returned message."""

MOST_PARAGRAPHS = 40
MOST_REPLIES = 10

_DAEMON = re.compile(
    r"mailer-?daemon|post[-_.]?master|mail[-. _]?(?:delivery|system)|delivery[-. _]?(?:subsystem|system|status)"
    r"|system administrator",
    re.IGNORECASE,
)
_FAILURE = re.compile(
    r"undeliver|not (?:be )?deliver|(?:could|can)(?: ?not|n['’]t) (?:be )?(?:deliver|sent)"
    r"|(?:delivery|mail|message)s? (?:has |have )?(?:failed|failure|delayed)|failure (?:notice|delivery)|returned mail"
    r"|delivery status|non-?delivery|unable to (?:deliver|send)|unzustellbar|non remis|no se (?:ha )?pudo entregar"
    r"|error sending your mail|has been delayed|message delayed",
    re.IGNORECASE,
)
_AUTOMATIC_REPLY = re.compile(
    r"\s*(?:re:\s*)?(?:auto(?:mati\w+)?[- _:]*(?:repl|respon|answer|antwor|svar)|auto: |out of (?:the )?office|ooo\b"
    r"|vacation|on (?:leave|holiday|vacation)|i am away|abwesen|r(?:é|e)ponse automatique|absence du bureau"
    r"|respuesta autom|fuera de (?:la )?oficina|risposta automat|resposta autom|automatisch antwoord|afwezig"
    r"|automatyczna odpowied|автоответ|автоматический ответ|自動(?:応答|返信)|自动(?:答复|回复))",
    re.IGNORECASE,
)
_COMPLAINT = re.compile(r"\s*complaint about (?:a )?message\b", re.IGNORECASE)
_JMRP = re.compile(r"\bstaff@(?:hotmail|outlook|msn)\.com\b", re.IGNORECASE)
_RETURNED = re.compile(
    r"^[^\w\n]{0,80}(?:this is a copy of|below (?:this line )?is a copy|(?:enclosed|included|attached) is a copy"
    r"|a copy of (?:the|your) (?:original )?message|the (?:following is a copy|headers? of the original)"
    r"|(?:unsent|original|returned) (?:message|mail)|message (?:headers?|text) follow"
    r"|(?:received|return-path|dkim-signature|message-id)[ \t]*:(?!//))",
    re.IGNORECASE | re.MULTILINE,
)
_DELAYED = re.compile(
    r"\b(?:will be retried|still being retried|delivery attempts will continue|only a (?:temporary|warning)"
    r"|do not need to re-?send|warning message only|(?:has been|is) delayed|will keep trying|not yet been delivered)\b",
    re.IGNORECASE,
)
_RETURNED_PARTS = {"message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers"}
_TAG = re.compile(r"<[^<>]{0,1000}>")
_FIELD = re.compile(
    r"^[ \t>]*(?:action|status|final-recipient|original-recipient|diagnostic-code|feedback-type)[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)

_REPLY = re.compile(r"(?<![\w.:/@=-])(?:4[2-7]|5[0-7])\d(?=[\s:-])")
_CODE = re.compile(
    r"(?:^|[#(\[:<]|\b(?:status|code|error))[ \t]*[245]\.\d{1,3}\.\d{1,3}(?![\d.]*\d)", re.IGNORECASE | re.MULTILINE
)
"""A status code that stands alone, without the reply that it belongs to; and not the version of a program."""

_ADDRESS = re.compile(r"(?<![\w.+@-])[\w.+=/-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_RCPT = re.compile(r"\bRCPT\b|\bRCPT_TO\b|\bdoes not like recipient", re.IGNORECASE)
_OTHER_COMMAND = re.compile(
    r">>> ?(?:DATA|MAIL|[EH][EH]LO)\b|\bMAIL FROM\b|\bDATA\b|\bend of (?:the )?data\b|\binitial connection\b"
    r"|\bEHLO\b|\bHELO\b|\bsender was rejected|\bmy name was rejected"
)
_NOBODY = re.compile(
    r"\bunknown (?:user|recipient|addressee)\b|\b(?:user|recipient|addressee) unknown\b"
    r"|\bnot (?:listed|found) in (?:the )?(?:\w+ ){0,2}directory\b|\brecipient name is not recogni[sz]ed\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Said:
    """A bounce in free text. `delayed`: the sending server goes on trying."""

    kind: BounceKind
    email: str | None
    detail: str
    words: str
    delayed: bool


def is_bounce(message: Message, text: str) -> bool:
    """Return whether a mail is a server's report, and not a person's or an automatic reply."""
    subject, sender = _header(message, "Subject"), _header(message, "From")
    return_path = _header(message, "Return-Path").strip().lower()
    by_server = bool(message.get("X-Failed-Recipients")) or _DAEMON.search(sender) is not None
    if by_server or message.get_content_type() == "multipart/report":  # of whatever type
        return _AUTOMATIC_REPLY.match(subject) is None
    automatic = _header(message, "Auto-Submitted").lower().startswith("auto-replied")
    if automatic or _AUTOMATIC_REPLY.match(subject) or message.get("X-Autoreply") or message.get("X-Autorespond"):
        return False
    if return_path == "<>" or return_path.startswith("<mailer-daemon"):
        return True
    return not return_path and _FAILURE.search(f"{subject}\n{text[:SEARCHED]}") is not None


def is_feedback_loop(message: Message) -> bool:
    """Return whether a mail is a complaint as Outlook.com's feedback loop (JMRP) sends it: the message, no report."""
    subject, sender = _header(message, "Subject"), _header(message, "From")
    return message.is_multipart() and (_COMPLAINT.match(subject) is not None or _JMRP.search(sender) is not None)


def is_unsubscription(message: Message) -> bool:
    """Return whether a mail program sent this because its user pressed "unsubscribe", as Apple's does."""
    return _header(message, "Subject").strip().lower() == "unsubscribe"


def text_of(message: Message) -> str:
    """Return the text for people: all parts that are text, up to the returned message; HTML if there is no other."""
    plain_texts, html = [], ""
    for part in message.walk():
        if part.get_content_type() in _RETURNED_PARTS:
            break
        if part.is_multipart() or part.get_content_maintype() != "text":
            continue
        if part.get_content_subtype() == "html":
            html = html or _TAG.sub(" ", _decoded(part))
        else:
            plain_texts.append(_decoded(part))
    text = "\n\n".join(filter(str.strip, plain_texts)) or html
    if not text and isinstance(content := message.get_payload(), str):  # its parts are not where its header says
        text = content
    return text[:READ]


def before_returned(text: str) -> str:
    """Return the text up to the returned message."""
    found = _RETURNED.search(text)
    # A text that begins with fields has no introduction; what follows must do.
    return text[: found.start()] if found is not None and text[: found.start()].strip() else text


def fields_in(text: str) -> str | None:
    """Return the fields of a delivery or feedback report that stand in a text, from the first one on; None if none."""
    names = {found[0].strip(" \t>:").lower() for found in _FIELD.finditer(text)}
    if not {"action", "status"} <= names and not {"final-recipient", "diagnostic-code"} <= names:
        return None
    first = _FIELD.search(text)
    return text[first.start() :].lstrip() if first is not None else None


def answers_rcpt(text: str) -> bool:
    """Return whether a text names RCPT as the command that was refused, and no other."""
    return _RCPT.search(text) is not None and _OTHER_COMMAND.search(text) is None


def read_text(message: Message, text: str) -> Said:
    """Return the statement of a bounce in free text: at least a soft bounce."""
    text = before_returned(text)
    subject = _header(message, "Subject")
    delayed = _DELAYED.search(text) is not None or re.search(r"\bdelay", subject, re.IGNORECASE) is not None
    email = _recipient(message, text)
    verdicts = list(_verdicts(text))
    if not verdicts:
        return Said(BounceKind.SOFT, email, "", next(filter(says_full, _paragraphs(text)), ""), delayed)
    kind, detail, words = min(verdicts, key=lambda verdict: strength(verdict[0]))
    if kind is BounceKind.HARD and (delayed or any(map(says_full, _paragraphs(text)))):
        kind = BounceKind.SOFT
    return Said(kind, email, detail, words, delayed)


def _verdicts(text: str) -> Iterator[tuple[BounceKind, str, str]]:
    """Yield kind, status and words of each reply, and of each sentence that says plainly that nobody is there."""
    for paragraph in _paragraphs(text):
        replies = list(_replies(paragraph))
        for status, words, at_rcpt in replies:
            yield judged(status, words, at_rcpt=at_rcpt), status, words
        if not replies:
            words = _line(paragraph)
            if says_no_domain(words) or _NOBODY.search(words):
                yield judged("5.1.1", _NOBODY.sub("unknown user", words)), "", words


def _paragraphs(text: str) -> list[str]:
    return re.split(r"\n[ \t\r]*\n", text, maxsplit=MOST_PARAGRAPHS)[:MOST_PARAGRAPHS]


def _line(text: str) -> str:
    return plain(" ".join(text.split()))[:SEARCHED]


def _replies(paragraph: str) -> Iterator[tuple[str, str, bool]]:
    """Yield status, words and whether RCPT was answered, of each reply that a paragraph quotes."""
    found = list(_REPLY.finditer(paragraph))[:MOST_REPLIES]
    # The lines of a reply, but the last, have a hyphen after the code (RFC 5321 section 4.2).
    goes_on = {after.start() for line, after in pairwise(found) if line[0] == after[0] and paragraph[line.end()] == "-"}
    starts = [line.start() for line in found if line.start() not in goes_on]
    if not starts and _CODE.search(paragraph) is not None:
        starts = [0]
    for start, end in pairwise([*starts, len(paragraph)]):
        words = _line(paragraph[start:end])
        code = STATUS.search(words)
        status = code[0] if code is not None else f"{words[0]}.0.0" if words[:1] in ("4", "5") else ""
        yield status, words, _answered_rcpt(paragraph, start)


def _answered_rcpt(paragraph: str, reply: int) -> bool:
    """Return whether the last command before a reply is RCPT or, if none is named before it, the only one after it."""
    before = paragraph[:reply]
    rcpt = max((found.start() for found in _RCPT.finditer(before)), default=-1)
    other = max((found.start() for found in _OTHER_COMMAND.finditer(before)), default=-1)
    return rcpt > other if max(rcpt, other) >= 0 else answers_rcpt(paragraph[reply:])


def _recipient(message: Message, text: str) -> str | None:
    """Return the address that a text is about, or None if it names several."""
    named = _header(message, "X-Failed-Recipients") or text
    found = list(dict.fromkeys(address.lower() for address in _ADDRESS.findall(named[:READ])))
    ours = {address.lower() for address in _ADDRESS.findall(f"{_header(message, 'To')} {_header(message, 'From')}")}
    left = [address for address in found if address not in ours]
    return left[0] if len(left) == 1 else None


def _header(message: Message, name: str) -> str:
    return " ".join(str(message.get(name, ""))[:SEARCHED].split())


def _decoded(part: Message) -> str:
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return ""
    try:
        return content[: 2 * READ].decode(part.get_content_charset("utf-8"), errors="replace")[:READ]
    except LookupError:
        return content[:READ].decode("latin-1")
