"""What an outcome makes of a message, and when the breaker opens."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.breaker import FAULTS_IN_A_ROW, LONGEST_PAUSE, Breaker
from recovery.checkout import Cause, MessageState
from recovery.delivery import LONGEST_BACK_OFF, Outcome, OutcomeKind, back_off, settle
from recovery.schedule import OnAmbiguous
from tests.builders import NOON, minutes, schedule


def outcome(kind):
    return Outcome(kind, "said so")


@pytest.mark.parametrize("kind", [OutcomeKind.UNSENT, OutcomeKind.CONNECTION, OutcomeKind.OUR_FAULT])
def test_what_is_not_the_message_s_fault_burns_no_attempt(kind):
    """A relay that cannot be reached or refuses us leaves the message as it was, to be sent as soon as may be."""
    settlement = settle(outcome(kind), 5, schedule(max_attempts=5), NOON, 0)
    assert (settlement.state, settlement.attempts) == (MessageState.WAITING, 4)


def test_a_message_that_the_relay_breaks_on_is_not_tried_in_a_hot_loop():
    """Though no attempt is counted, the same message is tried once a second at the most, once a minute if refused."""
    pauses = {
        kind: settle(outcome(kind), 1, schedule(), NOON, 0).retry_at - NOON
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
    assert settle(outcome(kind), 1, schedule(), NOON, 0).cause is cause


def test_later_backs_off_until_the_attempts_are_used_up():
    """A transient refusal is tried again after a while, and dead once all attempts are spent."""
    first = settle(outcome(OutcomeKind.LATER), 1, schedule(), NOON, 0)
    assert (first.state, first.retry_at) == (MessageState.WAITING, NOON + minutes(5))
    assert settle(outcome(OutcomeKind.LATER), 5, schedule(max_attempts=5), NOON, 0).cause is Cause.ATTEMPTS


def test_lost_after_the_dot_is_the_shop_s_choice():
    """`resend` tries again, `skip` does not."""
    lost = outcome(OutcomeKind.AMBIGUOUS)
    assert settle(lost, 1, schedule(), NOON, 0).state is MessageState.WAITING
    assert settle(lost, 1, schedule(on_ambiguous=OnAmbiguous.SKIP), NOON, 0).cause is Cause.LOST


@given(st.integers(1, 40), st.floats(0, 1, exclude_max=True))
def test_back_off_doubles_within_bounds(attempts, jitter):
    """No pause is shorter than the first or longer than the longest and a half."""
    assert minutes(5) <= back_off(attempts, minutes(5), jitter) <= LONGEST_BACK_OFF * 1.5


def test_the_breaker_opens_after_faults_in_a_row_and_probes():
    """Three faults in a row leave no room; after the pause there is room for one probe, and a success opens all."""
    breaker = Breaker()
    for _ in range(FAULTS_IN_A_ROW):
        assert breaker.room(10, 0, NOON) == 10
        breaker.tell(outcome(OutcomeKind.CONNECTION), NOON)
    assert breaker.room(10, 0, NOON) == 0
    assert "said so" in breaker.fault
    later = NOON + breaker.pause(NOON)
    assert breaker.room(10, 0, later) == 1
    assert breaker.room(9, 1, later) == 0, "one probe at a time"
    breaker.tell(outcome(OutcomeKind.SENT), later)
    assert breaker.room(10, 0, later) == 10
    assert breaker.fault is None


def test_the_breaker_s_pauses_double_up_to_a_minute():
    """A relay that stays down is probed ever more rarely, but at least once a minute."""
    breaker, now, pauses = Breaker(), NOON, []
    for _ in range(FAULTS_IN_A_ROW):
        breaker.tell(outcome(OutcomeKind.CONNECTION), now)
    for _ in range(9):
        pauses.append(breaker.pause(now))
        now += pauses[-1]
        breaker.tell(outcome(OutcomeKind.CONNECTION), now)
    assert pauses[:3] == [timedelta(seconds=s) for s in (1, 2, 4)]
    assert pauses[-1] == LONGEST_PAUSE


def test_a_refusal_of_one_message_is_no_fault_of_the_relay():
    """A dead address in between means that the relay answers: the count starts anew."""
    breaker = Breaker()
    for kind in (OutcomeKind.CONNECTION, OutcomeKind.CONNECTION, OutcomeKind.DEAD_ADDRESS, OutcomeKind.CONNECTION):
        breaker.tell(outcome(kind), NOON)
    assert breaker.fault is None
