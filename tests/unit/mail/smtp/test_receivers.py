"""What providers say, as it is read from replies: their word on us is known, and what is about one message alone."""

from datetime import UTC, datetime

import pytest

from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.engine.receivers import IN_A_ROW, Count, Governor
from recovery.mail.smtp.replies import Phase, read_reply

AT = datetime(2026, 3, 5, tzinfo=UTC)
DEFERRED, BLOCKED = Count.DEFERRED, Count.BLOCKED


@pytest.mark.parametrize(
    ("receiver", "phase", "reply", "word"),
    [
        ("google", "RCPT", "421 4.7.28 Our system has detected an unusual rate of unsolicited mail - gsmtp", DEFERRED),
        ("google", "RCPT", "421 4.7.0 Try again later, closing connection. x12 - gsmtp", DEFERRED),
        ("google", "DOT", "421 4.7.0 This message is suspicious due to the very low reputation - gsmtp", DEFERRED),
        ("google", "DOT", "550 5.7.1 Our system has detected that this message is likely unsolicited - gsmtp", BLOCKED),
        ("google", "DOT", "550 5.7.26 This mail is unauthenticated: SPF and DKIM did not pass - gsmtp", BLOCKED),
        ("microsoft", "RCPT", "451 4.7.650 The mail server has been temporarily rate limited (S775)", DEFERRED),
        ("microsoft", "RCPT", "421 RP-002 Some messages from this server weren't sent, try later", DEFERRED),
        ("microsoft", "RCPT", "550 5.7.1 Unfortunately, messages weren't sent: on our block list (S3150).", BLOCKED),
        ("yahoo", "RCPT", "421 4.7.0 [TSS04] Messages temporarily deferred due to user complaints", DEFERRED),
        ("google", "RCPT", "550 5.1.1 The email account that you tried to reach does not exist - gsmtp", None),
        ("google", "RCPT", "550 5.2.1 The user you are trying to contact is receiving mail too quickly - gsmtp", None),
        ("google", "RCPT", "452 4.2.2 The recipient's inbox is out of storage space - gsmtp", None),
        ("google", "DOT", "552 5.3.4 Your message exceeded Google's message size limits - gsmtp", None),
        ("google", "RCPT", "450 4.7.1 Error: too much mail from 192.0.2.1", None),
        ("microsoft", "RCPT", "550 5.4.1 Recipient address rejected: Access denied [x.prod.outlook.com]", None),
    ],
)
def test_a_providers_word_on_us_is_known(receiver, phase, reply, word):
    kind = read_reply(Phase[phase], int(reply[:3]), reply[4:])
    if kind is OutcomeKind.CONNECTION:
        kind = OutcomeKind.DROPPED  # as a session has it
    governor = Governor()
    said = [governor.tell(str(n), receiver, Outcome(kind, reply, to_recipient=True), n, AT) for n in range(IN_A_ROW)]
    assert said[-1] is word
    assert bool(governor.slowed(float(IN_A_ROW))) == (word is not None)
