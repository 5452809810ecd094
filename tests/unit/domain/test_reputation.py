"""Reputation: the shares of unknown users and of complaints at which mails to a receiver are slowed, and to what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.domain.reputation import LEAST_MESSAGES, LEAST_RATE, Day, cap
from recovery.domain.warmup import LEAST_COMPLAINTS


def day(answered=1000, unknown=0, complaints=0, busiest_hour=None):
    return Day(answered, answered - unknown, unknown, complaints, answered if busiest_hour is None else busiest_hour)


@pytest.mark.parametrize(
    ("said", "capped"),
    [
        (day(), False),
        (day(unknown=50), False),
        (day(unknown=51), True),
        (day(LEAST_MESSAGES - 1, unknown=LEAST_MESSAGES - 1), False),
        (day(LEAST_MESSAGES, unknown=3), True),
        (day(complaints=3), False),
        (day(complaints=4), True),
        (day(10, complaints=LEAST_COMPLAINTS - 1), False),
        (day(10, complaints=LEAST_COMPLAINTS), True),
        (day(0, complaints=LEAST_COMPLAINTS), True),
        (day(0), False),
    ],
)
def test_mails_are_slowed_above_the_limit_and_where_there_are_enough_to_tell(said, capped):
    assert (cap(said, capped=False) is not None) is capped


@pytest.mark.parametrize(
    ("said", "capped"),
    [
        (day(unknown=21), True),
        (day(unknown=20), False),
        (day(10_000, complaints=11), True),
        (day(10_000, complaints=10), False),
    ],
)
def test_they_stay_so_until_the_share_is_well_below_the_limit(said, capped):
    """At the limit itself they would be slowed and free in turns."""
    assert cap(said, capped=False) is None
    assert (cap(said, capped=True) is not None) is capped


def test_the_reason_says_the_share_and_the_limit():
    assert cap(day(unknown=62), capped=False).why == (
        "6.2% of 1000 messages in 24 hours were to unknown users, above 5%"
    )
    assert cap(day(complaints=6), capped=False).why == "6 complaints about 1000 messages in 24 hours, above 0.3%"


def test_half_the_rate_of_the_busiest_hour_is_left():
    assert cap(day(100_000, unknown=9000, busiest_hour=36_000), capped=False).rate == 5.0
    assert cap(day(unknown=900, busiest_hour=10), capped=False).rate == LEAST_RATE


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**4))
def test_more_unknown_users_or_complaints_never_free_it(answered, unknown, complaints):
    worse = Day(answered + 1, answered, unknown + 1, complaints + 1, answered)
    said = Day(answered, answered, unknown, complaints, answered)
    if cap(said, capped=False) and unknown <= answered:
        assert cap(worse, capped=False)
