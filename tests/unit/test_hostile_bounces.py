"""Reports that somebody wrote to hold the daemon up: the largest that are taken in are read within half a second."""

import time
from contextlib import suppress

import pytest

from recovery.http.app import LONGEST_BODY
from recovery.mail.bounces import NoReport, read

WITHIN = 0.5
"""Seconds of this process's own time."""

SIZE = LONGEST_BODY

HEAD = b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n"
FIELDS = b"\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\n"
"""Up to where a report tells of recipients."""

RECIPIENT = b"Final-Recipient: rfc822; a@b.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"


def filled(before, part, after=b""):
    return before + part * ((SIZE - len(before) - len(after)) // len(part)) + after


def nested(depth):
    opened = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (number, number) for number in range(depth)
    )
    return filled(opened, b"--c\r\n")


HOSTILE = {
    "blanks in a field": filled(HEAD + FIELDS + RECIPIENT[:-2] + b"x", b" ", b"x\r\n--b--"),
    "blanks in a header": filled(HEAD + b"Message-ID: x", b" ", b"x\r\n" + FIELDS + RECIPIENT + b"--b--"),
    "folds": filled(HEAD + b"Message-ID: x", b"\r\n ", b"\r\n" + FIELDS + RECIPIENT + b"--b--"),
    "recipients": filled(HEAD + FIELDS, RECIPIENT + b"\r\n", b"--b--"),
    "words": filled(HEAD + FIELDS + RECIPIENT + b"Diagnostic-Code: smtp; 550 ", b"user mailbox is over ", b"\r\n--b--"),
    "parts within each other": nested(900),
    "parts beside each other": filled(HEAD + b"\r\n", b"--b\r\n\r\n"),
    "headers": filled(HEAD, b"a: b\r\n"),
    "semicolons": filled(b'Content-Type: multipart/report; x="', b";", b"\r\n\r\n"),
    "semicolons in a fold": filled(HEAD + b"\r\n--b\r\nContent-Type: x/y\r\n", b' ;"', b"\r\n\r\n--b--"),
    "codes": filled(HEAD + FIELDS + RECIPIENT[:-7] + b"Status: ", b"5.1.1", b"\r\n--b--"),
    "lines": filled(HEAD + b"\r\n", b"\n"),
    "returns": filled(HEAD + b"\r\n", b"\r"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_the_worst_report_is_read_within_half_a_second(what):
    """Or refused as what it is, for good: a mail server would bring again what only failed."""
    began = time.process_time()
    with suppress(NoReport):
        read(HOSTILE[what])
    assert time.process_time() - began < WITHIN


@pytest.mark.parametrize(
    "date", [b"99999999999999999999", b"Mon, 1 Jan 99999999999999999999 10:00:00 +0000", b"x" * 9999]
)
def test_a_date_that_is_none_is_no_fault(date):
    """The report counts, without a date."""
    (found,) = read(HEAD + b"Date: " + date + b"\r\n" + FIELDS + RECIPIENT + b"\r\n--b--")
    assert (found.kind, found.at) == ("hard", None)


def test_the_text_of_a_long_message_is_not_read():
    """A report counts, however long the message is that it brings back: what it says comes before that."""
    original = b"Content-Type: message/rfc822\r\n\r\nSubject: long\r\n\r\n" + b"a line\r\n" * 30_000
    (found,) = read(HEAD + FIELDS + RECIPIENT + b"\r\n--b\r\n" + original + b"--b--")
    assert (found.kind, "Subject: long" in found.headers) == ("hard", True)
