"""A comparison of two schedules, by daemons that are killed: each person by one of them, and by no other."""

import asyncio
import json
from collections import Counter
from datetime import timedelta
from email import message_from_bytes

import pytest

from recovery import Customer
from recovery.domain.state import MessageState
from tests.acceptance.conftest import STEPS
from tests.acceptance.test_daemon import at_rest
from tests.support.builders import report

COUNT = 30
LATER = [{"name": "reminder-1", "delay": "4s", "max_lateness": "50s"}]
DELAYS = {
    "a": {"reminder-1": timedelta(seconds=1), "reminder-2": timedelta(seconds=3)},
    "b": {"reminder-1": timedelta(seconds=4)},
}


@pytest.fixture
def settings(tmp_path):
    """The settings of every daemon."""
    path = tmp_path / "recovery.toml"
    path.write_text(
        f'[suppressions]\nkeys = ["{"k" * 32}"]\n'
        '[experiments.later]\nshare = 0.5\nuntil = "2999-12-31"\n'
        f"steps = [{{ {', '.join(f'{name} = {json.dumps(value)}' for name, value in LATER[0].items())} }}]\n"
    )
    return {"RECOVERY_CONFIG": str(path)}


async def test_each_arm_keeps_its_schedule_through_kill_9(world, settings):
    """Killed when arm a has its first mails and b waits, and again later: all mails are due by the arm's own delays."""
    assert [step["name"] for step in STEPS] == list(DELAYS["a"])
    async with world.daemon(**settings) as daemon:
        await asyncio.gather(
            *(
                world.recovery.checkout(report(str(n), customer=Customer(email=f"p{n}@example.com")))
                for n in range(COUNT)
            )
        )
        await world.relay.wait_for(3, 30)
        await daemon.kill()
    at_first = await claimed(world)
    async with world.daemon(**settings) as daemon:
        await world.relay.wait_for(COUNT // 2, 30)
        await daemon.kill()
    again = await claimed(world)
    arms: Counter[str] = Counter()
    lost = set()
    async with world.daemon(**settings):
        for n in range(COUNT):
            state = await at_rest(world, str(n))
            [arm] = state.experiments.values()
            arms[arm] += 1
            assert {step: each.due_at - state.touched_at for step, each in state.messages.items()} == DELAYS[arm]
            lost |= {(n, step) for step, each in state.messages.items() if each.state is not MessageState.SENT}
    assert set(arms) == {"a", "b"}
    # What was being sent at both deaths may have been taken twice: it is given up, and is a dead letter.
    assert {n for n, _ in lost} <= at_first & again
    ids = Counter(message_from_bytes(mail.content)["Message-ID"] for mail in world.relay.mails)
    assert 0 <= 2 * arms["a"] + arms["b"] - len(ids) <= len(lost)
    assert sum(ids.values()) - len(ids) <= len(at_first) + len(again)


async def claimed(world):
    """Return the numbers of the checkouts of which a message was being sent when the daemon died."""
    states = [await world.recovery.get("shop.example", str(n)) for n in range(COUNT)]
    return {n for n, state in enumerate(states) if state.claim is not None}
