"""Reports that somebody wrote to hold the daemon up: the largest that are taken in are read within half a second."""

import time
from contextlib import suppress

import pytest

from recovery.mail.bounces import MOST_DASHES, NoReport, read
from tests.support.hostile_reports import FIELDS, HEAD, HOSTILE, RECIPIENT

WITHIN = 0.5
"""Seconds of this process's own time, at the best of three tries: other work on the machine slows it down, too."""


@pytest.mark.parametrize("what", HOSTILE)
def test_the_worst_report_is_read_within_half_a_second(what):
    """Or refused as what it is, for good: a mail server would bring again what only failed."""

    def seconds() -> float:
        began = time.process_time()
        with suppress(NoReport):
            read(HOSTILE[what])
        return time.process_time() - began

    assert any(seconds() < WITHIN for _ in range(3))


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


@pytest.mark.parametrize(("dashes", "is_read"), [(MOST_DASHES - 10, True), (MOST_DASHES + 1, False)])
def test_a_report_with_some_lines_of_dashes_is_read_and_one_of_nothing_else_is_refused(dashes, is_read):
    """A mail that is sent back may have signatures and tables; a part for each line would keep the parser busy."""
    report = HEAD + FIELDS + RECIPIENT + b"\r\n" + b"--\r\n" * dashes + b"--b--"
    if is_read:
        assert [each.kind for each in read(report)] == ["hard"]
    else:
        with pytest.raises(NoReport, match="more lines or parts"):
            read(report)
