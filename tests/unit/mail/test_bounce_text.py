"""Bounces in free text, and reports in unusual wrappings: what they say, and that nothing else is taken for one."""

import json

import pytest

from recovery.mail.bounce_words import BounceKind, judged
from recovery.mail.bounces import NoReport, read

ADA = "ada@example.com"
RETURN_PATH = "bounces+mfrggzdfmztwq2lk@bounce.shop.example"
HARD, SOFT, BLOCKED, COMPLAINT = BounceKind.HARD, BounceKind.SOFT, BounceKind.BLOCKED, BounceKind.COMPLAINT


def mail(text, subject="failure notice", sender="MAILER-DAEMON@mx.example", return_path="<>", headers=""):
    """Return a mail as Postfix hands it to a program, with the return path in front."""
    path = f"Return-Path: {return_path}\n" if return_path else ""
    return (
        f"{path}Delivered-To: {RETURN_PATH}\nFrom: {sender}\nTo: {RETURN_PATH}\nSubject: {subject}\n{headers}\n{text}"
    ).encode()


QMAIL = f"""\
Hi. This is the qmail-send program at mx.example.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<{ADA}>:
192.0.2.1 does not like recipient.
Remote host said: {{}}
Giving up on 192.0.2.1.

--- Below this line is a copy of the message.

Return-Path: <shop@shop.example>
Subject: 550 5.1.1 user unknown, said a customer
"""
EXIM = f"""\
This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  {ADA}
    {{}}

------ This is a copy of the message, including all the headers. ------

Return-path: <{RETURN_PATH}>
"""
AFTER_RCPT = f"SMTP error from remote mail server after RCPT TO:<{ADA}>:\n    host mx.example [192.0.2.1]: "
AFTER_DATA = "SMTP error from remote mail server after end of data:\n    host mx.example [192.0.2.1]: "


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (QMAIL.format("550 5.1.1 <ada@example.com>: user unknown"), HARD),
        (QMAIL.format("550 no such user here"), HARD),
        (QMAIL.format("550 5.2.2 mailbox full"), SOFT),
        (QMAIL.format("450 4.2.2 mailbox full"), SOFT),
        (QMAIL.format("550 5.7.1 listed at zen.spamhaus.example"), BLOCKED),
        (QMAIL.format("550 5.1.1 rejected: your IP address is on a blocklist"), BLOCKED),
        (QMAIL.format("550 no"), SOFT),
        (EXIM.format(f"{AFTER_RCPT}550 5.1.1 User unknown"), HARD),
        (EXIM.format(f"{AFTER_RCPT}550 No such user here"), HARD),
        (EXIM.format(f"{AFTER_RCPT}550 Recipient address rejected: policy"), SOFT),
        (EXIM.format(f"{AFTER_RCPT}550 User unknown: account is disabled"), SOFT),
        (EXIM.format(f"{AFTER_RCPT}550-5.1.1 The account that you tried to reach does not\n    550 exist."), HARD),
        (EXIM.format(f"{AFTER_DATA}550 User unknown"), SOFT),
        (EXIM.format(f"{AFTER_DATA}554 5.7.1 spam"), BLOCKED),
        (EXIM.format("Unrouteable address"), HARD),
        (
            EXIM.format("all relevant MX records point to non-existent hosts: host mx.example not found, try again"),
            SOFT,
        ),
        (EXIM.format("retry timeout exceeded"), SOFT),
        (EXIM.format("mailbox is full: retry timeout exceeded"), SOFT),
        ("Sorry.\n\nUser Ada (ada@example.com) not listed in the Directory", HARD),
        ("<ada@example.com>:\nSorry, no mailbox here by that name. (#5.1.1)", HARD),
        ("ada@example.com: rejected by the mail gateway, version 5.1.1 of its software", SOFT),
        ("Something about your mail.", SOFT),
        ("", SOFT),
    ],
)
def test_free_text_is_at_least_a_soft_bounce(text, kind):
    """And more by a code, or by plain words if they answer RCPT; the returned message is not searched for words."""
    (found,) = read(mail(text))
    assert found.kind is kind
    assert RETURN_PATH in found.headers


@pytest.mark.parametrize(
    ("text", "email"), [(QMAIL.format("550 no"), ADA), ("<ada@example.com>: no\n\n<ben@example.com>: no", None)]
)
def test_the_address_is_found_if_there_is_only_one(text, email):
    """A text names the address that failed; of several, none is taken."""
    assert [found.email for found in read(mail(text))] == [email]


def test_the_return_path_is_found_in_the_returned_message():
    """A report that reaches another address is recognised by the headers that its text quotes."""
    raw = mail(EXIM.format("Unrouteable address")).replace(f"Delivered-To: {RETURN_PATH}\n".encode(), b"")
    (found,) = read(raw.replace(f"To: {RETURN_PATH}\n".encode(), b"To: postmaster@shop.example\n"))
    assert f"<{RETURN_PATH}>" in found.headers


@pytest.mark.parametrize(
    "text", ["Message will be retried for 2 more day(s)", "Delivery attempts will continue for some time."]
)
def test_a_delay_is_told_apart(text):
    """A server that goes on trying reports no bounce yet, whatever reply it quotes."""
    (found,) = read(mail(f"{text}\n\n<ada@example.com>: 550 5.1.1 user unknown"))
    assert (found.kind, found.delayed) == (SOFT, True)


def test_a_full_mailbox_is_told_apart():
    """The reader of a report knows that the mailbox is full, by words in the text or in the fields."""
    for text in (QMAIL.format("552 5.2.2 mailbox full"), "Your mail could not be delivered, as their mailbox is full."):
        assert [found.full for found in read(mail(text))] == [True]
    assert [found.full for found in read(mail(QMAIL.format("550 no")))] == [False]


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "Automatic reply: Your lamp", "sender": "Ada <ada@example.com>"},
        {"subject": "Abwesenheitsnotiz: Ihre Lampe", "sender": "Ada <ada@example.com>"},
        {"subject": "Re: Your lamp", "sender": "Ada <ada@example.com>", "headers": "Auto-Submitted: auto-replied\n"},
        {"subject": "Out of office", "sender": "postmaster@example.com"},
        {"subject": "Re: Your lamp", "sender": "Ada <ada@example.com>", "return_path": "<ada@example.com>"},
        {"subject": "Re: Your lamp", "sender": "Ada <ada@example.com>", "return_path": ""},
    ],
)
def test_what_a_person_or_an_answering_machine_writes_is_no_report(changes):
    """Such a mail is for people to read, also where it comes to a return path of ours."""
    with pytest.raises(NoReport):
        read(mail("I am away.", **changes))


DELIVERY = "Reporting-MTA: dns; mx\n\nFinal-Recipient: rfc822; ada@example.com\nAction: failed\nStatus: 5.1.1\n"
FEEDBACK = "Feedback-Type: abuse\nUser-Agent: x\nOriginal-Rcpt-To: ada@example.com\n"


def wrapped(type_, content, outer="multipart/mixed"):
    return f"Content-Type: {outer}; boundary=o\n\n--o\nContent-Type: {type_}\n\n{content}\n--o--\n"


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (wrapped("message/delivery-status", DELIVERY), HARD),
        (wrapped("message/delivery-status", DELIVERY, "multipart/report"), HARD),
        (wrapped("message/delivery-status", DELIVERY, "multipart/report; report-type=other"), HARD),
        (wrapped("message/feedback-report", FEEDBACK), COMPLAINT),
        (
            wrapped("multipart/mixed; boundary=i", f"--i\nContent-Type: message/delivery-status\n\n{DELIVERY}\n--i--"),
            HARD,
        ),
        (
            wrapped(
                "message/rfc822", wrapped("message/delivery-status", DELIVERY).replace("=o", "=i").replace("--o", "--i")
            ),
            HARD,
        ),
        (f"From: MAILER-DAEMON\n\nTechnical report:\n\n{DELIVERY}", HARD),
        (f"From: MAILER-DAEMON\nContent-Type: multipart/report; boundary=x\n\n--y\n\n{DELIVERY}\n--y--", HARD),
    ],
)
def test_a_report_is_found_wherever_it_lies(raw, kind):
    """Nested, under another type, without `report-type`, in another mail, or as plain text."""
    assert [(found.kind, found.email) for found in read(raw.encode())] == [(kind, ADA)]


def test_the_feedback_loop_of_outlook_com_is_a_complaint():
    """JMRP sends our whole mail, and no report; the recipient is in a field of Microsoft's."""
    original = f"X-HmXmrOriginalRecipient: {ADA}\nReturn-Path: <{RETURN_PATH}>\nSubject: Your lamp\n\nHello"
    head = "From: staff@hotmail.com\nSubject: complaint about message from 192.0.2.1\n"
    (found,) = read(f"{head}{wrapped('message/rfc822', original)}".encode())
    assert (found.kind, found.email) == (COMPLAINT, ADA)
    assert RETURN_PATH in found.headers


def test_a_wish_not_to_be_written_to_is_a_complaint():
    """Mail programs send one to the return path; it says nothing but that."""
    (found,) = read(mail("Apple Mail sent this email to unsubscribe.", "unsubscribe", "Ada <ada@icloud.com>"))
    assert (found.kind, found.email) == (COMPLAINT, None)


def test_a_notification_of_amazon_ses_by_mail_is_read():
    """SNS can send what SES says as a mail: JSON, perhaps in an envelope, with broken lines and a foot."""
    bounced = {"emailAddress": ADA, "diagnosticCode": "smtp; 550 5.1.1 unknown"}
    told = {"notificationType": "Bounce", "bounce": {"bounceType": "Permanent", "bouncedRecipients": [bounced]}}
    for content in (json.dumps(told), json.dumps({"Type": "Notification", "Message": json.dumps(told)})):
        raw = mail(
            f"{content}\n--\nIf you wish to stop", sender="SES <no-reply@sns.amazonaws.com>", return_path="<x@y.z>"
        )
        assert [(found.kind, found.email) for found in read(raw)] == [(HARD, ADA)]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("said: 550 User unknown (in reply to RCPT TO command)", HARD),
        ("said: 550 User unknown (in reply to end of DATA command)", SOFT),
        ("said: 550 User unknown", SOFT),
    ],
)
def test_the_text_of_a_report_says_which_command_was_refused(text, kind):
    """Plain words in the fields of a report count if its text says that they answer RCPT."""
    fields = DELIVERY.replace("5.1.1", "5.0.0\nDiagnostic-Code: smtp; 550 User unknown")
    report = f"--o\n\n{text}\n--o\nContent-Type: message/delivery-status\n\n{fields}\n--o--"
    raw = f"Content-Type: multipart/report; boundary=o\n\n{report}"
    assert [found.kind for found in read(raw.encode())] == [kind]


def test_the_exit_code_of_a_program_kills_nobody():
    """A delivery program that cannot write ends with the same code as one that knows no such user."""
    fields = DELIVERY.replace("5.1.1", "5.1.1\nDiagnostic-Code: x-unix; procmail: could not create the mailbox")
    assert [found.kind for found in read(wrapped("message/delivery-status", fields).encode())] == [SOFT]


@pytest.mark.parametrize(
    ("status", "words", "at_rcpt", "kind"),
    [
        ("5.1.1", "", False, HARD),
        ("5.2.1", "550 5.2.1 The account that you tried to reach is disabled", False, SOFT),
        ("5.2.1", "550 5.2.1 User unknown", True, HARD),
        ("5.1.1", "550 5.1.1 mailbox is inactive", True, SOFT),
        ("5.4.1", "550 5.4.1 Recipient address rejected: Access denied", True, HARD),
        ("5.4.1", "550 5.4.1 Recipient address rejected: Access denied", False, SOFT),
        (
            "5.4.4",
            "Host or domain name not found. Name service error for name=x.example type=A: Host not found",
            False,
            HARD,
        ),
        ("5.4.4", "Host or domain name not found, try again", False, SOFT),
        ("5.0.0", "550 sender domain does not exist", True, BLOCKED),
        ("5.0.0", "550 4.2.1 mailbox busy", True, SOFT),
    ],
)
def test_code_and_words_are_judged_together(status, words, at_rcpt, kind):
    """Where code and words contradict each other, the weaker counts; undefined codes leave it to plain words."""
    assert judged(status, words, at_rcpt=at_rcpt) is kind
