"""A relay that is down, and one that says what relays say."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from recovery.engine.breaker import LONGEST_PAUSE
from tests.chaos.checker import Promise
from tests.chaos.ledger import Key
from tests.chaos.relay import Relay
from tests.chaos.scenarios import scenario
from tests.chaos.world import LEASE, World


@scenario("relay-down", "relay down for a minute")
async def relay_down(world: World) -> Promise:
    """Nothing is sent, no attempt is counted, readiness names the relay; then all is sent."""
    count, seconds = world.size(500, 60), world.size(60, 5)
    world.settings["RECOVERY_SCHEDULE__MAX_ATTEMPTS"] = "2"
    async with world.daemon() as daemon:
        await world.report_all([f"c{number}" for number in range(count)])
        await world.taken(count // 10)
        await world.relay.fail()
        await asyncio.sleep(seconds)
        status, checks = await daemon.ready()
        world.expect(status == 503 and bool(checks["relay"]), f"readiness says {status} {checks['relay']}")
        tried = await daemon.metric("recovery_attempts_total", outcome="connection", step="reminder-1")
        most = count + PROBES
        world.expect(tried <= most, f"{tried:.0f} connections were tried in {seconds} s, where at most {most} may be")
        await world.relay.listen()
        world.healed()
        await world.settle(100)
    attempts = await _attempts(world)
    burnt = sum(attempts[key] - 1 for key in attempts)
    # A message whose answer the cut swallowed is not known to be refused: that attempt counts.
    cut = 10
    world.expect(burnt <= cut, f"{burnt} attempts were counted, where {cut} connections were cut")
    return Promise(recover_within=2 * seconds + 10)


PROBES = 20
"""Connections that may be tried of a relay that is down, beside one for each message that was claimed before that."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One misbehaviour: how it is declared on the relay, and how a message that meets it must end."""

    name: str
    declare: Callable[[Relay, str], None]
    state: str
    attempts: int
    reason: str = ""


ANSWERS = (
    Answer("421", lambda r, to: r.answer("RCPT", "421 4.3.2 closing", times=2, recipient=to), "sent", 1),
    Answer("450", lambda r, to: r.answer("RCPT", "450 4.2.0 greylisted", times=2, recipient=to), "sent", 3),
    Answer("450-for-ever", lambda r, to: r.answer("RCPT", "450 4.2.0 no", times=None, recipient=to), "dead", 4,
           "attempts used up"),
    Answer("550", lambda r, to: r.answer("RCPT", "550 5.1.1 no such user", times=None, recipient=to), "dead", 1,
           "dead address"),
    Answer("554", lambda r, to: r.answer("DOT", "554 5.6.0 not like this", times=None, recipient=to), "dead", 1,
           "dead message"),
    Answer("hang-after-dot", lambda r, to: r.hang_at("DOT", recipient=to), "sent", 2),
    Answer("close-in-data", lambda r, to: r.close_at("DATA-BODY", recipient=to), "sent", 2),
    Answer("close-at-rcpt", lambda r, to: r.close_at("RCPT", times=2, recipient=to), "sent", 1),
    Answer("hang-at-rcpt", lambda r, to: r.hang_at("RCPT", recipient=to), "sent", 1),
)  # fmt: skip
"""The table of what an answer means. What is written in full before the relay goes away may have been taken."""


@scenario("relay-answers", "relay answering 421, 450, 550, 554, hanging, closing")
async def relay_answers(world: World) -> Promise:
    """Each answer ends as the table says, and nobody else is the worse for it."""
    each, others = world.size(20, 2), world.size(300, 30)
    world.settings |= {"RECOVERY_SCHEDULE__MAX_ATTEMPTS": "4", "RECOVERY_SMTP__CONNECTIONS": "20"}
    meant = {}
    for answer in ANSWERS:
        for number in range(each):
            name = f"{answer.name}-{number}"
            answer.declare(world.relay, f"{name}@example.com")
            meant[Key(f"shop.example/{name}", "reminder-1")] = answer
    names = [*(f"c{number}" for number in range(others)), *(key.checkout.partition("/")[2] for key in meant)]
    world.rng.shuffle(names)
    async with world.daemon():
        await world.report_all(names)
        await world.settle(world.size(120, 60))
    ends, attempts = await world.ends(), await _attempts(world)
    for key, answer in meant.items():
        state, reason = ends.get(key, ("", ""))
        as_meant = (answer.state, answer.attempts, answer.reason)
        found = (state, attempts.get(key, 0), reason)
        world.expect(found == as_meant, f"{key.checkout} ended as {found}, where {as_meant} was meant")
    return Promise(dead=sum(answer.state == "dead" for answer in meant.values()))


@scenario("relay-lost-skip", "relay hanging after the dot, skip")
async def relay_lost_skip(world: World) -> Promise:
    """What the relay may have taken is given up in plain sight, never tried again."""
    count = world.size(20, 4)
    world.settings["RECOVERY_SCHEDULE__ON_AMBIGUOUS"] = "skip"
    for number in range(count):
        world.relay.hang_at("DOT", recipient=f"c{number}@example.com")
    names = [f"c{number}" for number in range(3 * count)]
    world.rng.shuffle(names)
    async with world.daemon():
        await world.report_all(names)
        await world.taken(2 * count, 30)
        await asyncio.sleep(LEASE)
        await world.report("after")  # so that the relay is known to be well again
        # Each probe that is swallowed doubles the pause before the next.
        await world.settle(world.size(4, 1) * LONGEST_PAUSE)
    dead = {reason for state, reason in (await world.ends()).values() if state == "dead"}
    world.expect(dead == {"lost after the dot"}, f"they are dead of {dead}")
    return Promise(dead=count)


async def _attempts(world: World) -> dict[Key, int]:
    found = {}
    async for document in world.database["checkouts"].find({}, {"messages": 1}):
        for step, message in document.get("messages", {}).items():
            found[Key(document["_id"], step)] = message["attempts"]
    return found
