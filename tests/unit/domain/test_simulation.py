"""Simulation of schedules: replays, the work they share, and what two schedules come to."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.domain.checkout import Customer, Facts, Item
from recovery.domain.per_shop import PerShop
from recovery.domain.quiet_hours import zone
from recovery.domain.simulation import Cause, Course, Fate, Schedules, Simulation, replay
from recovery.domain.simulation.drawn import drawn
from recovery.domain.simulation.pieces import Pieces
from recovery.domain.state import KeptConsent, Pause
from recovery.domain.suppression import Suppression, SuppressionReason
from recovery.settings.given import given_settings

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
ADA = Facts(customer=Customer(email="ada@example.com"))


def schedule(confirmation=True, **changes):
    """Return the default schedule with changes, as the settings have them."""
    sections = {"schedule": {"min_gap_per_address": "0s", **changes}, "confirmation": {"enabled": confirmation}}
    return given_settings(sections).to_schedule()


def course(after=timedelta(), **known):
    """Return the course of a checkout that was left at noon, or so much later."""
    left_at = NOON + after
    known = {"id": "1042", "person": "ada", "left_at": left_at, "opened_at": left_at, "facts": ADA} | known
    return Course(**known)


def consent(given, at=NOON - timedelta(days=1)):
    """Return a word on consent."""
    return KeptConsent(given=given, basis="a box", at=at, source="checkout")


def sent(entries):
    """Return the steps that were sent, each with the time after noon."""
    return [(each.step, each.at - NOON) for each in entries if each.reason is None]


def compared(courses, in_force, new, **options):
    """Return the comparison of two schedules over checkouts, each of a person of its own."""
    simulation = Simulation(PerShop(Schedules(in_force, new)), **options)
    for each in courses:
        simulation.add("shop.example", [each])
    return simulation.result


def test_an_abandoned_checkout_gets_every_step():
    """Each step is sent exactly when its delay is over."""
    [entries] = replay([course()], schedule())
    assert sent(entries) == [
        ("reminder-1", timedelta(minutes=30)),
        ("reminder-2", timedelta(days=1)),
        ("reminder-3", timedelta(days=3)),
    ]


def test_an_order_ends_the_reminders_and_is_confirmed():
    """What is due before the order is sent, and what is due at the same moment is not."""
    [entries] = replay([course(ordered_at=NOON + timedelta(days=1))], schedule())
    assert sent(entries) == [("reminder-1", timedelta(minutes=30)), ("confirmation", timedelta(days=1))]


@pytest.mark.parametrize(
    ("known", "confirmation"), [({"confirm": False}, True), ({"facts": Facts()}, True), ({}, False)]
)
def test_an_order_that_is_not_to_be_confirmed_gets_no_mail(known, confirmation):
    """The report says no, there is no address, or the shop confirms orders itself."""
    [entries] = replay([course(ordered_at=NOON, **known)], schedule(confirmation=confirmation))
    assert sent(entries) == []


def test_a_pause_a_refusal_and_a_suppression_count_from_their_time_on():
    """Mails that are due before go out."""
    later = NOON + timedelta(hours=2)
    stopped = [
        course(paused=Pause(at=later, reason="a payment is under way")),
        course(consent=consent(given=False, at=later)),
        course(suppression=Suppression(SuppressionReason.UNSUBSCRIBED, later)),
    ]
    for each in stopped:
        [entries] = replay([each], schedule())
        assert sent(entries) == [("reminder-1", timedelta(minutes=30))]


def test_two_checkouts_of_one_person_keep_the_gap():
    """The later mail waits for the end of the gap after the earlier one; of two at once, the lower id goes first."""
    two = [course(id="b"), course(id="a")]
    b, a = replay(two, schedule(min_gap_per_address="12h", steps=[{"name": "one", "delay": "1h"}]))
    assert sent(a) == [("one", timedelta(hours=1))]
    assert sent(b) == [("one", timedelta(hours=13))]
    assert b[0].moved_by is Cause.GAP


def test_an_order_of_the_same_customer_stops_the_same_items():
    """With stop_on customer, a checkout of which all was bought under another id gets no further mail."""
    lamp = replace(course(), facts=ADA.model_copy(update={"items": (Item(name="Lamp", price="9.90"),)}))
    bought = replace(lamp, id="1043", ordered_at=NOON + timedelta(hours=3))
    entries, _ = replay([lamp, bought], schedule(stop_on="customer"))
    assert [(each.step, each.reason) for each in entries][:2] == [
        ("reminder-1", None),
        ("reminder-2", "the same customer has ordered all of it"),
    ]


def test_quiet_hours_move_a_mail_to_their_end():
    """In the zone of the checkout, if it has one."""
    quiet = schedule(quiet_hours="21:00-08:00", time_zone="Europe/Berlin", steps=[{"name": "one", "delay": "9h"}])
    [here], [there] = replay([course()], quiet), replay([course(facts=Facts(time_zone="America/New_York"))], quiet)
    assert sent(here) == [("one", timedelta(hours=19))]
    assert here[0].moved_by is Cause.QUIET_HOURS
    assert sent(there) == [("one", timedelta(hours=9))]
    assert there[0].moved_by is None


STEPS = st.lists(st.sampled_from(["20m", "30m", "4h", "7h10m", "20h", "1d", "3d"]), min_size=1, max_size=4, unique=True)
SCHEDULES = st.builds(
    lambda delays, quiet, gap, needs_consent: schedule(
        steps=[{"name": f"step-{each}", "delay": each, "max_lateness": "3d"} for each in delays],
        quiet_hours=quiet,
        min_gap=gap,
        time_zone="Europe/Berlin",
        require_consent=needs_consent,
    ),
    STEPS,
    st.sampled_from(["", "21:00-08:00", "20:50-07:20", "12:00-12:10", "23:55-00:05", "01:30-02:30", "09:00-20:00"]),
    st.sampled_from(["0s", "5m", "6h"]),
    st.booleans(),
)


def of_one_quarter(quarter):
    """Return lists of checkouts that were left in the same quarter of an hour of days around changes of the clocks."""
    return st.lists(
        st.builds(
            lambda day, ms, zone, given: course(
                timedelta(days=day, minutes=15 * quarter, milliseconds=ms),
                facts=ADA.model_copy(update={"time_zone": zone}),
                consent=None if given is None else consent(given, NOON - timedelta(days=40)),
            ),
            st.integers(0, 35),
            st.integers(0, 899_999),
            st.sampled_from([None, "America/New_York", "Australia/Lord_Howe"]),
            st.sampled_from([None, True, False]),
        ),
        min_size=2,
        max_size=8,
    )


COURSES = st.integers(0, 95).flatmap(of_one_quarter)


@settings(max_examples=150)
@given(SCHEDULES, COURSES)
def test_shared_work_comes_to_the_same(found, courses):
    """What is worked out for a quarter of an hour is what a replay of the single checkout gives."""
    pieces = Pieces(found)
    assert [pieces.of(each) for each in courses] == [replay([each], found)[0] for each in courses]


def persons(seed):
    """Return drawn checkouts of people of whom every other has left two."""
    groups = list(drawn(24, seed, NOON, NOON + timedelta(days=3), "Europe/Berlin"))
    return [one + other for one, other in zip(groups[::2], groups[1::2], strict=False)]


@settings(max_examples=60)
@given(
    SCHEDULES, st.integers(0, 10**6), st.sampled_from(["0s", "2h", "12h"]), st.sampled_from(["checkout", "customer"])
)
def test_taking_checkouts_for_alone_comes_to_the_same(found, seed, gap, stop_on):
    """The sums of a comparison are those of replays of all checkouts of each person together."""
    given_gap = timedelta(hours=int(gap.rstrip("hs")))
    found = replace(found, min_gap_per_address=given_gap, stop_on=type(found.stop_on)(stop_on))
    simulation = Simulation(PerShop(Schedules(found, found)))
    mails, ordered_unreminded, hours = 0, 0, [0] * 168
    for group in persons(seed):
        simulation.add("shop.example", group)
        for each, entries in zip(group, replay(group, found), strict=True):
            steps = [step for step, _ in sent(entries)]
            mails += len(steps)
            for at in (entry.at.astimezone(zone(found.time_zone)) for entry in entries if entry.reason is None):
                hours[at.weekday() * 24 + at.hour] += 1
            ordered_unreminded += each.ordered_at is not None and steps in (["confirmation"], [])
    result = simulation.result
    assert sum(result.in_force.mails.values()) == mails
    assert result.in_force.ordered_unreminded == ordered_unreminded
    assert result.in_force.hours == hours
    assert result.same == result.checkouts > 10
    assert result.in_force == result.new


def test_a_comparison_says_what_changes():
    """Mails by step and hour, mails saved, who ordered unreminded, and the checkouts that come out differently."""
    slow = schedule(steps=[{"name": "reminder-1", "delay": "2h"}, {"name": "reminder-2", "delay": "1d"}])
    fast = schedule(steps=[{"name": "reminder-1", "delay": "30m"}, {"name": "reminder-2", "delay": "1d"}])
    ordered = course(id="ordered", ordered_at=NOON + timedelta(hours=1))
    result = compared([course(), ordered], fast, slow)
    assert result.in_force.mails == {"reminder-1": 2, "reminder-2": 1, "confirmation": 1}
    assert result.new.mails == {"reminder-1": 1, "reminder-2": 1, "confirmation": 1}
    assert (result.in_force.reminders, result.new.reminders) == (3, 2)
    assert (result.in_force.saved, result.new.saved) == ({"reminder-2": 1}, {"reminder-1": 1, "reminder-2": 1})
    assert (result.in_force.ordered_unreminded, result.new.ordered_unreminded) == (0, 1)
    assert (result.same, result.moved, result.changed) == (0, 1, 1)
    assert [each.course.id for each in result.different] == ["ordered", "1042"]
    assert result.new.hours[3 * 24 + 14] == 1  # a Thursday
    assert sum(result.new.hours) == 3


def test_a_comparison_says_what_quiet_hours_and_gaps_move():
    """How many mails by step, and how much later they are together."""
    quiet = schedule(quiet_hours="21:00-08:00", steps=[{"name": "one", "delay": "10h"}])
    moved = compared([course()], schedule(steps=[{"name": "one", "delay": "10h"}]), quiet).new
    assert moved.moved == {("one", Cause.QUIET_HOURS): 1}
    assert moved.moved_for[Cause.QUIET_HOURS] == timedelta(hours=10)
    assert moved.moved_for[Cause.GAP] == timedelta()


def test_skipped_messages_are_counted_by_reason():
    """Each step with the reason that `recovery list` has."""
    result = compared([course(consent=consent(given=False))], schedule(), schedule())
    assert result.new.skipped == {(f"reminder-{number}", "the customer has said no"): 1 for number in (1, 2, 3)}


def test_the_list_is_bounded():
    """It has no more checkouts than asked for, those with other mails first."""
    courses = [course(id=str(number)) for number in range(5)]
    later = schedule(steps=[{"name": "reminder-1", "delay": "1h"}])
    result = compared(courses, schedule(), later, most_listed=2)
    assert result.changed == 5
    assert [each.course.id for each in result.different] == ["0", "1"]


def test_suppressed_addresses_and_what_is_left_out_are_counted_apart():
    """A comparison says how much it does not know."""
    simulation = Simulation(PerShop(Schedules(schedule(), schedule())))
    simulation.add("a", [course(suppression=Suppression(SuppressionReason.HARD_BOUNCE, NOON), ordered_at=NOON)])
    simulation.leave_out("cancelled", 3)
    assert simulation.result.suppressed == 1
    assert simulation.result.apart == {"cancelled": 3}
    assert sum(simulation.result.new.mails.values()) == 0


def test_a_population_is_the_same_for_the_same_seed():
    """And another for another one; all of it within the time that is asked for, but for those who come again."""
    until = NOON + timedelta(days=10)
    first, again, other = (list(drawn(200, seed, NOON, until, "Asia/Tokyo")) for seed in (1, 1, 2))
    assert first == again != other
    assert sum(len(group) for group in first) == 200
    assert any(len(group) > 1 for group in first)
    assert all(NOON - timedelta(days=1) <= group[0].left_at <= until + timedelta(days=1) for group in first)


def test_an_order_at_the_moment_at_which_a_reminder_is_due_saves_it():
    """In a comparison as in a replay."""
    at_once = course(ordered_at=NOON + timedelta(minutes=30))
    result = compared([at_once], schedule(), schedule())
    assert result.new.mails == {"confirmation": 1}
    assert result.new.saved == {"reminder-1": 1, "reminder-2": 1, "reminder-3": 1}


def test_a_difference_says_why():
    """For each message that differs: when and why by each schedule."""
    slow = schedule(
        steps=[{"name": "reminder-1", "delay": "2h"}, {"name": "late", "delay": "10h"}], quiet_hours="21:00-08:00"
    )
    ordered = course(id="ordered", ordered_at=NOON + timedelta(hours=1))
    result = compared([course(), ordered], schedule(steps=[{"name": "reminder-1", "delay": "30m"}]), slow)
    fates = {each.course.id: {step: (old, new) for step, old, new in each.fates} for each in result.different}
    assert fates == {
        "1042": {
            "reminder-1": (Fate(NOON + timedelta(minutes=30)), Fate(NOON + timedelta(hours=2))),
            "late": (Fate(None, "no such step"), Fate(NOON + timedelta(hours=20), "moved by quiet hours")),
        },
        "ordered": {"reminder-1": (Fate(NOON + timedelta(minutes=30)), Fate(None, "ordered before"))},
    }


def test_comparisons_of_parts_add_up():
    """The sums of two halves are those of the whole, and the list is as long as asked for."""
    in_force, new = schedule(), schedule(steps=[{"name": "reminder-1", "delay": "11h"}], quiet_hours="21:00-08:00")
    groups = list(drawn(60, 1, NOON, NOON + timedelta(days=9), "UTC"))
    whole, parts = (Simulation(PerShop(Schedules(in_force, new)), 5) for _ in range(2))
    other = Simulation(PerShop(Schedules(in_force, new)), 5)
    for number, group in enumerate(groups):
        whole.add("a", group)
        (parts if number < 20 else other).add("a", group)
    other.leave_out("cancelled")
    whole.leave_out("cancelled")
    parts.result.add(other.result)
    assert parts.result == whole.result
