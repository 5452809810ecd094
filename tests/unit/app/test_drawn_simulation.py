"""A drawn population, replayed in shards: by any number of processes, to the same result."""

import multiprocessing
import os
from concurrent.futures.process import BrokenProcessPool

import pytest

from recovery.app.drawn_simulation import simulate_drawn
from recovery.app.shards import Shard, shards_of
from recovery.domain.simulation import Schedules
from recovery.settings.given import given_settings

QUIET = {"quiet_hours": "21:00-08:00", "time_zone": "Europe/Berlin"}
LATER = {"steps": [{"name": "reminder-1", "delay": "1h"}, {"name": "reminder-2", "delay": "20h"}]}
EXPERIMENT = {
    "experiments": {"quiet": {"share": 0.5, "until": "2027-12-31"}},
    "suppressions": {"keys": ["a key for tests that is long enough, at 32 characters"]},
}


def schedules(in_force=QUIET, new=QUIET | LATER, **more):
    """Return two schedules, by the settings of each."""
    return Schedules(*(given_settings({"schedule": each, **more}).to_schedule() for each in (in_force, new)))


@pytest.fixture(autouse=True)
def no_process_is_left():
    """Whatever happens, no process of a simulation stays behind."""
    before = set(multiprocessing.active_children())
    yield
    assert set(multiprocessing.active_children()) <= before


def test_the_shards_make_up_the_population():
    """All of one size but the last, also where it does not divide."""
    assert [each.size for each in shards_of(1050, 1, 30, 250)] == [250, 250, 250, 250, 50]
    assert [each.size for each in shards_of(500, 1, 30, 250)] == [250, 250]
    assert [each.size for each in shards_of(7, 1, 30, 250)] == [7]


def test_the_result_is_the_same_for_any_number_of_processes():
    """Every count, every list, in every order; and the shards are told as they are done."""
    shards, told = shards_of(1050, 4, 30, 150), []
    one = simulate_drawn(schedules(), shards, 7, processes=1)
    three = simulate_drawn(schedules(), shards, 7, processes=3, done=told.append)
    assert three == one
    assert (one.checkouts, one.same + one.moved + one.changed) == (1050, 1050)
    assert len(one.different) == 7
    assert told == [150] * 7
    assert repr(three) == repr(one)


def test_another_seed_draws_another_population():
    """And the same one, the same."""
    first, again, other = (simulate_drawn(schedules(), shards_of(200, seed, 30), 3) for seed in (1, 1, 2))
    assert first == again != other


def test_those_who_are_drawn_are_people_in_experiments():
    """About a half is held out of each shard, and not the same numbers in every shard."""
    drawn = simulate_drawn(schedules(**EXPERIMENT), shards_of(600, 1, 30, 300), 3, shop="shop.example")
    assert drawn.in_force.arms == drawn.new.arms
    arms = {arm: count for (_, arm), count in drawn.new.arms.items()}
    assert sum(arms.values()) == 600
    assert 240 < arms["held out"] < 360
    halves = [
        simulate_drawn(schedules(**EXPERIMENT), [each], 3, shop="shop.example") for each in shards_of(600, 1, 30, 300)
    ]
    assert halves[0].new.arms != halves[1].new.arms


def test_an_error_in_a_process_is_raised_here():
    """As it is, and all the others end."""
    beyond = Shard(number=1, size=50, seed=1, days=10**7)
    with pytest.raises(OverflowError, match="date value out of range"):
        simulate_drawn(schedules(), [*shards_of(100, 1, 30, 50), beyond], 3, processes=2)


def test_an_interrupt_ends_all_processes_at_once():
    """Those that are at work are not waited for: it would take minutes."""

    def interrupt(size):
        raise KeyboardInterrupt

    shards = [Shard(0, 10, 1, 30), *(Shard(number, 10_000_000, 1, 30) for number in (1, 2, 3))]
    with pytest.raises(KeyboardInterrupt):
        simulate_drawn(schedules(), shards, 3, processes=2, done=interrupt)


def test_a_process_that_is_killed_is_an_error():
    """And no wait without end."""

    def kill(size):
        for process in multiprocessing.active_children():
            os.kill(process.pid, 9)

    shards = [Shard(0, 10, 1, 30), *(Shard(number, 10_000_000, 1, 30) for number in (1, 2))]
    with pytest.raises(BrokenProcessPool):
        simulate_drawn(schedules(), shards, 3, processes=2, done=kill)
