"""Tests of the shop: whom Recovery writes to, and when it stops."""

from collections.abc import Iterator

import pytest
from django.test import Client, override_settings

import shop
from recovery.testing import RecoveryKit

CART = {"email": "ada@example.com", "name": "Ada", "lamp": "Arc floor lamp"}


@pytest.fixture
def browser(recovery: RecoveryKit) -> Iterator[Client]:
    """A customer's browser."""
    with override_settings(RECOVERY=lambda: recovery.sync):
        yield Client(headers={"Host": shop.SHOP})


def test_who_leaves_is_reminded_of_the_lamp(browser: Client, recovery: RecoveryKit) -> None:
    """Half an hour after the customer has left, the first reminder names the lamp and leads back to it."""
    browser.put("/checkouts/1042", CART, content_type="application/json")
    [mail] = recovery.sync.advance(minutes=30)
    assert mail.to == "ada@example.com"
    assert "Arc floor lamp" in mail.text
    assert recovery.sync.click(mail) == f"https://{shop.SHOP}/checkouts/1042"


def test_who_pays_is_not_reminded(browser: Client, recovery: RecoveryKit) -> None:
    """After the order there is a confirmation, and nothing else."""
    answer = browser.put("/checkouts/1042", CART, content_type="application/json")
    browser.post(answer.json()["pay"])
    recovery.sync.advance(days=4)
    assert [mail.step for mail in recovery.mails] == ["confirmation"]


def test_the_shop_sells_without_the_database(browser: Client, recovery: RecoveryKit) -> None:
    """A checkout that cannot be reported is a checkout all the same."""
    with recovery.database_unavailable():
        answer = browser.put("/checkouts/1042", CART, content_type="application/json")
    assert answer.status_code == 200
