"""The decisions of `decide()`, by example and as properties."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.domain.decision import Rest, Send, Wait, decide
from recovery.domain.quiet_hours import QuietHours, zone
from recovery.domain.schedule import CONFIRMATION, MessageKind, OnAmbiguous, default_max_lateness
from recovery.domain.state import Cause, Claim, Message, MessageState, Status
from tests.support.builders import NOON, minutes, report, schedule, state, step

SENT = MessageState.SENT


def sent(at_minutes: float) -> Message:
    return Message(state=SENT, attempts=1, sent_at=NOON + minutes(at_minutes))


def test_a_new_checkout_waits_for_its_first_step():
    """Nothing is sent before the first step is due; the look after next is at that very moment."""
    decision = decide(state(), schedule(), NOON)
    assert decision == Wait(NOON + minutes(30), "reminder-1 is due then")


def test_a_step_is_sent_at_its_due_time():
    """At the due time, to the millisecond, the step is due."""
    decision = decide(state(), schedule(), NOON + minutes(30))
    assert isinstance(decision, Send)
    assert (decision.step.name, decision.due_at) == ("reminder-1", NOON + minutes(30))


def test_the_next_step_follows_the_last_touch():
    """An edit moves the timer of unsent messages, and does not affect sent ones."""
    touched = state(touched_at=NOON + minutes(60), messages={"reminder-1": sent(30)})
    assert decide(touched, schedule(), NOON + minutes(60)).until == NOON + minutes(60) + timedelta(days=1)


def test_activity_in_the_cart_moves_the_timer():
    """A customer who is active in the cart alone has not left: the steps count from then on, never from before."""
    active = state(active_at=NOON + minutes(20))
    assert decide(active, schedule(), NOON + minutes(30)).until == NOON + minutes(50)
    assert decide(state(active_at=NOON - minutes(20)), schedule(), NOON).until == NOON + minutes(30)


def test_a_paused_checkout_rests_until_a_later_report():
    """No reminder of a checkout that was emptied; what is reported after that is reminded of, and settles nothing."""
    emptied = {"at": NOON + minutes(5), "reason": "its customer has emptied it"}
    decision = decide(state(paused=emptied), schedule(), NOON + minutes(30))
    assert decision == Rest(Status.FINISHED, "paused: its customer has emptied it")
    filled = state(paused=emptied, touched_at=NOON + minutes(6))
    assert decide(filled, schedule(), NOON + minutes(36)).step.name == "reminder-1"
    at_once = state(paused=emptied, touched_at=NOON + minutes(5))
    assert isinstance(decide(at_once, schedule(), NOON + minutes(36)), Rest)


def test_an_order_of_a_paused_checkout_is_confirmed():
    """A pause stops reminders alone."""
    paused = {"at": NOON, "reason": "its shop has disconnected"}
    ordered = state(status="ordered", ordered_at=NOON, paused=paused)
    assert decide(ordered, schedule(), NOON).step.name == "confirmation"


def test_every_step_done_is_finished():
    """When all steps are sent the checkout rests as finished."""
    messages = {name: sent(30) for name in ("reminder-1", "reminder-2", "reminder-3")}
    assert decide(state(messages=messages), schedule(), NOON + timedelta(days=9)).status is Status.FINISHED


def test_a_second_reminder_to_an_address_is_moved_and_not_late_by_that():
    """The gap between two mails to an address moves the due time itself, for longer than a step may be late."""
    close = schedule(
        steps=(step("a", minutes(30)), step("b", minutes(40), max_lateness=minutes(1))),
        min_gap=minutes(0),
        min_gap_per_address=timedelta(hours=12),
    )
    checkout = state(messages={"a": sent(30)})
    decision = decide(checkout, close, NOON + minutes(41))
    assert decision.until == NOON + minutes(30) + timedelta(hours=12)
    assert decide(checkout, close, decision.until).due_at == decision.until


def test_a_postponed_message_is_due_when_it_was_postponed_to():
    """A message that was postponed for another mail to the address is due at the later time, and not late before."""
    later = NOON + timedelta(hours=20)
    deferred = state(messages={"reminder-1": Message(deferred_to=later)})
    assert decide(deferred, schedule(), NOON + minutes(30)).until == later
    assert decide(deferred, schedule(), later).due_at == later


NIGHT = {"quiet_hours": QuietHours(time(21), time(8)), "time_zone": "Europe/Berlin"}


def test_quiet_hours_move_a_reminder_to_their_end():
    """A reminder due at night, by the shop's clock, is due at eight in the morning, and may be as late as ever then."""
    evening = datetime(2026, 6, 1, 19, 30, tzinfo=UTC)
    plan = schedule(**NIGHT)
    morning = datetime(2026, 6, 2, 6, tzinfo=UTC)
    decision = decide(state(touched_at=evening), plan, evening)
    assert (decision.until, decision.reason) == (
        morning,
        "reminder-1 may be sent then: the quiet hours in Europe/Berlin are over",
    )
    assert decide(state(touched_at=evening), plan, morning + minutes(59)).due_at == morning
    assert isinstance(decide(state(touched_at=evening), plan, morning + minutes(61)), Wait)


def test_quiet_hours_are_those_of_the_customer():
    """A customer whose time zone was reported is left in peace by the clock on their own wall."""
    noon_in_berlin = datetime(2026, 6, 1, 10, tzinfo=UTC)
    facts = report().facts() | {"time_zone": "America/Los_Angeles"}
    decision = decide(state(touched_at=noon_in_berlin, facts=facts), schedule(**NIGHT), noon_in_berlin)
    assert decision.until == datetime(2026, 6, 1, 15, tzinfo=UTC)


def test_a_retry_that_falls_into_quiet_hours_is_not_lost():
    """Quiet hours do not count as lateness."""
    evening = datetime(2026, 6, 1, 18, 25, tzinfo=UTC)
    refused = Message(attempts=1, retry_at=evening + minutes(40))
    checkout = state(touched_at=evening, messages={"reminder-1": refused})
    plan = schedule(**NIGHT)
    morning = datetime(2026, 6, 2, 6, tzinfo=UTC)
    assert decide(checkout, plan, evening + minutes(40)).until == morning
    assert isinstance(decide(checkout, plan, morning), Send)


def test_a_confirmation_waits_for_no_morning_and_no_gap():
    """An order placed at night is confirmed at night, whatever was sent before and whatever consent there is."""
    night = datetime(2026, 6, 1, 23, tzinfo=UTC)
    plan = schedule(**NIGHT, min_gap_per_address=timedelta(hours=12), require_consent=True)
    reminded = Message(state=SENT, attempts=1, sent_at=night - minutes(1))
    ordered = state(status="ordered", ordered_at=night, touched_at=night, messages={"reminder-1": reminded})
    assert isinstance(decide(ordered, plan, night), Send)


@pytest.mark.parametrize(
    ("consent", "reason"), [(None, "no consent is known"), (False, "the customer has said no"), (True, None)]
)
def test_consent_is_asked_for_where_the_shop_requires_it(consent, reason):
    """Without consent each reminder is skipped at its due time, with that reason; with it, it is sent."""
    said = consent is not None and {"given": consent, "basis": "opt-in", "at": NOON, "source": "box"}
    decision = decide(state(consent=said or None), schedule(require_consent=True), NOON + minutes(30))
    if reason is None:
        assert isinstance(decision, Send)
    else:
        assert [(each.step, each.reason) for each in decision.given_up] == [("reminder-1", reason)]
        anyway = decide(state(consent=said or None), schedule(), NOON + minutes(30))
        assert isinstance(anyway, Send) == (consent is None), "a no is heeded everywhere"


def test_an_order_is_confirmed_and_nothing_else():
    """An ordered checkout gets its confirmation, whatever reminder is due, and then rests."""
    ordered = state(status="ordered", ordered_at=NOON + minutes(31))
    decision = decide(ordered, schedule(), NOON + minutes(31))
    assert isinstance(decision, Send)
    assert decision.step.name == CONFIRMATION
    confirmed = ordered.model_copy(update={"messages": {CONFIRMATION: sent(31)}})
    assert decide(confirmed, schedule(), NOON + minutes(32)) == Rest(Status.ORDERED, "ordered: no reminders")


def test_a_confirmation_that_is_turned_off_is_not_sent():
    """Without a confirmation in the schedule an order just rests."""
    decision = decide(state(status="ordered", ordered_at=NOON), schedule(confirmation=None), NOON)
    assert isinstance(decision, Rest)
    assert decision.status is Status.ORDERED


def test_an_order_without_an_address_rests_until_one_is_known():
    """An order whose customer is unknown is not given up: a later report may say who ordered."""
    decision = decide(state(status="ordered", ordered_at=NOON, facts={}), schedule(), NOON)
    assert isinstance(decision, Rest)
    assert not decision.given_up


def test_a_step_too_late_gives_way_to_the_next():
    """Past its usefulness a reminder is skipped with its reason, and the next one is due."""
    decision = decide(state(), schedule(), NOON + timedelta(days=1, minutes=5))
    assert isinstance(decision, Send)
    assert decision.step.name == "reminder-2"
    assert [(g.step, g.state) for g in decision.given_up] == [("reminder-1", MessageState.SKIPPED)]


def test_two_reminders_keep_their_distance():
    """A reminder that is due within the least gap after the last one waits for the gap to end."""
    close = schedule(steps=(step("a", minutes(30)), step("b", minutes(40))), min_gap=minutes(20))
    checkout = state(messages={"a": sent(35)})
    assert decide(checkout, close, NOON + minutes(41)).until == NOON + minutes(55)


def test_a_live_claim_is_waited_for():
    """While a sender holds the claim everybody else waits for its lease to end."""
    claim = Claim(token="t", owner="other", until=NOON + minutes(31))
    checkout = state(claim=claim, messages={"reminder-1": Message(state="sending", attempts=1)})
    assert decide(checkout, schedule(), NOON + minutes(30)).until == NOON + minutes(31)


def test_a_dead_sender_s_message_is_sent_again_or_not_as_the_shop_chose():
    """When the lease ended without a record, `resend` tries again and `skip` gives the message up for lost."""
    claim = Claim(token="t", owner="dead", until=NOON + minutes(31))
    checkout = state(claim=claim, messages={"reminder-1": Message(state="sending", attempts=1)})
    again = decide(checkout, schedule(), NOON + minutes(32))
    assert isinstance(again, Send)
    assert again.step.name == "reminder-1"
    never = decide(checkout, schedule(on_ambiguous=OnAmbiguous.SKIP), NOON + minutes(32))
    assert never.given_up[0].cause is Cause.LOST
    assert isinstance(never, Wait)


def test_a_message_that_kills_its_senders_ends_as_dead():
    """Attempts are counted at the claim, so a poisonous message ends when they are used up."""
    checkout = state(messages={"reminder-1": Message(state="sending", attempts=5)})
    assert decide(checkout, schedule(max_attempts=5), NOON + minutes(30)).given_up[0].cause is Cause.ATTEMPTS


def test_a_retry_waits_for_its_time():
    """A refused message is not tried before its back-off is over."""
    checkout = state(messages={"reminder-1": Message(attempts=1, retry_at=NOON + minutes(36))})
    assert decide(checkout, schedule(), NOON + minutes(32)).until == NOON + minutes(36)


def test_a_changed_schedule_applies_at_the_next_look():
    """A step added later is due for an open checkout by the new schedule."""
    longer = schedule(steps=(*schedule().steps, step("last", timedelta(days=7))))
    messages = {name: sent(30) for name in ("reminder-1", "reminder-2", "reminder-3")}
    assert decide(state(messages=messages), longer, NOON + timedelta(days=4)).until == NOON + timedelta(days=7)


def test_lateness_is_half_way_to_the_next_step_at_most_twelve_hours():
    """A step is of use until half of the time to the next has passed; the last one for 12 hours."""
    assert default_max_lateness(minutes(30), minutes(90)) == minutes(30)
    assert default_max_lateness(timedelta(days=1), timedelta(days=3)) == timedelta(hours=12)
    assert default_max_lateness(timedelta(days=3), None) == timedelta(hours=12)


times = st.integers(-1000, 10_000).map(lambda m: NOON + minutes(m))
messages = st.builds(
    Message,
    state=st.sampled_from(MessageState),
    attempts=st.integers(0, 6),
    retry_at=st.none() | times,
    sent_at=st.none() | times,
)
schedules = st.builds(
    lambda delays, lateness, gap, confirm, ambiguous: schedule(
        steps=tuple(step(f"s{i}", minutes(d), minutes(lateness)) for i, d in enumerate(sorted(delays))),
        min_gap=minutes(gap),
        on_ambiguous=ambiguous,
        **({} if confirm else {"confirmation": None}),
    ),
    st.sets(st.integers(0, 5000), max_size=4),
    st.integers(0, 2000),
    st.integers(0, 500),
    st.booleans(),
    st.sampled_from(OnAmbiguous),
)
states = st.builds(
    lambda status, touched, kept, claim, facts: state(
        status=status,
        touched_at=touched,
        ordered_at=touched if status == "ordered" else None,
        messages=kept,
        claim=Claim(token="t", owner="o", until=claim) if claim else None,
        **({} if facts else {"facts": {}}),
    ),
    st.sampled_from(Status),
    times,
    st.dictionaries(st.sampled_from(["s0", "s1", "s2", "s3", CONFIRMATION]), messages, max_size=5),
    st.none() | times,
    st.booleans(),
)


@settings(max_examples=80)
@given(states, schedules, times)
def test_never_before_it_is_due_never_after_an_order_never_twice(checkout, plan, now):
    """Whatever is kept, a send is due, is of the right kind for the status, and was not settled before."""
    decision = decide(checkout, plan, now)
    if not isinstance(decision, Send):
        return
    name = decision.step.name
    message = checkout.messages.get(name, Message())
    assert decision.due_at <= now <= decision.due_at + decision.step.max_lateness
    assert message.retry_at is None or message.retry_at <= now
    assert not message.state.settled
    assert message.attempts < plan.max_attempts
    assert checkout.claim is None or checkout.claim.until <= now
    assert checkout.status is not Status.CANCELLED
    assert (name == CONFIRMATION) == (checkout.status is Status.ORDERED)
    if name != CONFIRMATION:
        others = [m.sent_at for key, m in checkout.messages.items() if m.sent_at and key != CONFIRMATION]
        assert all(now - at >= plan.min_gap for at in others)


@settings(max_examples=80)
@given(states, schedules, times)
def test_always_one_more_look_while_something_is_left_to_do(checkout, plan, now):
    """A rest means that nothing is left; a wait is for a time to come; and waiting it out makes progress."""
    decision = decide(checkout, plan, now)
    given_up = {each.step for each in decision.given_up}
    if isinstance(decision, Rest):
        left = {s.name for s in plan.steps} if checkout.status in (Status.OPEN, Status.FINISHED) else set()
        if checkout.status is Status.ORDERED and plan.confirmation and checkout.facts.customer:
            left = {CONFIRMATION}
        settled = {name for name, message in checkout.messages.items() if message.state.settled}
        assert left <= settled | given_up
    elif isinstance(decision, Wait):
        assert decision.until > now
        later = decide(checkout, plan, decision.until)
        assert not isinstance(later, Wait) or later.until > decision.until


@settings(max_examples=50)
@given(states, schedules, times)
def test_looking_again_and_again_comes_to_rest(checkout, plan, now):
    """Carrying out each decision in turn ends in a rest after finitely many looks, each message sent at most once."""
    sent_steps = []
    for _ in range(40):
        decision = decide(checkout, plan, now)
        changes = dict(checkout.messages)
        for each in decision.given_up:
            changes[each.step] = changes.get(each.step, Message()).model_copy(update={"state": each.state})
        if isinstance(decision, Rest):
            break
        if isinstance(decision, Wait):
            now = decision.until
        else:
            sent_steps.append(decision.step.name)
            changes[decision.step.name] = Message(state=SENT, sent_at=now)
        checkout = checkout.model_copy(update={"messages": changes})
    else:
        raise AssertionError("it never comes to rest")
    assert len(sent_steps) == len(set(sent_steps))


@settings(max_examples=300)
@given(
    touched=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 20), timezones=st.just(UTC)),  # noqa: DTZ001
    begin=st.integers(0, 1439),
    length=st.integers(1, 1200),
    name=st.sampled_from(sorted(available_timezones() - {"localtime"})),
    late=st.integers(0, 50),
)
def test_quiet_hours_lose_no_reminder_anywhere(touched, begin, length, name, late):
    """Wherever one lives, whatever is quiet, however the clocks change: all is sent, and nothing in quiet hours.

    A daemon that looks when it was told to, and no later than the steps may be, sends every step.
    """
    end = (begin + length) % 1440
    hours = QuietHours(time(begin // 60, begin % 60), time(end // 60, end % 60))
    plan = schedule(quiet_hours=hours, time_zone=name, min_gap_per_address=timedelta(hours=1))
    where = zone(name)
    checkout, now, sent_at = state(touched_at=touched), touched, []
    for _ in range(20):
        match decide(checkout, plan, now):
            case Wait(until=until):
                now = until + minutes(late)
                if hours.end_after(now, where):
                    now = until
            case Send(step=step):
                assert hours.end_after(now, where) is None
                sent_at.append(now)
                message = Message(state=SENT, attempts=1, sent_at=now)
                checkout = checkout.model_copy(update={"messages": {**checkout.messages, step.name: message}})
            case Rest(given_up=given_up):
                assert given_up == ()
                break
    assert len(sent_at) == 3


def test_what_is_late_is_not_sent_in_quiet_hours_either():
    """Due a minute before they begin and not sent by then, it waits for the morning; a confirmation does not."""
    plan = schedule(quiet_hours=QuietHours(time(12, 31), time(20)))
    due = NOON + minutes(30)
    assert isinstance(decide(state(), plan, due), Send)
    waits = decide(state(), plan, due + minutes(2))
    assert isinstance(waits, Wait)
    assert waits.until == NOON + timedelta(hours=8)
    assert isinstance(decide(state(), plan, waits.until), Send), "and is not late by that"
    ordered = state(status="ordered", ordered_at=due, touched_at=due)
    assert isinstance(decide(ordered, plan, due + minutes(2)), Send)


def test_a_message_s_kind_says_which_rules_it_follows():
    """A reminder is marketing, waits for quiet hours and gaps, and stops on an order; a confirmation does none."""
    reminder, confirmation = step("reminder-1", minutes(30)).kind, step(CONFIRMATION, minutes(0)).kind
    assert (reminder, confirmation) == (MessageKind.REMINDER, MessageKind.CONFIRMATION)
    rules = ("is_marketing", "respects_quiet_hours", "counts_for_gap", "stops_on_order")
    assert all(getattr(reminder, rule) for rule in rules)
    assert not any(getattr(confirmation, rule) for rule in rules)
