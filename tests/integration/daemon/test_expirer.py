"""The expirer: shadows that are due, and the election of one daemon."""

from recovery.daemon.expirer import Expirer
from recovery.daemon.share import ABLE, EXPIRER, Ability, owner
from tests.support.builders import NOON, minutes, state


async def test_the_expirer_deletes_what_is_due_and_knows_what_is_next(engine_world):
    """Due shadows are deleted, others stay, and the expirer sleeps until the next one is due."""
    expirer = Expirer(engine_world.shadows, engine_world.share, engine_world.clock)
    future = NOON.replace(year=2200)
    await engine_world.shadows.set({"a/1": future, "a/2": future + minutes(1)})
    engine_world.clock.time = future
    assert await expirer.expire() == 1
    assert expirer._wake_at == future + minutes(1)
    assert await expirer.expire() == 0


async def test_the_expirer_wakes_for_a_shadow_set_earlier_than_all_others(engine_world):
    """A shadow just set that is due before the one it sleeps for wakes it."""
    expirer = Expirer(engine_world.shadows, engine_world.share, engine_world.clock)
    engine_world.engine.alarms.on_set = expirer.wake_for
    await engine_world.shadows.set({"a/1": NOON.replace(year=2200)})
    await expirer.expire()
    engine_world.clock.time = NOON.replace(year=2190)
    await engine_world.put(state("2", touched_at=engine_world.clock.time, next_at=engine_world.clock.time))
    await engine_world.engine.look(["shop.example/2"], "test")
    assert expirer._wake_at == engine_world.clock.time + minutes(30)


async def test_only_the_daemon_in_office_expires(engine_world):
    """Of two daemons one deletes; when it is gone the other does."""
    expirer = Expirer(engine_world.shadows, engine_world.share, engine_world.clock)
    await engine_world.shadows.set({"a/1": NOON.replace(year=2200)})
    engine_world.clock.time = NOON.replace(year=2201)
    other = next(name for n in range(100) if owner(EXPIRER, {"me", name := f"other-{n}"}) == name)
    engine_world.share.among({other: ABLE})
    assert await expirer.expire() == 0
    engine_world.share.among({})
    assert await expirer.expire() == 1


async def test_a_daemon_whose_expirer_is_off_holds_no_office(engine_world):
    """Otherwise nobody would expire anything, though others could."""
    expirer = Expirer(engine_world.shadows, engine_world.share, engine_world.clock)
    await engine_world.shadows.set({"a/1": NOON.replace(year=2200)})
    engine_world.clock.time = NOON.replace(year=2201)
    other = next(name for n in range(100) if owner(EXPIRER, {"me", name := f"other-{n}"}) == name)
    engine_world.share.among({other: Ability(expires=False)})
    assert await expirer.expire() == 1
