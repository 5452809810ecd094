"""The pace, alone and with the circuit breaker, against relays that count messages by the clock."""

import pytest

from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.engine.breaker import Breaker
from recovery.engine.pace import FORGOTTEN_AFTER, LEAST, RECOVERS_IN, SETTLES_IN, Pace

STEP = 0.05
IN_FLIGHT = 100


class CountingRelay:
    """Accepts so many messages in each period of its clock, and throttles the rest."""

    def __init__(self, limit, period):
        self.limit = limit
        self.period = period
        self.accepted = {}

    def accepts(self, now):
        period = int(now / self.period)
        if self.accepted.get(period, 0) >= self.limit:
            return False
        self.accepted[period] = self.accepted.get(period, 0) + 1
        return True


def deliver(relay, count):
    """Deliver so many messages by pace and breaker; return the seconds that took, and how many were throttled."""
    pace, breaker, now, delivered, throttled = Pace(), Breaker(), 0.0, 0, 0
    while delivered < count:
        room = pace.room(now)
        free = min(IN_FLIGHT if room is None else room, count - delivered)
        claimed = min(breaker.room(free, 0, now), free)
        pace.take(claimed)
        answers = [relay.accepts(now) for _ in range(claimed)]
        for accepted in answers:
            breaker.tell("", Outcome(OutcomeKind.SENT if accepted else OutcomeKind.THROTTLED, "450 4.7.1"), now)
        pace.tell(answers.count(True), answers.count(False), now)
        delivered += answers.count(True)
        throttled += answers.count(False)
        now += STEP
    return now, throttled


@pytest.mark.parametrize(
    ("limit", "period", "count"),
    [(5, 1, 1000), (14, 1, 1000), (100, 1, 5000), (300, 10, 1000), (30, 60, 300), (1, 1, 60)],
)
def test_delivers_within_a_third_more_than_the_limit_takes(limit, period, count):
    took, throttled = deliver(CountingRelay(limit, period), count)
    assert took <= 1.3 * count / limit * period
    assert throttled <= 3 * count


def test_a_relay_that_does_not_throttle_is_not_limited():
    pace = Pace()
    for second in range(100):
        pace.tell(1000, 0, second)
        assert pace.room(second) is None
        assert pace.pause(second) == 0


def test_the_first_throttling_halves_the_accepted_rate():
    pace = Pace()
    for second in range(5):
        pace.tell(20, 0, second)
    pace.tell(0, 3, 5)
    assert pace.rate(5) == pytest.approx(10)


def test_the_old_rate_is_reached_again_and_then_left_behind():
    pace = Pace()
    pace.tell(50, 1, 0)
    rates = [pace.rate(each / 10 * RECOVERS_IN) for each in range(20)]
    assert rates == sorted(rates)
    assert rates[10] == pytest.approx(50)
    assert pace.rate(RECOVERS_IN * (1 + (2 * FORGOTTEN_AFTER) ** (1 / 3))) is None
    assert pace.room(1000) is None


def test_throttling_at_the_old_rate_is_counted_once():
    pace = Pace()
    pace.tell(50, 1, 0)
    before = pace.rate(SETTLES_IN)
    pace.tell(10, 10, SETTLES_IN / 2)
    assert pace.rate(SETTLES_IN) == before


def test_a_relay_that_accepts_nothing_more_does_not_lower_the_rate_it_once_accepted():
    pace = Pace()
    pace.tell(50, 1, 0)
    for second in range(3, 10):
        pace.tell(0, 1, second)
    assert pace.rate(RECOVERS_IN) == pytest.approx(50)


@pytest.mark.parametrize(("slipped", "is_lowered"), [(1, False), (12, False), (13, True)])
def test_what_slips_through_at_the_end_of_a_window_does_not_lower_the_rate(slipped, is_lowered):
    """It says nothing of a rate, unlike a quarter of a second's worth."""
    pace = Pace()
    pace.tell(50, 1, 0)
    pace.tell(slipped, 1, 3)
    assert (pace.limit < 50) == is_lowered


def test_a_relay_that_throttles_the_very_first_message_is_tried_now_and_then():
    pace = Pace()
    pace.tell(0, 1, 0)
    assert pace.rate(0) == pytest.approx(LEAST / 2)
    assert pace.room(0) == 0
    pause = pace.pause(0)
    assert 0 < pause <= 2 / LEAST
    assert pace.room(pause + 0.001) == 1


def test_what_was_taken_is_not_there_again():
    pace = Pace()
    pace.tell(50, 1, 0)
    assert pace.room(1) > 1
    pace.take(pace.room(1))
    assert pace.room(1) == 0
    assert pace.pause(1) > 0
