"""The retry policy, and the circuit breaker."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.retry import LONGEST_BACK_OFF, back_off, changes_after
from recovery.domain.schedule import OnAmbiguous
from recovery.domain.state import Cause, Message, MessageState
from recovery.engine.breaker import FAULTS_IN_A_ROW, LONGEST_PAUSE, Breaker
from tests.support.builders import NOON, minutes, schedule

NOW = 1000.0
"""Seconds of a monotonic clock."""


def outcome(kind):
    return Outcome(kind, "said so")


def claimed(attempts=1, **fields):
    return Message(state=MessageState.SENDING, attempts=attempts, **fields)


def settle(outcome, message, schedule, now, jitter):
    return message.model_copy(update=changes_after(outcome, message, schedule, now, jitter))


@pytest.mark.parametrize(
    "kind",
    [OutcomeKind.UNSENT, OutcomeKind.CALLED_OFF, OutcomeKind.CONNECTION, OutcomeKind.DROPPED, OutcomeKind.OUR_FAULT],
)
def test_what_is_not_the_message_s_fault_burns_no_attempt(kind):
    """A relay that cannot be reached or refuses us leaves the message as it was, to be sent as soon as possible."""
    after = settle(outcome(kind), claimed(5), schedule(max_attempts=5), NOON, 0)
    assert (after.state, after.attempts) == (MessageState.WAITING, 4)


def test_a_message_that_the_relay_breaks_on_is_not_tried_in_a_hot_loop():
    """Though no attempt is counted, the same message is tried at most once a second, or once a minute if refused."""
    pauses = {
        kind: settle(outcome(kind), claimed(1), schedule(), NOON, 0).retry_at - NOON
        for kind in (OutcomeKind.CONNECTION, OutcomeKind.OUR_FAULT)
    }
    assert list(pauses.values()) == [timedelta(seconds=1), minutes(1)]


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        (OutcomeKind.DEAD_ADDRESS, Cause.DEAD_ADDRESS),
        (OutcomeKind.DEAD_MESSAGE, Cause.DEAD_MESSAGE),
        (OutcomeKind.RENDER_ERROR, Cause.RENDER_ERROR),
    ],
)
def test_what_can_never_work_is_dead_at_once(kind, cause):
    """A permanent refusal is a dead letter at the first attempt."""
    assert settle(outcome(kind), claimed(1), schedule(), NOON, 0).reason is cause


def test_later_backs_off_until_the_attempts_are_used_up():
    """A transient refusal is tried again after a while, and dead once all attempts are spent."""
    first = settle(outcome(OutcomeKind.LATER), claimed(1), schedule(), NOON, 0)
    assert (first.state, first.retry_at) == (MessageState.WAITING, NOON + minutes(5))
    assert settle(outcome(OutcomeKind.LATER), claimed(5), schedule(max_attempts=5), NOON, 0).reason is Cause.ATTEMPTS


def test_lost_after_the_dot_is_the_shop_s_choice():
    """`resend` tries again, `skip` does not."""
    lost = outcome(OutcomeKind.AMBIGUOUS)
    assert settle(lost, claimed(1), schedule(), NOON, 0).state is MessageState.WAITING
    assert settle(lost, claimed(1), schedule(on_ambiguous=OnAmbiguous.SKIP), NOON, 0).reason is Cause.LOST


def test_what_may_have_been_taken_is_tried_at_most_once_again():
    """After two ambiguous attempts a third might be a mail too many: the message becomes a dead letter."""
    lost = outcome(OutcomeKind.AMBIGUOUS)
    first = settle(lost, claimed(), schedule(), NOON, 0)
    assert (first.state, first.ambiguous) == (MessageState.WAITING, 1)
    second = settle(lost, claimed(2, ambiguous=1), schedule(), NOON, 0)
    assert (second.state, second.reason, second.ambiguous) == (MessageState.DEAD, Cause.LOST, 2)
    between = settle(outcome(OutcomeKind.LATER), claimed(2, ambiguous=1), schedule(), NOON, 0)
    assert between.ambiguous == 1, "another refusal does not make it forgotten"


@given(st.integers(1, 40), st.floats(0, 1, exclude_max=True))
def test_back_off_doubles_within_bounds(attempts, jitter):
    """No pause is shorter than the first or longer than the longest and a half."""
    assert minutes(5) <= back_off(attempts, minutes(5), jitter) <= LONGEST_BACK_OFF * 1.5


def test_the_breaker_opens_after_faults_in_a_row_and_probes():
    """Three faults in a row leave no room; after the pause there is room for one probe, and a success opens all."""
    breaker = Breaker()
    for _ in range(FAULTS_IN_A_ROW):
        assert breaker.room(10, 0, NOW) == 10
        breaker.tell("shop/1", outcome(OutcomeKind.CONNECTION), NOW)
    assert breaker.room(10, 0, NOW) == 0
    assert "said so" in breaker.fault
    later = NOW + breaker.pause(NOW)
    assert breaker.room(10, 0, later) == 1
    assert breaker.room(9, 1, later) == 0, "one probe at a time"
    breaker.tell("shop/1", outcome(OutcomeKind.SENT), later)
    assert breaker.room(10, 0, later) == 10
    assert breaker.fault is None


def test_the_breaker_s_pauses_double_up_to_a_minute():
    """A relay that stays down is probed ever more rarely, but at least once a minute."""
    breaker, now, pauses = Breaker(), NOW, []
    for _ in range(FAULTS_IN_A_ROW):
        breaker.tell("shop/1", outcome(OutcomeKind.CONNECTION), now)
    for _ in range(9):
        pauses.append(breaker.pause(now))
        now += pauses[-1]
        breaker.tell("shop/1", outcome(OutcomeKind.CONNECTION), now)
    assert pauses[:3] == [1.0, 2.0, 4.0]
    assert pauses[-1] == LONGEST_PAUSE


def test_a_refusal_of_one_message_is_no_fault_of_the_relay():
    """A dead address in between means that the relay answers: the count starts again."""
    breaker = Breaker()
    for kind in (OutcomeKind.CONNECTION, OutcomeKind.CONNECTION, OutcomeKind.DEAD_ADDRESS, OutcomeKind.CONNECTION):
        breaker.tell("shop/1", outcome(kind), NOW)
    assert breaker.fault is None


def test_a_relay_that_loses_message_after_message_after_the_dot_opens_the_breaker():
    """The next message would be lost as well."""
    breaker = Breaker()
    for number in range(FAULTS_IN_A_ROW):
        breaker.tell(f"shop/{number}", outcome(OutcomeKind.AMBIGUOUS), NOW)
    assert "said so" in breaker.fault


def test_one_message_that_the_relay_hangs_up_on_does_not_open_the_breaker():
    """However often it is tried: of several messages in a row it is the relay's fault."""
    breaker = Breaker()
    for _ in range(10):
        breaker.tell("shop/1", outcome(OutcomeKind.DROPPED), NOW)
    assert breaker.fault is None
    for number in (2, 3):
        breaker.tell(f"shop/{number}", outcome(OutcomeKind.DROPPED), NOW)
    assert breaker.fault is not None


@pytest.mark.parametrize("kind", [OutcomeKind.RENDER_ERROR, OutcomeKind.CALLED_OFF, OutcomeKind.FAILED])
def test_what_never_met_the_relay_does_not_close_the_breaker(kind):
    """Only an answer of the relay shows that it works."""
    breaker = Breaker()
    for _ in range(FAULTS_IN_A_ROW):
        breaker.tell("shop/1", outcome(OutcomeKind.CONNECTION), NOW)
    breaker.tell("shop/1", outcome(kind), NOW)
    assert breaker.fault is not None
