"""Classification of SMTP replies: basic codes (RFC 5321), enhanced codes (RFC 3463) and words, as a table.

A reply has several signs, the most specific first; the first sign that the table has for the phase decides:

| sign                          | from                                                                             |
|-------------------------------|----------------------------------------------------------------------------------|
| `5-unknown`                   | a code and words that can only mean a dead address, with others that contradict it |
| `busy`, `full`, `account`, `rate` | words of `wording.py`, which outweigh every code                                 |
| `5-temporary`                 | words that say that the fault is temporary, if they are not about us              |
| `421`                         | the basic code 421: whatever else it says, the relay is closing the connection    |
| `5.1.1/blocked`, then `5.1.x/blocked` | an enhanced code together with a word that weakens it                      |
| `5.1.1`, then `5.1.x`         | an enhanced code, if its class is that of the basic code (RFC 2034 demands it)     |
| `bare/nobody` and others      | a word, if there is no enhanced code, or an undefined one                         |
| `550`, then `5xx`             | the basic code, and its class                                                     |
| `odd`                         | a code that does not fit the command: the session is out of step                  |
"""

import re
from collections.abc import Collection, Iterator
from enum import StrEnum

from recovery.domain.outcome import OutcomeKind
from recovery.mail.smtp.wording import Wording, wordings


class Phase(StrEnum):
    """The phase of an SMTP session: the command that was sent last, or is about to be."""

    CONNECT = "connect"
    """Connection, banner, EHLO, STARTTLS and AUTH: before any message."""
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    """Before the content: none of it has been sent."""
    DOT = "the dot"
    """The content and its final dot have been sent: the relay may have accepted the message."""


_BEFORE_DOT = (Phase.CONNECT, Phase.MAIL, Phase.RCPT, Phase.DATA)
_IN_MESSAGE = (Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.DOT)
_SINCE_RCPT = (Phase.RCPT, Phase.DATA, Phase.DOT)

MEANINGS: tuple[tuple[OutcomeKind, tuple[Phase, ...], str], ...] = (
    (OutcomeKind.SENT, (Phase.DOT,), "2xx"),
    # Words that outweigh every code. About the recipient, they are temporary; about us, every message would get them.
    (OutcomeKind.LATER, _IN_MESSAGE, "4-busy 5-busy 4-full 5-full 5-temporary"),
    # The server does not know the recipient, whatever else it says; because of that else, nobody is suppressed.
    (OutcomeKind.DEAD_MESSAGE, _SINCE_RCPT, "5-unknown"),
    (OutcomeKind.THROTTLED, _IN_MESSAGE, "4-rate 5-rate"),
    (OutcomeKind.OUR_FAULT, _IN_MESSAGE, "421-account 5-account"),
    # A refusal while connecting cannot be about a message, so it must not cost a message one of its attempts.
    (OutcomeKind.CONNECTION, (Phase.CONNECT,), "4xx"),
    # A 421 after the dot is a 4xx like any other, and counts as an attempt: it may be this content that the relay
    # refuses, and a message that a filter rejects would otherwise be retried for ever.
    (OutcomeKind.CONNECTION, _BEFORE_DOT, "421 odd"),
    (OutcomeKind.LATER, _IN_MESSAGE, "450 451 452 454 4.2.2 4.7.x 4xx 5.2.2"),
    # An address is suppressed only if nothing contradicts it: a blocklist under the code of a dead address is about us.
    # Not at MAIL, where an address can only be the sender's.
    (OutcomeKind.OUR_FAULT, _SINCE_RCPT, "5.1.x/blocked 5.2.x/blocked 5.1.x/sender 5.2.x/sender 5.7.x"),
    (OutcomeKind.DEAD_ADDRESS, _SINCE_RCPT, "5.1.1 5.1.2 5.1.3 5.1.6 5.1.10 5.2.1"),
    # Older servers have no enhanced codes. They reply 550 to an unknown user, 551 and 553 to a mailbox that is not
    # theirs or misspelt (RFC 5321 section 4.2.3), 556 to a domain without mail (RFC 7504); others send an undefined
    # enhanced code with exact words. All but 556 have other meanings too, so that words are required; and only at RCPT:
    # after the dot, a plain 550 is most often about the content.
    (OutcomeKind.DEAD_MESSAGE, (Phase.RCPT,), "bare/rule"),
    (OutcomeKind.OUR_FAULT, (Phase.RCPT,), "bare/blocked"),
    (OutcomeKind.OUR_FAULT, _SINCE_RCPT, "bare/sender"),
    (OutcomeKind.DEAD_ADDRESS, (Phase.RCPT,), "bare/nobody 5.4.1/refused"),
    (OutcomeKind.OUR_FAULT, (Phase.RCPT,), "bare/policy"),
    (OutcomeKind.DEAD_ADDRESS, (Phase.RCPT,), "556"),
    (OutcomeKind.DEAD_MESSAGE, _IN_MESSAGE, "552 5.3.4 5.6.x"),
    # 5.1.7 and 5.1.8 are about the sender's address (RFC 3463); the basic codes about protocol, TLS and authentication.
    (OutcomeKind.OUR_FAULT, tuple(Phase), "5.1.7 5.1.8 500 501 502 503 504 530 534 535 538 555"),
    (OutcomeKind.OUR_FAULT, (Phase.CONNECT, Phase.MAIL), "5.7.x"),
    # Any other 5xx must not be retried unchanged (RFC 5321 section 4.2.1). Before RCPT, every message would get it.
    # From RCPT on, the message becomes a dead letter: suppressing an address requires a clear reply, and stopping all
    # mail because of one message would be worse.
    (OutcomeKind.OUR_FAULT, (Phase.CONNECT, Phase.MAIL), "5xx"),
    (OutcomeKind.DEAD_MESSAGE, _SINCE_RCPT, "5xx"),
    (OutcomeKind.AMBIGUOUS, (Phase.DOT,), "odd"),
)
"""Outcome, the phases in which the row applies, and its signs. No sign occurs twice for one phase."""

_TABLE = {(phase, sign): kind for kind, phases, signs in MEANINGS for phase in phases for sign in signs.split()}

# At the start of the text; or, as qmail writes it, at its end: "(#5.7.1)".
_ENHANCED = re.compile(r"(?:^|\(#)([245])\.(\d{1,3})\.(\d{1,3})(?!\.?\d)")

_SAYS_NOTHING = ((0, 0), (1, 0), (5, 0), (2, 0), (4, 0))
"""Subject and detail of undefined enhanced codes, where words decide: 5.0.0, 5.1.0, 5.5.0 ("other or undefined")."""

_OUTWEIGHING = (
    (Wording.RECIPIENT_BUSY, "busy"),
    (Wording.RECIPIENT_FULL, "full"),
    (Wording.ACCOUNT, "account"),
    (Wording.RATE, "rate"),
    (Wording.TEMPORARY, "temporary"),
)
_MAILBOX_UNKNOWN = ((1, 1), (1, 2), (1, 3), (1, 6), (1, 10))
"""Subject and detail of enhanced codes of an address that does not exist."""

_SPEAKS_AGAINST = (Wording.ACCOUNT, Wording.RATE, Wording.BLOCKED, Wording.SENDER)
_OF_BARE = (
    (Wording.RULE, "rule"),
    (Wording.BLOCKED, "blocked"),
    (Wording.SENDER, "sender"),
    (Wording.NOBODY, "nobody"),
    (Wording.POLICY, "policy"),
)


def read_reply(phase: Phase, code: int, text: str) -> OutcomeKind:
    """Return the outcome of a reply received in this phase.

    `code` is the basic code, `text` the rest, its lines joined by newlines. Positive replies before the dot (2xx to
    MAIL, 3xx to DATA) are not handled here: they count as out of step.
    """
    return next(_TABLE[phase, sign] for sign in _signs(code, text) if (phase, sign) in _TABLE)


def _signs(code: int, text: str) -> Iterator[str]:
    if code >= 400:
        yield from _signs_of_refusal(code, text)
    yield str(code)
    yield f"{code // 100}xx"
    yield "odd"


def _signs_of_refusal(code: int, text: str) -> Iterator[str]:
    said, enhanced = wordings(text), _enhanced(code, text)
    yield from _outweighing(code, enhanced, said)
    if code == 421:
        yield "421"
    elif enhanced is not None:
        yield from _of_enhanced(code // 100, enhanced, said)
    if code != 421 and (enhanced is None or enhanced in _SAYS_NOTHING):
        yield from (f"bare/{sign}" for wording, sign in _OF_BARE if wording in said and code >= 500)


def _outweighing(code: int, enhanced: tuple[int, int] | None, said: frozenset[Wording]) -> Iterator[str]:
    """Yield signs of words that outweigh every code. Only a mailbox code shows whose account or quota is meant."""
    if code >= 500 and enhanced in _MAILBOX_UNKNOWN and Wording.UNKNOWN in said:
        if not said.isdisjoint(_SPEAKS_AGAINST):
            yield f"{code // 100}-unknown"
        return
    if Wording.BLOCKED in said or Wording.SENDER in said:
        said = said - {Wording.TEMPORARY}
    of_recipient = {(1, 1): Wording.ACCOUNT, (2, 1): Wording.ACCOUNT, (2, 2): Wording.RATE}
    for wording, sign in _OUTWEIGHING:
        if wording in said and (enhanced is None or of_recipient.get(enhanced) is not wording):
            yield f"{code}-{sign}"
            yield f"{code // 100}-{sign}"


def _of_enhanced(class_: int, enhanced: tuple[int, int], said: Collection[Wording]) -> Iterator[str]:
    subject, detail = enhanced
    if Wording.RULE not in said:
        yield from (f"{class_}.{subject}.x/{sign}" for wording, sign in _OF_BARE[1:3] if wording in said)
    if enhanced == (4, 1) and Wording.POLICY in said:
        yield f"{class_}.{subject}.{detail}/refused"  # Microsoft's answer for a recipient that does not exist
    yield f"{class_}.{subject}.{detail}"
    yield f"{class_}.{subject}.x"


def _enhanced(code: int, text: str) -> tuple[int, int] | None:
    """Return subject and detail of the enhanced code, or None if it is missing or contradicts the basic code."""
    match = _ENHANCED.search(text)
    if match is None or int(match[1]) != code // 100:
        return None
    return int(match[2]), int(match[3])
