"""What `recovery deliverability` prints, of receptions that are given."""

from datetime import timedelta

import pytest

from recovery.cli import deliverability, terminal
from recovery.engine.receivers import Count, Slowed
from recovery.mongo.receivers import Reception
from tests.support.builders import NOON

RELAY = "relay.example:25"
COUNTS = {
    Count.ACCEPTED: 92,
    Count.DEFERRED: 5,
    Count.BLOCKED: 1,
    Count.BLOCKED_LATER: 2,
    Count.UNKNOWN: 1,
    Count.HARD: 3,
    Count.REFUSED: 1,
    Count.SOFT: 4,
    Count.COMPLAINT: 6,
}
SLOWED = Slowed("google", 3.0, NOON + timedelta(hours=2, minutes=5), "421 4.7.28 an unusual rate of mail - gsmtp")


@pytest.fixture
def printed(monkeypatch, capsys):
    monkeypatch.setattr(terminal.out, "width", 300)

    def printed(*found):
        deliverability._print(list(found), NOON + timedelta(hours=3))
        return capsys.readouterr().out

    return printed


def test_a_row_says_what_became_of_the_mails(printed):
    out = printed(Reception(RELAY, "google", COUNTS, SLOWED))
    (row,) = (line for line in out.splitlines() if "google" in line and "│" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")] == [
        "google", "100", "92 %", "5", "3", "4", "1", "4", "6",
    ]  # fmt: skip
    assert "google: slowed since 14:05 UTC to 3/s: 421 4.7.28 an unusual rate of mail - gsmtp" in out
    assert RELAY not in out


def test_relays_are_named_if_there_are_several(printed):
    out = printed(Reception(RELAY, "google", COUNTS), Reception("other.example:25", "apple", {Count.SOFT: 1}))
    assert RELAY in out
    assert "other.example:25" in out


def test_a_receiver_that_is_slowed_for_days_or_to_less_than_one_a_second(printed):
    out = printed(Reception(RELAY, "google", {}, Slowed("google", 0.1, NOON - timedelta(days=2), "550 5.7.1 no")))
    assert "slowed since 2126-03-03 12:00 UTC to 6/min" in out


def test_the_document_for_programs():
    document = deliverability._document(Reception(RELAY, "google", COUNTS, SLOWED))
    assert (document["sent"], document["accepted"], document["accepted_percent"]) == (100, 92, 92.0)
    assert document["slowed"] == {"since": SLOWED.since, "rate": 3.0, "reply": SLOWED.reply}
    assert deliverability._document(Reception(RELAY, "google"))["accepted_percent"] is None
