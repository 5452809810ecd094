"""Pauses of sending: once a pause is acknowledged nothing more is claimed, and after it everything is sent once."""

import asyncio
import time
from datetime import UTC, datetime

from recovery.mongo.pauses import Pauses
from tests.chaos.checker import Promise
from tests.chaos.scenarios import scenario
from tests.chaos.world import SHOP, World

STILL_GOES = 1.0
"""Seconds after which what was claimed before a pause has gone: half a second, and the way to the relay."""

PAUSED_FOR = 5.0


@scenario("paused-in-burst", "sending paused in the middle of a burst, and resumed, two daemons")
async def paused_in_burst(world: World) -> Promise:
    """Nothing is handed over that was claimed after the acknowledgement; everything is sent once, afterwards."""
    count = world.size(1500, 500)
    pauses = Pauses(world.database)
    # Heartbeats are so rare that the claims themselves must find the pause, of the shop or of all sending.
    world.settings |= {"RECOVERY_DAEMON__HEARTBEAT": "3s", "RECOVERY_DAEMON__HEARTBEAT_EXPIRY": "10s"}
    world.relay.pause = 0.05
    shop = world.rng.choice([SHOP, None])
    async with world.daemon(), world.daemon():
        touched_at = time.time()
        await world.report_all([f"c{number}" for number in range(count)], lambda: touched_at)
        await world.taken(count // 5)
        await world.insist(lambda: pauses.pause(shop, "chaos", "", datetime.now(UTC)))
        paused_at = time.time()
        await asyncio.sleep(STILL_GOES)
        claimed = await world.in_hand()
        await asyncio.sleep(PAUSED_FOR - STILL_GOES)
        claimed |= await world.in_hand()
        resumed_at = time.time()
        world.expect(not claimed, f"{len(claimed)} messages are claimed although sending is paused")
        late = [mail for mail in world.relay.mails if paused_at + STILL_GOES < mail.handed_at < resumed_at]
        world.expect(not late, f"{len(late)} mails were handed over more than {STILL_GOES:g} s after the pause")
        left = count - len(world.relay.mails)
        world.expect(left > 0, "the burst was over before the pause: nothing was tried")
        await world.insist(lambda: pauses.resume(shop))
        world.healed()
        await world.settle(120)
    world.notes.append(f"{left} of {count} mails waited for the end of the pause")
    return Promise(recover_within=30)
