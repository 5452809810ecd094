"""The short form of every scenario of the chaos harness. The long one is `python -m tests.chaos`."""

import asyncio

import pytest

from tests.chaos.checker import TooSlow
from tests.chaos.cluster import cluster
from tests.chaos.run import SCENARIOS, run
from tests.support.quiet_machine import MACHINE

SEED = 1
SINGLE = [scenario for scenario in SCENARIOS.values() if scenario.nodes == 1 and not scenario.by_hand]
THREE = [scenario for scenario in SCENARIOS.values() if scenario.nodes == 3 and not scenario.by_hand]


@pytest.fixture(scope="module")
def three_nodes():
    """A replica set of three for all scenarios that take its primary away."""
    with asyncio.Runner() as runner:
        context = cluster()
        yield runner.run(context.__aenter__())
        runner.run(context.__aexit__(None, None, None))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("scenario", SINGLE, ids=lambda scenario: scenario.name)
async def test_the_promise_is_kept(scenario, mongodb):
    """Whatever happens, the row of the scenario shows nothing broken."""
    row = await played(scenario, mongodb)
    assert row.broken == (), row


@pytest.mark.timeout(180)
@pytest.mark.parametrize("scenario", THREE, ids=lambda scenario: scenario.name)
async def test_the_promise_is_kept_on_three_nodes(scenario, three_nodes):
    """Whatever happens to the primary, the row of the scenario shows nothing broken."""
    row = await played(scenario, three_nodes.uri, three_nodes)
    assert row.broken == (), row


async def played(scenario, uri, cluster=None):
    """Play a scenario; where it was slow and nothing else, again with the machine for itself: six tests share it."""
    row = await run(scenario, uri, SEED, short=True, cluster=cluster)
    if row.broken and all(isinstance(sentence, TooSlow) for sentence in row.broken):
        with MACHINE.alone():
            row = await run(scenario, uri, SEED, short=True, cluster=cluster)
    return row
