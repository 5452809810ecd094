"""The chaos harness's checker: a checker that cannot fail proves nothing."""

from dataclasses import replace

import pytest

from tests.chaos.checker import Accepted, Evidence, Promise, judge
from tests.chaos.ledger import CONFIRMATION, Key, Ledger

A, B = Key("shop.example/a", "reminder-1"), Key("shop.example/b", "reminder-1")
CONFIRMED = Key("shop.example/b", CONFIRMATION)


@pytest.fixture
def kept():
    """Two checkouts touched at 100 and due at 110: one is reminded in time, the other ordered at 110 and confirmed."""
    ledger = Ledger()
    ledger.reported(A.checkout, 100.0)
    ledger.reported(B.checkout, 100.0)
    ledger.ordered(B.checkout, 110.0, 110.1)
    return Evidence(
        ledger=ledger,
        accepted=[Accepted(A, 110.02), Accepted(B, 111.0), Accepted(CONFIRMED, 111.2)],
        ends={A: ("sent", ""), B: ("sent", ""), CONFIRMED: ("sent", "")},
        delays={"reminder-1": 10.0},
        confirms=True,
    )


def test_what_was_kept_is_green(kept):
    """Everything sent once and in time is a row without a broken promise, with its lateness."""
    row = judge("calm", kept, Promise())
    assert row.broken == ()
    assert (row.due, row.sent, row.lost, row.doubled, row.after_order) == (2, 2, 0, 0, 0)
    assert row.largest == pytest.approx(1.2)


def test_a_missing_mail_is_lost(kept):
    """What the relay never took is lost, though the database calls it sent."""
    row = judge("loss", replace(kept, accepted=[mail for mail in kept.accepted if mail.key != A]), Promise())
    assert row.lost == 1
    assert "1 of 2 were lost" in row.broken[0]


@pytest.mark.parametrize(
    ("end", "promise", "lost", "broken"),
    [
        (("skipped", "too late"), Promise(skipped=True), 0, 0),
        (("skipped", "too late"), Promise(), 0, 1),
        (("dead", "dead address"), Promise(dead=1), 0, 0),
        (("dead", "dead address"), Promise(), 0, 1),
        (("skipped", ""), Promise(skipped=True), 1, 1),
        (("waiting", "later"), Promise(skipped=True, dead=1), 1, 1),
    ],
)
def test_only_what_is_given_up_with_a_reason_is_not_lost(kept, end, promise, lost, broken):
    """Skipped and dead count as ends where the promise allows them and a reason is given; waiting never does."""
    evidence = replace(kept, accepted=kept.accepted[1:], ends=kept.ends | {A: end})
    row = judge("ends", evidence, promise)
    assert (row.lost, len(row.broken)) == (lost, broken)


def test_a_doubled_mail_is_red_unless_an_accident_excuses_it(kept):
    """Which message it was counts, not how many: one that was with the relay when its sender was killed, and once."""
    evidence = replace(kept, accepted=[*kept.accepted, Accepted(A, 112.0)])
    assert judge("double", replace(evidence, excused={A}), Promise()).broken == ()
    row = judge("double", replace(evidence, excused={B}), Promise())
    assert row.doubled == 1
    assert row.broken == ("1 were doubled without an accident that excuses it: shop.example/a#reminder-1",)


def test_a_third_mail_is_red_whatever_happened(kept):
    """An accident excuses one repetition, no more."""
    evidence = replace(kept, accepted=[*kept.accepted, Accepted(A, 112.0), Accepted(A, 113.0)], excused={A})
    assert judge("triple", evidence, Promise()).broken == ("1 were taken more than twice: shop.example/a#reminder-1",)


def test_lateness_is_judged_where_nothing_is_at_fault(kept):
    """A reminder that took longer than a second is red there, and only reported elsewhere."""
    late = replace(kept, accepted=[Accepted(A, 111.5), *kept.accepted[1:]])
    assert judge("late", late, Promise()).broken == ()
    (broken,) = judge("late", late, Promise(on_time=True)).broken
    assert "99th percentile" in broken
    assert "1.50 s" in broken


def test_what_only_a_sweep_found_is_red_where_nothing_is_at_fault(kept):
    """Without shadows or streams everything is found by the sweep, and in time: that must not pass."""
    on_time = replace(kept, accepted=[*kept.accepted[:2], Accepted(CONFIRMED, 110.3)])
    assert judge("swept", on_time, Promise(on_time=True)).broken == ()
    (broken,) = judge("swept", replace(on_time, swept=3.0), Promise(on_time=True)).broken
    assert "3 checkouts were found by a sweep" in broken


def test_a_mail_without_a_record_is_red(kept):
    """The relay has it, and the database does not know: but for what was given up as lost, or erased."""
    ends = kept.ends | {A: ("sending", "")}
    (broken,) = judge("unrecorded", replace(kept, ends=ends), Promise()).broken
    assert "1 were taken and not recorded: shop.example/a#reminder-1" in broken
    assert judge("erased", replace(kept, ends=ends, erased={A.checkout}), Promise()).broken == ()
    lost = kept.ends | {A: ("dead", "lost after the dot")}
    assert judge("lost", replace(kept, ends=lost), Promise()).broken == ()
    in_doubt = kept.ends | {A: ("waiting", "lost after the dot")}
    assert "1 were taken and not recorded" in judge("goes on", replace(kept, ends=in_doubt), Promise()).broken[0]


def test_a_record_without_a_mail_is_red(kept):
    """What is recorded as sent must have been taken."""
    strange = Key("shop.example/a", "reminder-2")
    (broken,) = judge("unsent", replace(kept, ends=kept.ends | {strange: ("sent", "")}), Promise()).broken
    assert "recorded as sent, and the relay has no mail: shop.example/a#reminder-2" in broken


def test_a_reminder_counts_as_handed_over_when_its_content_begins_to_come(kept):
    """How long the relay then thinks is not the sender's."""
    early = Accepted(B, at=119.0, handed_at=111.0)
    assert (
        judge("thinking", replace(kept, accepted=[kept.accepted[0], early, kept.accepted[2]]), Promise()).broken == ()
    )
    late = Accepted(B, at=119.0, handed_at=111.2)
    (broken,) = judge("late", replace(kept, accepted=[kept.accepted[0], late, kept.accepted[2]]), Promise()).broken
    assert "shop.example/b#reminder-1" in broken


@pytest.mark.parametrize(("at", "count"), [(111.09, 0), (111.11, 1)])
def test_a_reminder_later_than_a_second_after_the_order_is_red(kept, at, count):
    """The second counts from when `order()` returned; a confirmation may come at any time."""
    evidence = replace(kept, accepted=[kept.accepted[0], Accepted(B, at), kept.accepted[2]])
    row = judge("order", evidence, Promise())
    assert row.after_order == len(row.broken) == count


def test_a_reminder_after_a_cancellation_is_red(kept):
    """Cancelling stops as ordering does."""
    kept.ledger.cancelled(A.checkout, 105.0)
    assert judge("cancel", kept, Promise()).after_order == 1


def test_a_mail_before_its_time_is_red(kept):
    """Nothing is sent before it is due."""
    row = judge("early", replace(kept, accepted=[Accepted(A, 109.9), *kept.accepted[1:]]), Promise())
    assert row.early == len(row.broken) == 1


@pytest.mark.parametrize(("healed_at", "recovered"), [(109.0, 2.2), (111.5, 0.0), (None, None)])
def test_the_time_to_recover_ends_with_the_last_late_mail(kept, healed_at, recovered):
    """It runs from the end of the fault to the last mail that was more than a second late."""
    row = judge("recover", replace(kept, healed_at=healed_at), Promise(recover_within=2.0))
    assert row.recovered == (None if recovered is None else pytest.approx(recovered))
    assert len(row.broken) == (1 if (recovered or 0) > 2 else 0)


def test_mail_that_nobody_asked_for_is_red(kept):
    """A mail of an unknown checkout is a broken promise."""
    evidence = replace(kept, accepted=[*kept.accepted, Accepted(Key("?", "<x@y>"), 110.0)])
    assert "nobody had reported" in judge("stranger", evidence, Promise()).broken[0]


def test_what_a_scenario_found_broken_is_red(kept):
    """A scenario's own findings are part of the verdict."""
    assert judge("found", replace(kept, observed=["it smells"]), Promise()).broken == ("it smells",)


def test_what_is_postponed_is_neither_due_nor_lost(kept):
    """A message that must wait is not counted."""
    row = judge(
        "wait",
        replace(kept, accepted=kept.accepted[1:], ends={B: ("sent", ""), CONFIRMED: ("sent", "")}, postponed={A}),
        Promise(),
    )
    assert (row.due, row.lost, row.broken) == (1, 0, ())
