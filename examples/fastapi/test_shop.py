"""Tests of the shop: whom Recovery writes to, and when it stops."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from recovery.testing import RecoveryKit
from shop import SHOP, create_app

CART = {"email": "ada@example.com", "name": "Ada", "lamp": "Arc floor lamp"}


@pytest_asyncio.fixture
async def browser(recovery: RecoveryKit) -> AsyncIterator[httpx.AsyncClient]:
    """A customer's browser."""
    transport = httpx.ASGITransport(create_app(recovery))
    async with httpx.AsyncClient(transport=transport, base_url=f"https://{SHOP}") as client:
        yield client


@pytest.mark.asyncio
async def test_who_leaves_is_reminded_of_the_lamp(browser: httpx.AsyncClient, recovery: RecoveryKit) -> None:
    """Half an hour after the customer has left, the first reminder names the lamp and leads back to it."""
    await browser.put("/checkouts/1042", json=CART)
    [mail] = await recovery.advance(minutes=30)
    assert mail.to == "ada@example.com"
    assert "Arc floor lamp" in mail.text
    assert await recovery.click(mail) == f"https://{SHOP}/checkouts/1042"


@pytest.mark.asyncio
async def test_who_pays_is_not_reminded(browser: httpx.AsyncClient, recovery: RecoveryKit) -> None:
    """After the order there is a confirmation, and nothing else."""
    answer = await browser.put("/checkouts/1042", json=CART)
    await browser.post(answer.json()["pay"])
    await recovery.advance(days=4)
    assert [mail.step for mail in recovery.mails] == ["confirmation"]


@pytest.mark.asyncio
async def test_the_shop_sells_without_the_database(browser: httpx.AsyncClient, recovery: RecoveryKit) -> None:
    """A checkout that cannot be reported is a checkout all the same."""
    with recovery.database_unavailable():
        answer = await browser.put("/checkouts/1042", json=CART)
    assert answer.status_code == 200
