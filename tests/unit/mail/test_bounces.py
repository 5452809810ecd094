"""Reports of mail systems: what each of the large ones writes, and that nothing else is taken for one."""

import re
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.mail.bounces import BounceKind, NoReport, read

ADA = "ada@example.com"
RETURN_PATH = "bounces+mfrggzdfmztwq2lk@bounce.shop.example"
LINK = "https://mail.shop.example/u/c2VhbGVk"
HARD, SOFT, COMPLAINT = BounceKind.HARD, BounceKind.SOFT, BounceKind.COMPLAINT
BLOCKED = BounceKind.BLOCKED

ORIGINAL = f"""\
Return-Path: <{RETURN_PATH}>
From: Lamp Shop <shop@shop.example>
To: {ADA}
Subject: You left a lamp behind
Message-ID: <4b1d@shop.example>
List-Unsubscribe:
 <{LINK}>
List-Unsubscribe-Post: List-Unsubscribe=One-Click
"""


def delivery(status, *, original=f"Content-Type: message/rfc822\n\n{ORIGINAL}\nHello\n", headers=""):
    """Return a report as Postfix writes it, of these recipients' fields."""
    return f"""\
Return-Path: <>
Date: Thu,  5 Mar 2026 13:00:00 +0100 (CET)
From: MAILER-DAEMON@mx.shop.example (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: {RETURN_PATH}
Message-Id: <20260305120000.4B1D@mx.shop.example>
MIME-Version: 1.0
{headers}Content-Type: multipart/report; report-type=delivery-status;
	boundary="1D3A.1772712000/mx.shop.example"
Content-Transfer-Encoding: 8bit

This is a MIME-encapsulated message.

--1D3A.1772712000/mx.shop.example
Content-Description: Notification
Content-Type: text/plain; charset=utf-8

This is the mail system at host mx.shop.example.

--1D3A.1772712000/mx.shop.example
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.shop.example
X-Postfix-Queue-ID: 1D3A
Arrival-Date: Thu,  5 Mar 2026 12:59:58 +0100 (CET)

{status}
--1D3A.1772712000/mx.shop.example
Content-Description: Undelivered Message
{original}
--1D3A.1772712000/mx.shop.example--
""".encode()


def recipient(action="failed", status="5.1.1", diagnostic="smtp; 550 no", final=f"rfc822; {ADA}"):
    return f"Final-Recipient: {final}\nAction: {action}\nStatus: {status}\nDiagnostic-Code: {diagnostic}\n"


POSTFIX = delivery(
    f"""\
Final-Recipient: rfc822; {ADA}
Original-Recipient: rfc822;{ADA}
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.example.com
Diagnostic-Code: smtp; 550 5.1.1 <{ADA}>: Recipient address rejected: User
    unknown in virtual mailbox table
""",
    original=f"Content-Type: text/rfc822-headers\n\n{ORIGINAL}",
)

EXCHANGE = f"""\
Received: from mail.protection.example (2603:10a6::1)\r
From: <postmaster@example.com>\r
To: <{RETURN_PATH.upper()}>\r
Date: Thu, 5 Mar 2026 12:00:00 +0000\r
Content-Type: multipart/report; report-type=delivery-status;\r
\tboundary="c0ffee_"\r
Content-Language: en-US\r
Message-ID: <5a1c@AM0PR01.prod.example>\r
In-Reply-To: <4b1d@shop.example>\r
Subject: Undeliverable: You left a lamp behind\r
Auto-Submitted: auto-replied\r
X-MS-Exchange-Message-Is-Ndr: \r
MIME-Version: 1.0\r
\r
--c0ffee_\r
Content-Type: multipart/alternative; boundary="nested_"\r
\r
--nested_\r
Content-Type: text/plain; charset="us-ascii"\r
\r
Your message to {ADA} couldn't be delivered.\r
--nested_\r
Content-Type: text/html; charset="us-ascii"\r
Content-Transfer-Encoding: quoted-printable\r
\r
<html></html>\r
--nested_--\r
\r
--c0ffee_\r
Content-Type: message/delivery-status\r
\r
Reporting-MTA: dns;AM0PR01MB0001.prod.example\r
Received-From-MTA: dns;mx.shop.example\r
Arrival-Date: Thu, 5 Mar 2026 11:59:58 +0000\r
\r
Final-Recipient: rfc822;{ADA}\r
Action: failed\r
Status: 5.1.10\r
Diagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup\r
X-Display-Name: {ADA}\r
\r
\r
--c0ffee_\r
Content-Type: message/rfc822\r
\r
{ORIGINAL.replace(chr(10), chr(13) + chr(10))}\r
Hello\r
--c0ffee_--\r
""".encode()

GMAIL = f"""\
To: {RETURN_PATH}
From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>
Date: Thu, 05 Mar 2026 04:00:00 -0800 (PST)
Message-ID: <65e7.0a@mx.google.com>
Auto-Submitted: auto-replied
Subject: Delivery Status Notification (Failure)
X-Failed-Recipients: {ADA}
MIME-Version: 1.0
Content-Type: multipart/report; boundary="000000000000c0ffee"; report-type=delivery-status

--000000000000c0ffee
Content-Type: multipart/related; boundary="000000000000decaf"

--000000000000decaf
Content-Type: text/html; charset="UTF-8"

<html></html>
--000000000000decaf
Content-Type: image/png; name="icon.png"
Content-Transfer-Encoding: base64

iVBORw0KGgo=
--000000000000decaf--
--000000000000c0ffee
Content-Type: message/delivery-status

Reporting-MTA: dns; googlemail.com
Arrival-Date: Thu, 05 Mar 2026 03:59:58 -0800 (PST)

Final-Recipient: rfc822; {ADA}
Action: failed
Status: 5.1.1
Remote-MTA: dns; gmail-smtp-in.l.google.com. (142.250.27.26, the server
 for the domain example.com.)
Diagnostic-Code: smtp; 550-5.1.1 The email account that you tried to reach does not exist. 550 5.1.1 gsmtp
Last-Attempt-Date: Thu, 05 Mar 2026 04:00:00 -0800 (PST)

--000000000000c0ffee
Content-Type: message/rfc822

{ORIGINAL}
Hello
--000000000000c0ffee--
""".encode()

YAHOO = f"""\
From: MAILER-DAEMON@yahoo.example
To: complaints@shop.example
Date: Thu, 05 Mar 2026 12:00:00 +0000
Subject: Email Feedback Report for IP 192.0.2.1
Message-ID: <fbl-1@yahoo.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report;
     boundary="part1_13d.2e68ed54"

--part1_13d.2e68ed54
Content-Type: text/plain; charset="US-ASCII"
Content-Transfer-Encoding: 7bit

This is an email abuse report for an email message received on Thu, 05 Mar 2026.

--part1_13d.2e68ed54
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Yahoo!-Mail-Feedback/2.0
Version: 0.1
Original-Mail-From: <{RETURN_PATH}>
Original-Rcpt-To: {ADA}
Received-Date: Thu, 05 Mar 2026 11:59:00 +0000
Reported-Domain: shop.example
Authentication-Results: dkim=pass

--part1_13d.2e68ed54
Content-Type: message/rfc822
Content-Disposition: inline

{ORIGINAL}
Hello
--part1_13d.2e68ed54--
""".encode()


@pytest.mark.parametrize(
    ("raw", "kind", "detail", "report"),
    [
        (POSTFIX, HARD, "5.1.1", "<20260305120000.4B1D@mx.shop.example>"),
        (EXCHANGE, HARD, "5.1.10", "<5a1c@AM0PR01.prod.example>"),
        (GMAIL, HARD, "5.1.1", "<65e7.0a@mx.google.com>"),
        (YAHOO, COMPLAINT, "abuse", "<fbl-1@yahoo.example>"),
    ],
    ids=["Postfix", "Exchange", "Gmail", "Yahoo"],
)
def test_reports_are_read(raw, kind, detail, report):
    """Of each sender of reports: what it says, of whom, where our marks are, when, and under what id."""
    (bounced,) = read(raw)
    assert (bounced.kind, bounced.email, bounced.detail, bounced.report) == (kind, ADA, detail, report)
    assert RETURN_PATH in bounced.headers
    assert f"List-Unsubscribe: <{LINK}>" in bounced.headers
    assert bounced.at == datetime(2026, 3, 5, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        (recipient(status="5.1.1"), HARD),
        (recipient(status="5.1.2"), HARD),
        (recipient(status="5.2.1"), SOFT),
        (recipient(status="5.1.1 (no such user)"), HARD),
        (recipient(status="5.0.0", diagnostic="smtp; 550 5.1.1 unknown"), HARD),
        (recipient(status="5.0.0", diagnostic="smtp; 550-5.1.1 unknown 192.5.1.1"), HARD),
        (recipient(status="5.0.0", diagnostic="smtp; 550 rejected by 5.1.1.9"), SOFT),
        (recipient(status="5.0.0", diagnostic="smtp; 550 User unknown"), SOFT),
        (recipient(status="5.2.2"), SOFT),
        (recipient(status="5.2.2", diagnostic="smtp; 550 5.1.1 x"), SOFT),
        (recipient(status="5.3.4"), SOFT),
        (recipient(status="5.6.0"), SOFT),
        (recipient(status="4.4.7"), SOFT),
        (recipient(status="4.1.1"), SOFT),
        (recipient(action="delayed", status="5.1.1"), SOFT),
        (recipient(action="FAILED", status=""), SOFT),
        (recipient(status="5.7.1"), BLOCKED),
        (recipient(status="5.1.8"), BLOCKED),
        (recipient(status="5.1.1", diagnostic="smtp; 550 5.7.1 IP address blacklisted by recipient"), BLOCKED),
        (recipient(status="5.1.1", diagnostic="smtp; 553 listed by spamhaus"), BLOCKED),
        (recipient(status="5.1.1", diagnostic="smtp; 550 too many sessions"), SOFT),
        (recipient(status="5.2.1", diagnostic="smtp; 550 5.2.1 receiving mail at a rate that prevents more"), SOFT),
        (recipient(status="5.1.1", diagnostic="smtp; 550 5.1.1 User unknown"), HARD),
        (recipient(action="delivered", status="2.0.0"), None),
        (recipient(action="relayed", status="2.0.0"), None),
        (recipient(action="expanded", status="2.0.0"), None),
    ],
)
def test_only_a_clear_word_makes_an_address_dead(fields, kind):
    """An address is dead by an enhanced code that says so; what may pass is soft, and what is our fault no one's."""
    assert [bounced.kind for bounced in read(delivery(fields))] == ([] if kind is None else [kind])


def test_a_list_that_is_partly_alive_is_not_dead():
    """An address that stands for several is not dead while mail to one of them was delivered."""
    fields = recipient() + "\n" + recipient(action="delivered", status="2.1.5", final="rfc822; ben@example.com")
    assert [(bounced.kind, bounced.email) for bounced in read(delivery(fields))] == [(SOFT, ADA)]


@pytest.mark.parametrize(
    ("fields", "email"),
    [
        (f"Original-Recipient: rfc822; {ADA}\n" + recipient(final="rfc822; box-17@mailhost.example"), ADA),
        (recipient(final=f"RFC822;<{ADA}>"), ADA),
        (recipient(final=ADA), ADA),
        (recipient(final=f"rfc822;\n {ADA}"), ADA),
        (recipient(final="x400; /S=ada/"), None),
    ],
)
def test_an_address_is_found_as_it_was_written_to(fields, email):
    """The address that was written to is preferred to the one it led to, in whatever form."""
    assert [bounced.email for bounced in read(delivery(fields))] == [email]


def test_several_recipients_are_told_apart():
    """A report on several addresses says of each what became of it."""
    fields = recipient() + "\n" + recipient(status="4.2.2", final="rfc822; ben@example.com")
    assert [(b.kind, b.email) for b in read(delivery(fields))] == [(HARD, ADA), (SOFT, "ben@example.com")]


def test_an_international_report_is_read():
    """A report with addresses in UTF-8 (RFC 6533) is read like any other."""
    raw = delivery(recipient(final="utf-8; jörg@example.com"), original=f"Content-Type: message/global\n\n{ORIGINAL}\n")
    (bounced,) = read(
        raw.replace(b"Content-Type: message/delivery-status", b"Content-Type: message/global-delivery-status")
    )
    assert bounced.kind is HARD
    assert RETURN_PATH in bounced.headers


def test_a_report_without_an_id_has_one():
    """A report without a Message-ID is identified by its content, so it counts once."""
    raw = re.sub(rb"Message-Id:.*\n", b"", POSTFIX)
    (one,), (other,), (changed,) = read(raw), read(raw), read(raw + b"\n")
    assert one.report == other.report != changed.report


@pytest.mark.parametrize("kind", ["not-spam", "auth-failure", "virus"])
def test_what_is_no_complaint_is_none(kind):
    """Praise, and reports on the message itself, suppress nobody."""
    assert read(YAHOO.replace(b"Feedback-Type: abuse", f"Feedback-Type: {kind}".encode())) == []


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (b"", "neither a delivery report"),
        (b"\xff\xfe\x00", "neither a delivery report"),
        (b"Subject: I am on holiday\nAuto-Submitted: auto-replied\n\nBack soon.", "neither a delivery report"),
        (b"Content-Type: multipart/report; report-type=disposition-notification\n\n", "neither a delivery report"),
        (YAHOO.replace(b"message/feedback-report", b"text/plain"), "no part of the type message/feedback-report"),
        (YAHOO.replace(b"Feedback-Type: abuse", b"X: y"), "has no Feedback-Type"),
    ],
)
def test_what_is_not_a_report_is_rejected(raw, fault):
    """A message that is not a report, or an empty report, is rejected with a sentence."""
    with pytest.raises(NoReport, match=fault):
        read(raw)


def test_depth_is_no_fault():
    """Parts nested too deeply are rejected, without a crash."""
    raw = b"Content-Type: multipart/report; report-type=delivery-status; boundary=x0\n\n"
    raw += b"".join(b"--x%d\nContent-Type: multipart/mixed; boundary=x%d\n\n" % (n, n + 1) for n in range(3_000))
    with pytest.raises(NoReport):
        read(raw)


@settings(deadline=None)
@given(st.data())
def test_damage_is_told_and_never_raised(data):
    """Whatever is cut out of a report or put into it, it is read or refused in a sentence."""
    raw = data.draw(st.sampled_from([POSTFIX, EXCHANGE, GMAIL, YAHOO]))
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, min(len(raw), start + 200)))
    with suppress(NoReport):
        read(raw[:start] + data.draw(st.binary(max_size=30)) + raw[end:])
