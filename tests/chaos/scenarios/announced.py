"""Messages announced behind the content of another, at relays that hang up on that or lose what is behind it."""

import time

from tests.chaos.checker import LOST, Promise
from tests.chaos.scenarios import scenario
from tests.chaos.world import SHOP, World

CONNECTIONS = 5


async def _burst(world: World, count: int) -> list[str]:
    """Have so many reminders due at one instant, far more than there are connections; return the outcomes beside 250.

    Each must be sent by its first attempt that is counted, unless it is dead.
    """
    world.settings["RECOVERY_SMTP__CONNECTIONS"] = str(CONNECTIONS)
    touched_at = time.time()
    async with world.daemon() as daemon:
        await world.report_all([f"c{number}" for number in range(count)], lambda: touched_at)
        await world.settle()
        outcomes = ("dropped", "connection", "our fault", "ambiguous")
        found = [each for each in outcomes if await daemon.metric(_ATTEMPTS, outcome=each, step="reminder-1")]
    enough = world.relay.announced > 0
    world.expect(enough, "no message was announced behind another: this proves nothing")
    checkouts = world.database["checkouts"].find({"messages.reminder-1.attempts": {"$ne": 1}}, {"_id": 1})
    again = [each["_id"] async for each in checkouts]
    world.expect(not again, f"{len(again)} took another number of attempts than one: {again[:3]}")
    world.notes.append(f"{world.relay.announced} announced behind a content")
    return found


_ATTEMPTS = "recovery_attempts_total"


@scenario("cut-after-content", "relay hanging up on the content of some, others announced behind it, skip")
async def cut_after_content(world: World) -> Promise:
    """Only the message whose content is on the wire is in doubt; the one behind it goes over another connection."""
    count, doubtful = world.size(800, 150), world.size(16, 4)
    world.settings["RECOVERY_SCHEDULE__ON_AMBIGUOUS"] = "skip"
    chosen = {f"c{number}" for number in world.rng.sample(range(count), doubtful)}
    for name in chosen:
        world.relay.close_at("DOT", recipient=f"{name}@example.com")
    found = await _burst(world, count)
    world.expect(set(found) <= {"ambiguous"}, f"some attempts ended as {found}")
    dead = {key.checkout for key, end in (await world.ends()).items() if end == ("dead", LOST)}
    wrong = sorted(dead ^ {f"{SHOP}/{name}" for name in chosen})
    world.expect(not wrong, f"{len(wrong)} were given up, or not, though the relay hung up on others: {wrong[:5]}")
    return Promise(dead=doubtful)


async def _dropped(world: World) -> Promise:
    world.relay.drops_announced = True
    found = await _burst(world, world.size(600, 200))
    world.expect(not found, f"some attempts ended as {found}")
    most, announced = 2 * CONNECTIONS, world.relay.announced
    told = f"{announced} messages were announced behind another in vain, where {most} may be"
    world.expect(announced <= most, told)
    return Promise()


@scenario("announced-ignored", "relay that offers PIPELINING, and ignores what comes behind a content")
async def announced_ignored(world: World) -> Promise:
    """What it does not answer is announced again elsewhere; soon nothing is announced behind a content any more."""
    return await _dropped(world)


@scenario("announced-refused", "relay that offers PIPELINING, and answers 503 to what comes behind a content")
async def announced_refused(world: World) -> Promise:
    """The same."""
    world.relay.says_of_announced = "503 5.5.1 bad sequence of commands"
    return await _dropped(world)
