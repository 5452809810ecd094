"""The words of errors, as people read them."""

import pytest

from recovery.domain.wording import alike, in_words


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (
            "RuntimeError: unable to perform operation on <TCPTransport closed=True 0x7f3c>; it is closed",
            "unable to perform operation on …; it is closed",
        ),
        ("ValueError: <object object at 0x7f00>", "…"),
        ("550 5.1.1 <nobody@example.com> is unknown", "550 5.1.1 <nobody@example.com> is unknown"),
        ("reminder-1 is due", "reminder-1 is due"),
        ("TimeoutError: ", "TimeoutError: "),
    ],
)
def test_reasons_are_for_people(reason, words):
    """Names of exceptions and representations of objects are left out; a relay's words are shown."""
    assert in_words(reason) == words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("451 4.7.1 try again, id 4bX9zz1Jq2", "451 4.7.1 try again, id 4bX7aa0Kp9"),
        (
            "554 rejected, see https://example.com/r?id=1 - gsmtp",
            "554 rejected, see https://example.com/r?id=2 - gsmtp",
        ),
        ("550 5.1.1 <ada@example.com>: unknown", "550 5.1.1 <bob@example.org>: unknown"),
    ],
)
def test_words_that_differ_in_an_id_are_alike(one, other):
    """An id, an address and a time are of one attempt; the words are the same."""
    assert alike(one) == alike(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("550 5.1.1 unknown", "550 5.7.1 unknown"),
        ("450 unknown", "550 unknown"),
        ("554 blocked", "554 mailbox is full"),
    ],
)
def test_codes_and_words_are_told_apart(one, other):
    """A relay's codes say what happened, so they are no ids."""
    assert alike(one) != alike(other)
