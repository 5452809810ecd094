"""The clock: time as the primary's, with a bound on the error."""

from datetime import UTC, datetime, timedelta

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


async def test_a_slow_answer_does_not_spoil_the_clock():
    """An answer that took long is not trusted over a quick one of a moment ago, but over one of long ago it is."""
    server = SlowServer()
    clock = MongoClock(server, lambda: server.seconds)

    async def measure(*, there, back, after):
        server.seconds += after
        server.there, server.back = there, back
        await clock.measure()
        return clock.now() - server.time()

    assert await measure(there=0.0, back=0.0, after=0.0) == timedelta(0)
    assert await measure(there=3, back=1, after=5) == timedelta(0)
    assert await measure(there=3, back=1, after=100_000) == timedelta(seconds=1)


class SlowServer:
    """A server whose answers take so many seconds there and back."""

    def __init__(self):
        self.seconds = self.there = self.back = 0.0

    def time(self):
        return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    async def command(self, name):
        self.seconds += self.there
        answer = {"localTime": self.time().replace(tzinfo=None)}
        self.seconds += self.back
        return answer


async def test_the_first_answer_may_be_slow(engine_world):
    """The first answer comes over a connection that has to be made; a quicker one after it sets the clock right."""
    readings = [0.0, 8.0, 8.0, 8.0]
    clock = MongoClock(engine_world.database, lambda: readings.pop(0) if len(readings) > 1 else readings[0])
    before = (await engine_world.database.command("hello"))["localTime"].replace(tzinfo=UTC)
    await clock.measure()
    after = (await engine_world.database.command("hello"))["localTime"].replace(tzinfo=UTC)
    assert before <= clock.now() <= after
