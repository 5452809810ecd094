"""Signed webhooks of shop platforms, delivered to a kit."""

from importlib import import_module
from importlib.util import find_spec

import pytest

from recovery.shops import ADAPTERS
from recovery.testing import RecoveryKit
from recovery.testing.webhooks import Cart, Webhook, shopify, stripe
from tests.support.kits import BEGINNING, steps

NAMES = [adapter.name for adapter in ADAPTERS]


def samples(name):
    return import_module(f"recovery.testing.webhooks.{name}")


@pytest.mark.parametrize("name", NAMES)
def test_each_adapter_has_samples(name):
    """There is a module for each adapter, named as it is."""
    assert find_spec(f"recovery.testing.webhooks.{name}"), f"write recovery/testing/webhooks/{name}.py: see shopify.py"


@pytest.mark.parametrize("name", NAMES)
async def test_a_sample_is_what_the_platform_sends(name):
    """Its signature is right, it is read, a reminder goes out, and the order ends reminders."""
    kit = RecoveryKit()
    cart = Cart(email="bea@example.com", item="Reading lamp")
    answer = await kit.deliver(samples(name).checkout(cart))
    assert (answer.status, answer.json().keys()) == (200, {"id"})
    await kit.advance(hours=2)
    [mail] = kit.mails
    assert (mail.to, mail.step) == ("bea@example.com", "reminder-1")
    assert "Reading lamp" in mail.text
    answer = await kit.deliver(samples(name).order(cart))
    assert (answer.status, answer.json().keys()) == (200, {"id"})
    await kit.advance(days=4)
    assert "reminder-2" not in steps(kit)


@pytest.mark.parametrize("name", NAMES)
async def test_a_sample_that_was_changed_is_refused(name):
    """One other byte in the body, and the signature no longer fits."""
    sample = samples(name).checkout()
    answer = await RecoveryKit().deliver(Webhook(sample.path, sample.headers, sample.body.replace(b"1", b"2", 1)))
    assert answer.status == 401


async def test_fields_of_the_body_can_be_put_in():
    """A test may add to a platform's body, or replace what is in it."""
    kit = RecoveryKit()
    await kit.deliver(shopify.checkout(Cart(order_id="7"), shop="b.myshopify.com", line_items=[]))
    assert await kit.get("b.myshopify.com", "7") is None
    await kit.deliver(shopify.checkout(Cart(order_id="7", more={"customer_locale": "de"}), shop="b.myshopify.com"))
    await kit.advance(hours=1)
    assert steps(kit) == ["reminder-1"]
    assert (await kit.get("b.myshopify.com", "7")).facts.locale == "de"


@pytest.mark.parametrize(("began", "mails"), [(-600, []), (600, ["reminder-1"])])
async def test_a_session_that_was_left_for_another_one_causes_no_mail(began, mails):
    """Shops open a session for each press of a button; that one of them expires is heard of when another is paid."""
    kit = RecoveryKit(schedule={"stop_on": "customer"})
    await kit.deliver(stripe.order(Cart(order_id="cs_2")))
    await kit.advance(hours=20)
    await kit.deliver(stripe.checkout(Cart(order_id="cs_1"), created=int(BEGINNING.timestamp()) + began))
    await kit.advance(hours=2)
    assert steps(kit) == mails
