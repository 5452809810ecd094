"""What a relay's answer means: replies of RFC 5321, enhanced codes of RFC 3463, and words, as a table.

Reading a reply yields its signs, the most telling first; the first sign that the table knows for that phase decides:

| sign                          | from                                                                             |
|-------------------------------|----------------------------------------------------------------------------------|
| `5-unknown`                   | a code and words that can only mean a dead address, and others that speak against it |
| `busy`, `full`, `account`, `rate` | words of `wording.py`, which no code outweighs                                   |
| `5-temporary`                 | words that say that it may pass, where they are not about us                      |
| `421`                         | the basic code 421: whatever else it says, the relay is closing the connection    |
| `5.1.1/blocked`, then `5.1.x/blocked` | an enhanced code together with a word that makes it mean less              |
| `5.1.1`, then `5.1.x`         | an enhanced code, if its class is that of the basic code (RFC 2034 demands it)     |
| `bare/nobody` and others      | a word, where there is no enhanced code, or one that says nothing                 |
| `550`, then `5xx`             | the basic code, and its class                                                     |
| `odd`                         | a code that is no answer to what was said: the conversation is out of step        |
"""

import re
from collections.abc import Collection, Iterator
from enum import StrEnum

from recovery.domain.outcome import OutcomeKind
from recovery.mail.smtp.wording import Wording, wordings


class Phase(StrEnum):
    """How far a conversation has come: what the relay was last told, or is about to be."""

    CONNECT = "connect"
    """Up to and with the banner, EHLO, STARTTLS and AUTH: nothing is yet known of any message."""
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    """Before the content: nothing of it has been written."""
    DOT = "the dot"
    """The content and its final dot have been written: the relay may have taken the message."""


_BEFORE_DOT = (Phase.CONNECT, Phase.MAIL, Phase.RCPT, Phase.DATA)
_IN_MESSAGE = (Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.DOT)
_SINCE_RCPT = (Phase.RCPT, Phase.DATA, Phase.DOT)

MEANINGS: tuple[tuple[OutcomeKind, tuple[Phase, ...], str], ...] = (
    (OutcomeKind.SENT, (Phase.DOT,), "2xx"),
    # Words that no code outweighs. Said of the recipient, they pass; said of us, they would meet every message.
    (OutcomeKind.LATER, _IN_MESSAGE, "4-busy 5-busy 4-full 5-full 5-temporary"),
    # Whom a server does not know it does not know, whatever it says besides; but then nobody is suppressed.
    (OutcomeKind.DEAD_MESSAGE, _SINCE_RCPT, "5-unknown"),
    (OutcomeKind.THROTTLED, _IN_MESSAGE, "4-rate 5-rate"),
    (OutcomeKind.OUR_FAULT, _IN_MESSAGE, "421-account 5-account"),
    # While connecting, a refusal cannot be about a message, so none may pay for it with an attempt.
    (OutcomeKind.CONNECTION, (Phase.CONNECT,), "4xx"),
    # A 421 after the dot is one 4xx among others: it was this content that the relay could not bear, and were its
    # attempts not counted, a message that upsets a filter would come round for ever.
    (OutcomeKind.CONNECTION, _BEFORE_DOT, "421 odd"),
    (OutcomeKind.LATER, _IN_MESSAGE, "450 451 452 454 4.2.2 4.7.x 4xx 5.2.2"),
    # To suppress an address takes that nothing else speaks against it: a blocklist under the code of a dead address is
    # about us. Not at MAIL, where an address can only be the sender's.
    (OutcomeKind.OUR_FAULT, _SINCE_RCPT, "5.1.x/blocked 5.2.x/blocked 5.1.x/sender 5.2.x/sender 5.7.x"),
    (OutcomeKind.DEAD_ADDRESS, _SINCE_RCPT, "5.1.1 5.1.2 5.1.3 5.1.6 5.1.10 5.2.1"),
    # Older servers know no enhanced codes, and say a plain 550 to an unknown user, 551 and 553 to a mailbox that is not
    # theirs or misspelt (RFC 5321 section 4.2.3), 556 to a domain without mail (RFC 7504); others put one that says
    # nothing before words that do. All but 556 are said of much else too, so that it takes words; and only at RCPT:
    # after the dot, a plain 550 is most often about the content.
    (OutcomeKind.DEAD_MESSAGE, (Phase.RCPT,), "bare/rule"),
    (OutcomeKind.OUR_FAULT, (Phase.RCPT,), "bare/blocked"),
    (OutcomeKind.OUR_FAULT, _SINCE_RCPT, "bare/sender"),
    (OutcomeKind.DEAD_ADDRESS, (Phase.RCPT,), "bare/nobody 5.4.1/refused"),
    (OutcomeKind.OUR_FAULT, (Phase.RCPT,), "bare/policy"),
    (OutcomeKind.DEAD_ADDRESS, (Phase.RCPT,), "556"),
    (OutcomeKind.DEAD_MESSAGE, _IN_MESSAGE, "552 5.3.4 5.6.x"),
    # 5.1.7 and 5.1.8 are the sender's address (RFC 3463); the basic codes are protocol, encryption and authentication.
    (OutcomeKind.OUR_FAULT, tuple(Phase), "5.1.7 5.1.8 500 501 502 503 504 530 534 535 538 555"),
    (OutcomeKind.OUR_FAULT, (Phase.CONNECT, Phase.MAIL), "5.7.x"),
    # What is left of 5xx must not be tried again as it is (RFC 5321 section 4.2.1). Before RCPT it would meet every
    # message. From then on the message dies in plain sight: to suppress an address takes a clear word, and to stop all
    # mail for one message would be worse.
    (OutcomeKind.OUR_FAULT, (Phase.CONNECT, Phase.MAIL), "5xx"),
    (OutcomeKind.DEAD_MESSAGE, _SINCE_RCPT, "5xx"),
    (OutcomeKind.AMBIGUOUS, (Phase.DOT,), "odd"),
)
"""Outcome, the phases it holds in, and the signs of it. No sign occurs twice for one phase."""

_TABLE = {(phase, sign): kind for kind, phases, signs in MEANINGS for phase in phases for sign in signs.split()}

# At the start of the text; or, as qmail has it, at the end of it: "(#5.7.1)".
_ENHANCED = re.compile(r"(?:^|\(#)([245])\.(\d{1,3})\.(\d{1,3})(?!\.?\d)")

_SAYS_NOTHING = ((0, 0), (1, 0), (5, 0), (2, 0), (4, 0))
"""Subject and detail of enhanced codes that leave it to the words: 5.0.0, 5.1.0, 5.5.0 ("other or undefined")."""

_OUTWEIGHING = (
    (Wording.RECIPIENT_BUSY, "busy"),
    (Wording.RECIPIENT_FULL, "full"),
    (Wording.ACCOUNT, "account"),
    (Wording.RATE, "rate"),
    (Wording.TEMPORARY, "temporary"),
)
_MAILBOX_UNKNOWN = ((1, 1), (1, 2), (1, 3), (1, 6), (1, 10))
"""Subject and detail of enhanced codes of an address that never was one."""

_SPEAKS_AGAINST = (Wording.ACCOUNT, Wording.RATE, Wording.BLOCKED, Wording.SENDER)
_OF_BARE = (
    (Wording.RULE, "rule"),
    (Wording.BLOCKED, "blocked"),
    (Wording.SENDER, "sender"),
    (Wording.NOBODY, "nobody"),
    (Wording.POLICY, "policy"),
)


def read_reply(phase: Phase, code: int, text: str) -> OutcomeKind:
    """Return what a reply means that came in this phase.

    `code` is the basic code, `text` what follows it, lines joined by newlines. Replies that ask to go on (2xx to MAIL,
    3xx to DATA) are not for reading here: but for one after the dot they count as out of step.
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
    """Yield what the words say that no code outweighs. Only a code of the mailbox says whose account or quota it is."""
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
    """Return subject and detail of the enhanced code, unless there is none or it contradicts the basic code."""
    match = _ENHANCED.search(text)
    if match is None or int(match[1]) != code // 100:
        return None
    return int(match[2]), int(match[3])
