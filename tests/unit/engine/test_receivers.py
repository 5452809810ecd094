"""The governor: one receiver that throttles or blocks us is slowed down, and no other."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.receivers import OTHERS, Receivers
from recovery.domain.reputation import Cap
from recovery.engine import receivers
from recovery.engine.pace import LEAST, SETTLES_IN
from recovery.engine.receivers import BOOKED_AHEAD, COUNTED_FROM, IN_A_ROW, RECOVERS_IN, Count, Governor, Slowed

AT = datetime(2026, 3, 5, 14, 5, tzinfo=UTC)
SENT = Outcome(OutcomeKind.SENT, "250 2.0.0 taken", to_recipient=True)


def said(kind, reply, *, to_recipient=True):
    return Outcome(kind, reply, to_recipient=to_recipient)


FLOODED = said(OutcomeKind.THROTTLED, "421 4.7.28 Our system has detected an unusual rate of mail - gsmtp")
BLOCKED = said(OutcomeKind.OUR_FAULT, "550 5.7.1 likely unsolicited mail, support.google.com - gsmtp")
DEFERRED = said(OutcomeKind.LATER, "451 4.7.0 Temporary System Problem. Try again later - gsmtp")


def slowed_at(rate=100, now=10.0):
    """Return a governor for which Google has taken so many messages a second, and then throttled."""
    governor = Governor()
    for second in range(5):
        for number in range(rate):
            governor.tell(str(number), "google", SENT, now - 5 + second, AT)
    assert governor.tell("x", "google", FLOODED, now, AT) is Count.DEFERRED
    return governor


def rate_of(governor, receiver, now):
    return next((each.rate for each in governor.slowed(now) if each.receiver == receiver), None)


def test_a_receiver_that_throttles_is_slowed_to_half_of_what_it_took():
    governor = slowed_at(100)
    (slowed,) = governor.slowed(10.0)
    assert slowed == Slowed("google", pytest.approx(50, rel=0.01), AT, FLOODED.reply, pytest.approx(100, rel=0.01), AT)


def test_no_other_receiver_waits():
    governor = slowed_at()
    assert [governor.wait(str(number), "google", 10.0, 0.0) for number in range(100)][-1] > 1
    for other in ("microsoft", "lamps.example"):
        governor.tell("y", other, SENT, 10.0, AT)
        assert governor.wait("b", other, 10.0, 0.0) == 0


def test_while_none_is_slowed_nobody_asks_for_a_turn():
    governor = Governor()
    governor.tell("a", "google", SENT, 0.0, AT)
    assert not governor.slows
    assert slowed_at().slows


def test_messages_get_turns_one_after_the_other_at_the_rate():
    governor = slowed_at(100)
    turns = [governor.wait(str(number), "google", 10.0, 0.0) for number in range(100)]
    gaps = [later - earlier for earlier, later in pairwise(turns[20:])]
    assert gaps == pytest.approx([0.02] * len(gaps), rel=0.02)


def test_a_message_that_comes_at_its_turn_goes_though_others_came_after_it():
    """No starvation: whoever has a turn keeps it, however many ask for one meanwhile."""
    governor = slowed_at(20)
    first = governor.wait("first", "google", 10.0, 0.0)
    last = [governor.wait(f"{number}", "google", 10.0, 0.0) for number in range(50)][-1]
    assert governor.wait("first", "google", 10.0 + first / 2, 0.0) <= first / 2 + 0.001
    assert governor.wait("first", "google", 10.0 + first, 0.0) == 0
    assert governor.wait("49", "google", 10.0 + last, 0.0) == 0


def test_a_message_that_is_looked_at_twice_at_its_turn_books_no_second_one():
    """There may be no room for it at the first look."""
    governor = slowed_at(100)
    for _ in range(10):
        assert governor.wait("a", "google", 12.0, 0.0) == 0
    assert governor.wait("b", "google", 12.0, 0.0) <= 1 / rate_of(governor, "google", 12.0)


def test_a_message_that_could_not_be_handed_over_keeps_its_turn():
    governor = slowed_at(20)
    turns = [governor.wait(str(number), "google", 10.0, 0.0) for number in range(50)]
    for kind in (OutcomeKind.UNSENT, OutcomeKind.CALLED_OFF):
        assert governor.tell("49", "google", Outcome(kind, "no connection was free"), 10.0 + turns[-1], AT) is None
    assert governor.wait("49", "google", 10.0 + turns[-1], 0.0) == 0


def test_what_comes_too_late_for_a_turn_asks_again_spread_over_the_second_half():
    governor = slowed_at(1)
    waits = [governor.wait(str(number), "google", 10.0, number % 10 / 10) for number in range(1000)]
    assert max(waits) <= BOOKED_AHEAD
    later = waits[500:]
    assert min(later) == BOOKED_AHEAD / 2
    assert max(later) == BOOKED_AHEAD * 0.95


def test_urgent_messages_do_not_wait_behind_the_others():
    governor = slowed_at(10)
    waits = [governor.wait(str(number), "google", 10.0, 0.0) for number in range(100)]
    assert governor.wait("order", "google", 10.0, 0.0, urgent=True) < waits[2]
    assert governor.wait("order-2", "google", 10.0, 0.0, urgent=True) < waits[3]


def test_when_it_throttles_again_the_turns_are_given_out_again_for_the_lower_rate():
    governor = slowed_at(100)
    turns = [governor.wait(str(number), "google", 10.0, 0.0) for number in range(200)]
    now = 10.0 + SETTLES_IN
    governor.tell("0", "google", SENT, now, AT)
    governor.tell("1", "google", FLOODED, now, AT)
    slower = rate_of(governor, "google", now)
    assert slower < 50
    at = 10.0 + turns[-1]
    again = [governor.wait(str(number), "google", at, 0.0) for number in range(100, 200)]
    assert again[-1] >= 90 / rate_of(governor, "google", at) * 0.9


def test_a_receiver_that_takes_all_again_is_free_after_some_minutes():
    governor = slowed_at(100)
    now = 10.0
    while rate_of(governor, "google", now) is not None:
        now += 1.0
        assert now < 10.0 + 4 * RECOVERS_IN
    assert now > 10.0 + RECOVERS_IN
    assert not governor.slows
    assert governor.wait("a", "google", now, 0.0) == 0


def test_one_that_takes_nothing_stays_at_the_least():
    governor, now = Governor(), 0.0
    for _ in range(100):
        governor.tell("a", "google", FLOODED, now, AT)
        now += 10.0
    assert rate_of(governor, "google", now) <= LEAST


@pytest.mark.parametrize(
    "outcome",
    [
        said(OutcomeKind.THROTTLED, "454 4.7.0 Throttling failure: Maximum sending rate exceeded."),
        said(OutcomeKind.THROTTLED, FLOODED.reply, to_recipient=False),
        said(OutcomeKind.DROPPED, "421 4.3.2 shutting down - gsmtp"),
        said(OutcomeKind.DROPPED, "the relay did not answer within 20 s (4.7.28)"),
        said(OutcomeKind.CONNECTION, FLOODED.reply),
        said(OutcomeKind.OUR_FAULT, "530 5.5.1 Authentication required - gsmtp"),
        said(OutcomeKind.OUR_FAULT, "550 5.7.1 Relaying denied"),
        said(OutcomeKind.DEAD_ADDRESS, "550 5.1.1 no such user - gsmtp"),
        said(OutcomeKind.DEAD_MESSAGE, "552 5.3.4 too big - gsmtp"),
        said(OutcomeKind.LATER, "452 4.2.2 over quota - gsmtp"),
        said(OutcomeKind.AMBIGUOUS, "lost after the dot"),
    ],
)
def test_what_is_not_clearly_the_receivers_word_is_the_relays_or_the_messages(outcome):
    governor = Governor()
    for number in range(2 * IN_A_ROW):
        assert governor.tell(str(number), "google", outcome, float(number), AT) is None
    assert governor.slowed(10.0) == []


def test_a_relay_that_is_the_receivers_own_speaks_for_itself():
    for relay in ("smtp-relay.gmail.com", "aspmx.l.google.com"):
        assert Governor(relay=relay).tell("a", "google", FLOODED, 0.0, AT) is None
    assert Governor(relay="smtp.office365.com").tell("a", "google", FLOODED, 0.0, AT) is Count.DEFERRED


def test_words_of_another_receiver_are_the_relays():
    assert Governor().tell("a", "lamps.example", FLOODED, 0.0, AT) is None


def test_a_block_is_believed_when_nothing_contradicts_it():
    """A filter may refuse a single mail in the same words."""
    governor = Governor()
    for now in range(IN_A_ROW - 1):
        assert governor.tell("a", "google", BLOCKED, now, AT) is Count.BLOCKED
    governor.tell("b", "google", SENT, 5.0, AT)
    for now in range(10, 10 + IN_A_ROW - 1):
        governor.tell("a", "google", BLOCKED, now, AT)
    assert governor.slowed(20.0) == []
    governor.tell("a", "google", BLOCKED, 20.0, AT)
    assert [each.reply for each in governor.slowed(20.0)] == [BLOCKED.reply]


def test_a_deferral_without_a_rate_counts_as_an_attempt_until_it_is_said_of_all():
    governor = Governor()
    assert [governor.tell("a", "google", DEFERRED, now, AT) for now in range(IN_A_ROW)] == [None, None, Count.DEFERRED]


def test_the_reason_names_nobody():
    governor = Governor()
    governor.tell("a", "google", said(OutcomeKind.THROTTLED, "421 4.7.28 <ada@gmail.com> gsmtp"), 0.0, AT)
    assert "ada" not in governor.slowed(0.0)[0].reply


def test_what_was_said_is_counted_by_receiver_once():
    governor = Governor()
    for outcome in (SENT, SENT, DEFERRED, BLOCKED, FLOODED):
        governor.tell("a", "google", outcome, 1.0, AT)
    governor.tell("a", "google", said(OutcomeKind.DEAD_ADDRESS, "550 5.1.1 nobody"), 1.0, AT)
    governor.tell("a", "google", said(OutcomeKind.DEAD_MESSAGE, "552 5.3.4 big"), 1.0, AT)
    governor.tell("a", "google", said(OutcomeKind.CONNECTION, "no route"), 1.0, AT)
    governor.reported("google", Count.COMPLAINT)
    counts = governor.counts()
    assert counts == {
        ("google", Count.ACCEPTED): 2,
        ("google", Count.DEFERRED): 2,
        ("google", Count.BLOCKED): 1,
        ("google", Count.UNKNOWN): 1,
        ("google", Count.REFUSED): 1,
        ("google", Count.COMPLAINT): 1,
    }
    assert governor.counts() == {}
    governor.count_again(counts)
    assert governor.counts() == counts


def test_small_receivers_are_counted_together():
    governor = Governor(Receivers({"school": ["pupils.example"]}))
    for receiver in ("lamps.example", "school"):
        for _ in range(COUNTED_FROM + 4):
            governor.tell("a", receiver, SENT, 0.0, AT)
    counts = governor.counts()
    assert counts["school", Count.ACCEPTED] == COUNTED_FROM + 4
    assert counts[OTHERS, Count.ACCEPTED] + counts["lamps.example", Count.ACCEPTED] == COUNTED_FROM + 4
    assert counts["lamps.example", Count.ACCEPTED] == 5


def test_what_is_remembered_has_a_bound(monkeypatch):
    monkeypatch.setattr(receivers, "MOST_RECEIVERS", 50)
    monkeypatch.setattr(receivers, "MOST_SLOWED", 5)
    monkeypatch.setattr(receivers, "MOST_TURNS", 10)
    governor = Governor()
    for number in range(500):
        name = f"d{number}.example"
        governor.tell("a", name, said(OutcomeKind.THROTTLED, f"450 4.7.1 mx.{name}: too fast"), 0.0, AT)
        governor.tell("b", name, SENT, 0.0, AT)
    assert len(governor.slowed(0.0)) == 5
    assert len(governor._known) <= 50 + 5
    waits = [governor.wait(str(number), "d0.example", 0.0, 0.0) for number in range(30)]
    assert len(governor._slow["d0.example"].turns) == 10
    assert waits[-1] == BOOKED_AHEAD / 2


def heard(limit=6.0, limited_at=AT, **changes):
    return Slowed("google", limit / 2, AT, FLOODED.reply, limit, limited_at, **changes)


def test_what_another_daemon_heard_slows_this_one_to_the_same_rate():
    governor = Governor()
    governor.hear([heard()], 100.0, AT)
    assert governor.slowed(100.0) == [heard()]
    assert governor.slows
    first, second = (governor.wait(id_, "google", 100.0, 0.0) for id_ in "ab")
    assert second - first == pytest.approx(1 / 3)


def test_the_rate_is_the_same_however_late_it_is_heard():
    at_once, late = Governor(), Governor()
    at_once.hear([heard()], 100.0, AT)
    late.hear([heard()], 500.0 + 40.0, AT + timedelta(seconds=40))
    assert rate_of(late, "google", 550.0) == pytest.approx(rate_of(at_once, "google", 150.0))
    assert rate_of(late, "google", 550.0) > 3.0


def test_what_is_heard_again_changes_nothing():
    """Each daemon stores what it knows with each pass; the rate recovers all the same."""
    governor = Governor()
    for second in range(0, 50, 5):
        governor.hear([heard()], float(second), AT + timedelta(seconds=second))
    assert rate_of(governor, "google", 50.0) > 5.9


def test_what_was_heard_before_ones_own_word_changes_nothing():
    governor = slowed_at(100)
    own = governor.slowed(10.0)
    governor.hear([heard(limited_at=AT - timedelta(seconds=1))], 10.0, AT)
    assert governor.slowed(10.0) == own


def test_what_is_heard_later_than_ones_own_word_counts():
    governor = slowed_at(100)
    governor.hear([heard(limited_at=AT + timedelta(seconds=3))], 13.0, AT + timedelta(seconds=3))
    assert rate_of(governor, "google", 13.0) == pytest.approx(3.0)


def test_what_was_heard_so_long_ago_that_the_rate_has_recovered_slows_nobody():
    governor = Governor()
    governor.hear([heard()], 1000.0, AT + timedelta(minutes=10))
    assert not governor.slows


def test_it_is_slowed_since_the_first_daemon_slowed_it():
    governor = slowed_at(100)
    before = AT - timedelta(minutes=3)
    governor.hear([replace(heard(limited_at=before), since=before)], 10.0, AT)
    assert governor.slowed(10.0)[0].since == before


def test_a_throttling_that_reflects_the_rate_before_what_was_heard_raises_nothing():
    governor = Governor()
    for number in range(500):
        governor.tell(str(number), "google", SENT, 9.0, AT)
    governor.hear([heard()], 10.0, AT)
    before = rate_of(governor, "google", 12.5)
    governor.tell("x", "google", FLOODED, 12.5, AT + timedelta(seconds=2.5))
    assert rate_of(governor, "google", 12.5) == before


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf")])
def test_a_stored_rate_that_cannot_be_one_is_passed_over(limit):
    governor = Governor()
    governor.hear([heard(limit)], 100.0, AT)
    assert not governor.slows


def test_a_time_in_the_future_is_taken_for_now():
    governor = Governor()
    governor.hear([heard(limited_at=AT + timedelta(days=300))], 100.0, AT)
    assert rate_of(governor, "google", 100.0) == pytest.approx(3.0)


def test_daemons_divide_the_rate_among_them():
    governor = slowed_at(100)
    governor.part = 1 / 4
    waits = [governor.wait(str(number), "google", 10.0, 0.0) for number in range(100)]
    gaps = [later - earlier for earlier, later in pairwise(waits[20:])]
    assert gaps == pytest.approx([0.08] * len(gaps), rel=0.02)


def test_what_one_of_several_daemons_was_taken_stands_for_all():
    governor = Governor()
    governor.part = 1 / 4
    for second in range(5):
        for number in range(100):
            governor.tell(str(number), "google", SENT, 5.0 + second, AT)
    governor.tell("x", "google", FLOODED, 10.0, AT)
    assert rate_of(governor, "google", 10.0) == pytest.approx(200, rel=0.01)


CAP = Cap(2.0, "6.2% of 1000 messages in 24 hours were to unknown users, above 5%")


def test_a_cap_slows_its_receiver_alone_until_it_is_lifted():
    governor = Governor()
    governor.cap("google", CAP, 10.0, AT)
    assert governor.slowed(10.0) == [Slowed("google", 2.0, AT, CAP.why, capped=True)]
    assert governor.slowed(10.0 + 100 * RECOVERS_IN) == governor.slowed(10.0)
    waits = [governor.wait(str(number), "google", 10.0, 0.0) for number in range(20)]
    assert [later - earlier for earlier, later in pairwise(waits)] == pytest.approx([0.5] * 19)
    assert governor.wait("b", "microsoft", 10.0, 0.0) == 0
    governor.cap("google", CAP, 15.0, AT + timedelta(seconds=5))
    assert governor.slowed(15.0)[0].since == AT
    governor.cap("google", None, 20.0, AT)
    assert governor.slowed(20.0) == []
    assert governor.wait("c", "google", 20.0, 0.0) == 0


def test_a_cap_that_stays_gives_out_no_turns_again():
    governor = Governor()
    governor.cap("google", CAP, 10.0, AT)
    wait = governor.wait("a", "google", 10.0, 0.0)
    governor.cap("google", CAP, 10.1, AT)
    assert governor.wait("a", "google", 10.1, 0.0) == pytest.approx(wait - 0.1)


def test_of_a_cap_and_a_throttling_the_lower_rate_counts():
    governor = slowed_at(100)
    governor.cap("google", CAP, 10.0, AT)
    assert [(each.rate, each.reply) for each in governor.slowed(10.0)] == [(2.0, CAP.why)]
    governor.cap("google", Cap(80.0, CAP.why), 10.0, AT)
    assert [(round(each.rate), each.reply, each.capped) for each in governor.slowed(10.0)] == [
        (50, FLOODED.reply, True)
    ]


def test_a_deferral_of_one_message_by_a_capped_receiver_is_its_attempt():
    governor = Governor()
    governor.cap("google", CAP, 0.0, AT)
    assert governor.tell("a", "google", DEFERRED, 1.0, AT) is None


def test_no_more_receivers_are_capped_than_may_be_slowed(monkeypatch):
    monkeypatch.setattr(receivers, "MOST_SLOWED", 5)
    governor = Governor()
    for number in range(10):
        governor.cap(f"d{number}.example", CAP, 0.0, AT)
    assert len(governor.slowed(0.0)) == 5
    governor.cap("d0.example", Cap(1.0, "worse"), 0.0, AT)
    assert rate_of(governor, "d0.example", 0.0) == 1.0
