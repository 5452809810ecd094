"""The clock: time as the primary's, with a bound on the error."""

from datetime import UTC, timedelta

from recovery.mongo.clock import MongoClock


async def test_the_clock_is_the_server_s(engine_world):
    """Time is the server's, whatever this machine's wall clock says, and goes on by the monotonic one."""
    seconds = 5000.0
    clock = MongoClock(engine_world.database, lambda: seconds)
    before = (await engine_world.database.command("hello"))["localTime"].replace(tzinfo=UTC)
    await clock.measure()
    measured = clock.now()
    after = (await engine_world.database.command("hello"))["localTime"].replace(tzinfo=UTC)
    assert before <= measured <= after
    seconds += 60
    assert clock.now() == measured + timedelta(seconds=60)


async def test_a_slow_answer_does_not_spoil_the_clock(engine_world):
    """An answer that took long is not trusted over a quick one of a moment ago, but over one of long ago it is."""
    readings = []
    clock = MongoClock(engine_world.database, lambda: readings.pop(0) if len(readings) > 1 else readings[0])

    async def measure(*round_trips, at):
        readings[:] = [moment for seconds in round_trips for moment in (at, at + seconds)]
        await clock.measure()
        readings[:] = [10.0]
        return clock.now()

    quick = await measure(0.001, 0.001, 0.001, at=0.0)
    assert await measure(4, 4, 4, at=5.0) == quick
    assert await measure(4, 4, 4, at=100_000.0) != quick


async def test_the_first_answer_may_be_slow(engine_world):
    """The first answer comes over a connection that has to be made; a quicker one after it sets the clock right."""
    readings = [0.0, 8.0, 8.0, 8.0]
    clock = MongoClock(engine_world.database, lambda: readings.pop(0) if len(readings) > 1 else readings[0])
    before = (await engine_world.database.command("hello"))["localTime"].replace(tzinfo=UTC)
    await clock.measure()
    after = (await engine_world.database.command("hello"))["localTime"].replace(tzinfo=UTC)
    assert before <= clock.now() <= after
