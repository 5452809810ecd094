"""Several checkouts of one address, which is not to be written to about each of them at once."""

import time
from itertools import pairwise

from tests.chaos.checker import TOO_EARLY, Promise
from tests.chaos.scenarios import scenario
from tests.chaos.world import World

GAP = 3.0
CHECKOUTS = 3
"""Of one address, all due at one instant."""


@scenario("one-address", "three checkouts of each address due at one instant, two daemons")
async def one_address(world: World) -> Promise:
    """Whichever daemon has which of them: one mail, and the next when the least gap has passed."""
    count = world.size(300, 100)
    world.settings |= {
        "RECOVERY_SCHEDULE__MIN_GAP_PER_ADDRESS": f"{GAP:g}s",
        "RECOVERY_DAEMON__IN_FLIGHT": "100",
        "RECOVERY_DAEMON__HAND_OVER_WITHIN": "900ms",
    }
    # Claims that take this long are all asked for before any can be seen.
    slow = world.failing(["update"], collection="checkouts", blockConnection=True, blockTimeMS=200, appName="recovery")
    world.delays = {"reminder-1": world.size(8, 4)}
    async with world.daemon(), world.daemon():
        touched_at = time.time()
        names = {
            f"c{number}-{which}": f"c{number}@example.com" for which in range(CHECKOUTS) for number in range(count)
        }
        await world.report_all(names, lambda: touched_at, email=names.get)
        async with slow:
            await world.settle()
    times: dict[str, list[float]] = {}
    for mail in world.relay.mails:
        times.setdefault(mail.recipient, []).append(mail.at)
    between = [later - earlier for at in times.values() for earlier, later in pairwise(sorted(at))]
    crowded = sum(gap < GAP - TOO_EARLY for gap in between)
    world.expect(not crowded, f"{crowded} times an address got two mails within the least gap")
    if between:
        world.notes.append(f"{len(times)} addresses, {min(between):.2f} s between two mails to one at the least")
    return Promise()
