"""`recovery send-now`, `skip` and `postpone`."""

import pytest

from recovery import SyncRecovery
from tests.support.builders import report

ID = "shop.example/1"


@pytest.fixture
def shop(at, mongodb, database_name):
    """The ingestion API on this test's database, with a checkout in it."""
    with SyncRecovery(mongodb, database=database_name) as recovery:
        recovery.checkout(report("1"))
        yield recovery


def test_a_message_is_skipped_and_what_is_left_is_printed(call, at, shop):
    """The history says that it was an operator."""
    code, out, complaint = call("skip", ID, **at)
    assert (code, complaint) == (0, "")
    assert [line.split(",")[0] for line in out.splitlines()] == [ID, "to come: reminder-2", "to come: reminder-3"]
    kept = shop.get("shop.example", "1")
    assert kept.messages["reminder-1"].reason == "skipped by an operator"
    assert [past.reason for past in kept.history] == ["requested by an operator on the command line"]


def test_the_next_message_is_made_due_and_postponed(call, at, shop):
    """By a length of time, or to a time with its zone."""
    assert call("send-now", ID, "--step", "reminder-1", **at)[0] == 0
    assert shop.get("shop.example", "1").messages["reminder-1"].replayed_at is not None
    assert call("postpone", ID, "--until", "3d", **at)[0] == 0
    assert shop.get("shop.example", "1").messages["reminder-1"].deferred_to is not None


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("send-now", ID, "--step", "reminder-2"), "reminder-2 comes after reminder-1"),
        (("skip", ID, "--step", "nonsense"), "nonsense is not to come."),
        (("postpone", ID, "--until", "2020-01-01T00:00:00Z"), "still to come"),
        (("postpone", ID, "--until", "2020-01-01T00:00:00"), "add the zone"),
        (("postpone", ID, "--until", "soon"), "give a time with its zone, or in how long"),
        (("skip", "shop.example/2"), "There is no checkout shop.example/2"),
        (("skip", "nonsense"), "is not of the form SHOP/ORDER"),
    ],
    ids=["not-next", "unknown-step", "past", "no-zone", "no-time", "unknown", "no-key"],
)
def test_what_is_not_possible_is_told_and_nothing_is_changed(call, at, shop, arguments, why):
    """As a sentence, and with an exit code."""
    before = shop.get("shop.example", "1")
    code, _, complaint = call(*arguments, **at)
    assert code != 0
    assert why in complaint
    assert shop.get("shop.example", "1") == before
