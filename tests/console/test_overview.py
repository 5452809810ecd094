"""The overview, while it is open."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.builders import report
from tests.support.console_world import LAMPS_ONLY, OPERATOR, console_world, tab


@pytest.fixture
async def world(mongodb, database, relay):
    """A daemon whose relay may have one mail a day."""
    smtp = {"host": relay.host, "port": relay.port, "tls": "none", "rate": "1/d"}
    async with console_world(mongodb, database, relay, smtp=smtp) as world:
        yield world


async def test_it_tells_what_is_due_while_it_is_open(browser, world):
    async with tab(browser, world) as opened:
        await opened.sign_in(OPERATOR)
        figures = opened.page.locator("#figures")
        assert "nothing waits" in await figures.inner_text()
        await _overdue(world, "shop.example")
        await figures.get_by_text("the oldest since").wait_for()
        await opened.page.locator("#state").get_by_text("mongodb").wait_for()


async def test_without_a_script_it_tells_the_same(browser, world):
    await _overdue(world, "shop.example")
    async with tab(browser, world, javascript=False) as opened:
        await opened.sign_in(OPERATOR)
        assert "the oldest since" in await opened.page.locator("#figures").inner_text()
        assert "console-test" in await opened.page.locator("#state").inner_text()


async def test_a_key_of_one_shop_sees_nothing_of_the_others(world):
    await _overdue(world, "shop.example")
    async with world.client(LAMPS_ONLY) as client:
        page = (await client.get("/console")).text
    assert "nothing waits" in page
    assert "Daemons" not in page


async def test_the_daemon_stops_although_an_overview_is_open(world):
    async with world.client(OPERATOR) as client, client.stream("GET", "/console/live") as answer:
        parts = answer.aiter_lines()
        assert await anext(parts) == "event: part"
        world.stop.set()
        async with asyncio.timeout(30):
            async for _ in parts:
                pass


async def _overdue(world, shop: str) -> None:
    """Leave a checkout due: of the two that are, the relay may have one a day."""
    for order_id in ("1", "2"):
        left_at = datetime.now(UTC) - timedelta(minutes=33)
        await world.recovery.checkout(
            report(order_id, shop=shop, customer={"email": f"{order_id}@example.com"}, touched_at=left_at)
        )
    async with asyncio.timeout(30):
        while not world.relay.mails:
            await asyncio.sleep(0.01)
