"""Consent by Shopify's webhooks, through HTTP into a real mongod: who says no is not reminded, until they say yes."""

import pytest

from recovery import Customer
from recovery.domain.decision import Send, decide
from tests.support.builders import minutes, report, schedule
from tests.support.shopify_world import CHECKOUTS_OF, ShopWorld


@pytest.fixture
def shop_world(database):
    return ShopWorld(database)


@pytest.mark.parametrize(
    ("said", "reminded"),
    [
        ({"buyer_accepts_marketing": False}, True),
        ({"customer": {"email_marketing_consent": {"state": "not_subscribed"}}}, True),
        ({"customer": {"email_marketing_consent": {"state": "unsubscribed"}}}, False),
        ({"buyer_accepts_marketing": True, "customer": {"email_marketing_consent": {"state": "unsubscribed"}}}, False),
    ],
)
async def test_a_no_is_heeded(shop_world, said, reminded):
    """A customer who unsubscribed at Shopify is not reminded; an unticked box is not a refusal."""
    await shop_world.send("checkouts/create", {**CHECKOUTS_OF["2026-04"], **said})
    assert bool(await shop_world.would_send()) == reminded


async def test_a_yes_counts_where_consent_is_required(shop_world):
    """With its time and its kind, as the shop would show it."""
    consent = {"state": "subscribed", "opt_in_level": "confirmed_opt_in", "consent_updated_at": "2024-01-01T00:00:00Z"}
    said = {"customer": {"email": "bob@example.com", "email_marketing_consent": consent}}
    await shop_world.send("checkouts/create", {**CHECKOUTS_OF["2026-04"], **said})
    (state,) = await shop_world.states()
    assert (state.consent.given, state.consent.basis, state.consent.source) == (True, "confirmed opt in", "Shopify")
    decision = decide(state, schedule(require_consent=True), state.touched_at + minutes(31))
    assert isinstance(decision, Send)


def consent_of(state, at="2124-05-01T10:00:00Z"):
    return {"state": state, "opt_in_level": "single_opt_in", "consent_updated_at": at}


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("customers_email_marketing_consent/update", {"customer_id": 7, "email_address": "Bob@example.com"}),
        ("customers/update", {"id": 7, "email": "Bob@example.com"}),
    ],
)
async def test_who_unsubscribes_at_shopify_is_not_reminded_of_what_is_open(shop_world, topic, payload):
    """Until they subscribe again; and nobody else is touched."""
    await shop_world.send("checkouts/create", CHECKOUTS_OF["2026-04"])
    await shop_world.send("checkouts/create", {**CHECKOUTS_OF["2026-04"], "token": "hers", "email": "eve@example.com"})
    await shop_world.recovery.checkout(report("1", shop="b.myshopify.com", customer=Customer(email="bob@example.com")))
    everybody = len(await shop_world.would_send())
    await shop_world.send(topic, {**payload, "email_marketing_consent": consent_of("unsubscribed", at=None)})
    assert len(await shop_world.would_send()) * 3 == everybody * 2
    await shop_world.send(topic, {**payload, "email_marketing_consent": consent_of("subscribed")})
    assert len(await shop_world.would_send()) == everybody


async def reminded_with_consent_only(shop_world):
    (state,) = await shop_world.states()
    return isinstance(decide(state, schedule(require_consent=True), state.touched_at + minutes(31)), Send)


async def test_a_box_that_is_unticked_again_takes_the_yes_back(shop_world):
    """It is no refusal, where none is required; and an old report that comes again brings no yes back."""
    ticked = {**CHECKOUTS_OF["2026-04"], "buyer_accepts_marketing": True}
    unticked = {**ticked, "buyer_accepts_marketing": False, "updated_at": "2024-05-01T10:05:00-04:00"}
    again = {**ticked, "updated_at": "2024-05-01T10:06:00-04:00"}
    for payload, reminded in ((ticked, True), (unticked, False), (ticked, False), (again, True), (unticked, True)):
        await shop_world.send("checkouts/update", payload)
        assert await reminded_with_consent_only(shop_world) == reminded
    await shop_world.send("checkouts/update", {**unticked, "updated_at": "2024-05-01T10:07:00-04:00"})
    assert not await reminded_with_consent_only(shop_world)
    assert await shop_world.would_send() != []


async def test_a_box_that_is_left_alone_is_no_way_back_from_a_no(shop_world):
    """A customer who unsubscribed stays unsubscribed, even if later checkouts say nothing."""
    said = {"email_address": "bob@example.com", "email_marketing_consent": consent_of("unsubscribed", at=None)}
    await shop_world.send("checkouts/create", CHECKOUTS_OF["2026-04"])
    await shop_world.send("customers_email_marketing_consent/update", said)
    unticked = {"buyer_accepts_marketing": False, "updated_at": "2124-05-01T10:05:00-04:00"}
    await shop_world.send("checkouts/update", {**CHECKOUTS_OF["2026-04"], **unticked})
    assert await shop_world.would_send() == []


async def test_consent_that_waits_for_its_confirmation_is_none_yet(shop_world):
    """The box is ticked, and Shopify still waits for the click in the mail that asks whether it was them."""
    pending = {"buyer_accepts_marketing": True, "customer": {"email_marketing_consent": consent_of("pending")}}
    await shop_world.send("checkouts/create", {**CHECKOUTS_OF["2026-04"], **pending})
    assert not await reminded_with_consent_only(shop_world)
    assert await shop_world.would_send() != []
