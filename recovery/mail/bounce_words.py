"""Verdict on a bounce by its status code (RFC 3463) and the words of the server that refused.

The rules are those for the relay's own replies (`recovery.mail.smtp.replies`). A report is weaker evidence, as it comes
late and through other hands. So an address is dead by a code that means that and nothing else, or by plain words if the
report says that they answered RCPT: after the content, the same words are most often a filter's.
"""

import re
from enum import StrEnum

from recovery.domain.outcome import OutcomeKind
from recovery.mail.smtp.replies import Phase, read_reply
from recovery.mail.smtp.wording import Wording, wordings


class BounceKind(StrEnum):
    """Severity of a report for its address, the weakest first. `BLOCKED`: the refusal is about us, not the address."""

    BLOCKED = "blocked"
    SOFT = "soft"
    HARD = "hard"
    COMPLAINT = "complaint"


strength = list(BounceKind).index
"""The severity of a kind as a number: 0 is the weakest."""

STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)")

SEARCHED = 2000
"""Characters of a server's text that are judged."""

_KINDS = {OutcomeKind.DEAD_ADDRESS: BounceKind.HARD, OutcomeKind.OUR_FAULT: BounceKind.BLOCKED}

_MAY_COME_BACK = re.compile(
    r"\b(?:disabled|in-?activ\w*|not active|suspended|locked|deactivated|dormant|discontinued|on hold|quarantined?)\b",
    re.IGNORECASE,
)
"""A mailbox that exists and takes no mail for now. If that lasts, its soft bounces add up."""

_NO_DOMAIN = re.compile(
    r"\bhost(?: or domain)?(?: name)?(?: [\w.-]+)? (?:was )?not found\b"
    r"|\b(?:unknown|no such|nonexistent) (?:host|domain)\b"
    r"|\b(?:host|domain) unknown\b|\bdomain(?: name)? (?:does ?n[o']t|does not) exist|\bnxdomain\b"
    r"|\bcould ?n[o']t find (?:any host|a mail exchanger)|\bunrouteable (?:mail domain|address)"
    r"|\bno mx (?:record )?(?:was )?found\b|\bindicated no smtp service|\bnull ?mx\b",
    re.IGNORECASE,
)
_PASSING = re.compile(r"\btry again\b|\btemporar|\btimed? ?out\b|\bservfail|\bdefer", re.IGNORECASE)
_SMTP_REPLY = re.compile(r"\s*(?:\w+ said: *)?[45]\d\d[ -]")

_SPEAKS_AGAINST = {
    *(Wording.RECIPIENT_BUSY, Wording.RECIPIENT_FULL, Wording.ACCOUNT, Wording.RATE),
    *(Wording.TEMPORARY, Wording.SENDER, Wording.RULE, Wording.BLOCKED),
}
_SAYS_NOTHING = re.compile(r"|5\.(?:0|1|2|3|4|5)\.0")
"""Status codes that are undefined or unspecific, so that words decide."""


def judged(status: str, words: str, *, at_rcpt: bool = False) -> BounceKind:
    """Return the bounce kind of a permanent failure (class 5), by its status and the server's text.

    `at_rcpt`: the report says that the text is the reply to RCPT. Where code and words contradict each other, the
    weaker counts: servers report a blocklist under the code of a dead address, and exact words under any code.
    """
    words = words[:SEARCHED]
    own = STATUS.search(words)
    codes = {status, own[0] if own is not None and not own[0].endswith(".0.0") else status}
    if any(code.startswith("4") for code in codes):
        return BounceKind.SOFT
    # The phase of the SMTP session is not certain. After the dot, only an enhanced code can mean a dead address.
    kind = min((_by_code(code, words) for code in codes), key=strength)
    return BounceKind.HARD if kind is BounceKind.SOFT and _is_nobody(codes, words, at_rcpt=at_rcpt) else kind


def _by_code(code: str, words: str) -> BounceKind:
    kind = _KINDS.get(read_reply(Phase.DOT, 550, f"{code} {words}"), BounceKind.SOFT)
    # 5.2.1 is a disabled mailbox (RFC 3463 section 3.3): it may come back.
    if kind is BounceKind.HARD and (code == "5.2.1" or _MAY_COME_BACK.search(words)):
        return BounceKind.SOFT
    return kind


def _is_nobody(codes: set[str], words: str, *, at_rcpt: bool) -> bool:
    """Return whether words say plainly, and unopposed, that the recipient or its domain does not exist."""
    said = wordings(words)
    if not said.isdisjoint(_SPEAKS_AGAINST) or _MAY_COME_BACK.search(words):
        return False
    if at_rcpt and codes == {"5.4.1"}:
        return Wording.POLICY in said  # Microsoft's answer for a recipient that does not exist
    if all(_SAYS_NOTHING.fullmatch(code) or code == "5.2.1" for code in codes) and at_rcpt:
        return Wording.UNKNOWN in said
    return all(_SAYS_NOTHING.fullmatch(code) or code == "5.4.4" for code in codes) and says_no_domain(words)


def says_no_domain(words: str) -> bool:
    """Return whether the reporting server says by itself that the recipient's domain takes no mail."""
    return _NO_DOMAIN.search(words) is not None and _PASSING.search(words) is None and _SMTP_REPLY.match(words) is None


def says_full(words: str) -> bool:
    """Return whether the text says that the mailbox is full."""
    return Wording.RECIPIENT_FULL in wordings(words[:SEARCHED])
