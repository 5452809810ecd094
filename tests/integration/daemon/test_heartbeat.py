"""Heartbeats: shares of the work, and an unavailable database."""

import asyncio
from datetime import timedelta

from recovery.daemon.heartbeat import Heartbeat
from recovery.daemon.share import ABLE, Ability
from recovery.mongo.daemons import Daemons
from tests.support.builders import state
from tests.support.services import DUE


async def test_what_its_daemon_cannot_send_falls_to_one_that_can(engine_world):
    """A daemon that cannot reach the relay of some shops keeps its share of the others alone."""
    ids = [f"{shop}/{n}" for shop in ("a.example", "b.example") for n in range(40)]
    sick_for_b = Ability(sick=frozenset({"b.example"}))
    engine_world.share.among({"other": sick_for_b})
    of_a, of_b = ([engine_world.share.mine(id_) for id_ in ids if id_.startswith(shop)] for shop in "ab")
    assert all(of_b)
    assert not all(of_a)
    engine_world.share.among({"other": Ability(sick=frozenset({"*"}), well=frozenset({"a.example"}))})
    assert [engine_world.share.mine(id_) for id_ in ids if id_.startswith("a")] == of_a
    engine_world.share.among({"other": sick_for_b}, own=sick_for_b)
    assert not all(engine_world.share.mine(id_) for id_ in ids if id_.startswith("b")), "where nobody can, all share"
    engine_world.share.among({}, own=sick_for_b)
    assert all(map(engine_world.share.mine, ids)), "who is alone does what it can"


async def test_what_is_very_late_is_everybody_s(engine_world):
    """A daemon that lives and does nothing keeps its share for no longer than twice the expiry of its heartbeat."""
    await engine_world.put(*(state(str(n), next_at=DUE) for n in range(40)))
    engine_world.sweep._everybodys = lambda _: True
    engine_world.share.among({"other": ABLE})
    engine_world.clock.time = DUE + timedelta(seconds=19)
    await engine_world.sweep.audit()
    await engine_world.quiet()
    assert 5 < len(engine_world.relay.taken) < 35
    engine_world.clock.time = DUE + timedelta(seconds=21)
    await engine_world.sweep.audit()
    await engine_world.quiet()
    assert len(engine_world.relay.taken) == 40


async def test_a_heartbeat_says_what_lasts(engine_world):
    """A fault of one moment moves no shares; one that is there at the next beat as well does, until it is over."""
    clock = engine_world.clock
    clock.measure = lambda: asyncio.sleep(0)
    daemons = Daemons(engine_world.database)
    ability = Ability(sick=frozenset({"*"}))
    beat = {"interval": timedelta(seconds=2), "expiry": timedelta(seconds=10)}
    heart = Heartbeat(daemons, engine_world.share, lambda: None, clock, ability=lambda: ability, **beat)
    says = []
    for now in (ability, ability, Ability()):
        ability = now
        await heart.beat()
        says.append((await daemons.alive(clock.now(), timedelta(seconds=10)))["me"].get("sick"))
    assert says == [None, ["*"], None]


async def test_a_start_asks_for_no_second_sweep(engine_world):
    """Streams that are not open at the first beat are a fault of one moment: the sweep of the start is enough."""
    clock = engine_world.clock
    clock.measure = lambda: asyncio.sleep(0)
    ability = Ability(sick=frozenset({"*"}))
    beat = {"interval": timedelta(seconds=0.1), "expiry": timedelta(seconds=10)}
    shared = []
    beats = asyncio.Queue()

    def able() -> Ability:
        beats.put_nowait(ability)
        return ability

    heart = Heartbeat(
        Daemons(engine_world.database), engine_world.share, lambda: shared.append(1), clock, ability=able, **beat
    )
    await heart.beat()
    running = asyncio.create_task(heart.run())
    for _ in range(10):
        await asyncio.sleep(0)
    ability = Ability()
    async with asyncio.timeout(5):
        while await beats.get() != ability:
            pass
        await beats.get()  # the beat before is whole
    running.cancel()
    assert not shared


async def test_a_database_that_does_not_answer_at_all_is_told_of(engine_world):
    """A frozen server raises nothing: that the last answer was long ago is the fault."""
    clock = engine_world.clock
    clock.measure = lambda: asyncio.sleep(0)
    now = 0.0
    beat = {"interval": timedelta(seconds=2), "expiry": timedelta(seconds=10)}
    heart = Heartbeat(
        Daemons(engine_world.database), engine_world.share, lambda: None, clock, monotonic=lambda: now, **beat
    )
    await heart.beat()
    now = 9.0
    assert heart.fault is None
    now = 12.0
    assert heart.fault == "MongoDB has not answered for 12 s"


async def test_heartbeats_share_the_work(engine_world):
    """A daemon that joins is shared with, one that is silent for too long no more, and each change asks for a sweep."""
    clock = engine_world.clock
    clock.measure = lambda: asyncio.sleep(0)
    daemons = Daemons(engine_world.database)
    beat = {"interval": timedelta(seconds=2), "expiry": timedelta(seconds=10)}
    heart = Heartbeat(daemons, engine_world.share, engine_world.engine.behind.set, clock, **beat)
    await heart.beat()
    assert not engine_world.engine.behind.is_set()
    await daemons.beat("other", clock.now(), {})
    await heart.beat()
    assert engine_world.share.daemons == {"me", "other"}
    assert engine_world.engine.behind.is_set()
    clock.time += timedelta(seconds=11)
    await heart.beat()
    assert engine_world.share.daemons == {"me"}
