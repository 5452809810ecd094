"""Shopify's webhooks through HTTP into a real mongod: whatever a version calls it, who has ordered is not reminded."""

from itertools import permutations

import pytest

from recovery.domain.state import Status
from recovery.mongo.data_requests import DataRequests
from tests.support.builders import report
from tests.support.shopify_world import (
    CART,
    CHECKOUTS_OF,
    LINES,
    LINK,
    LINK_OF_OLD,
    NUMBER,
    ORDERS_OF,
    SHOP,
    TOKEN,
    ShopWorld,
)


@pytest.fixture
def shop_world(database):
    return ShopWorld(database)


@pytest.mark.parametrize(
    ("left", "ordered", "legacy"),
    [
        (left, ordered, legacy)
        for left in (None, *sorted(CHECKOUTS_OF))
        for ordered in sorted(ORDERS_OF)
        for legacy in (None, LINK, LINK_OF_OLD)
        # The one names the number alone, the other the token alone: no version does both.
        if (left, ordered, legacy) != ("2026-04", "2008-01", None)
    ],
)
async def test_who_has_ordered_is_not_reminded(shop_world, left, ordered, legacy):
    """Any API versions may report the checkout and the order, in any order, whichever version stored it before."""
    if legacy:
        await shop_world.kept_by_an_older_version(legacy)
    told = [("checkouts/update", CHECKOUTS_OF[left])] if left else []
    told += [("orders/create", ORDERS_OF[ordered])]
    for sequence in permutations(told):
        for topic, payload in (*sequence, *sequence):
            await shop_world.send(topic, payload)
        assert {state.status for state in await shop_world.states()} == {Status.ORDERED}
        assert await shop_world.would_send() == []


@pytest.mark.parametrize("first", sorted(CHECKOUTS_OF))
@pytest.mark.parametrize("then", sorted(CHECKOUTS_OF))
@pytest.mark.parametrize("link", [LINK, LINK_OF_OLD])
async def test_one_checkout_is_one_checkout_whatever_it_is_called(shop_world, first, then, link):
    """An upgrade in mid-flight makes no second one, which would be reminded of from the beginning."""
    await shop_world.kept_by_an_older_version(link)
    for version in (first, then):
        later = {**CHECKOUTS_OF[version], "updated_at": "2124-05-01T10:00:00-04:00"}
        await shop_world.send("checkouts/update", later)
    (state,) = await shop_world.states()
    assert state.id == f"{SHOP}/{NUMBER}"
    await shop_world.send("orders/create", ORDERS_OF["2026-04"])
    (state,) = await shop_world.states()
    assert (state.status, await shop_world.would_send()) == (Status.ORDERED, [])


async def test_a_cart_that_was_ordered_is_reminded_of_by_none_of_its_checkouts(shop_world):
    """Of two checkouts of one cart one is ordered; the other's last words may come before that or after."""
    other = {**CHECKOUTS_OF["2026-04"], "token": "an0ther"}
    await shop_world.send("checkouts/create", other)
    await shop_world.send("orders/create", ORDERS_OF["2026-04"])
    await shop_world.send("checkouts/update", {**other, "token": "a-th1rd"})
    assert await shop_world.would_send() == []
    again = {**other, "token": "the-next", "updated_at": "2124-05-02T10:00:00-04:00"}
    await shop_world.send("checkouts/create", again)
    assert await shop_world.would_send() != [], "what is left after the order is another matter"


async def test_a_checkout_of_another_cart_is_another(shop_world):
    """Somebody who has ordered one is still reminded of the other."""
    await shop_world.send("checkouts/create", {**CHECKOUTS_OF["2026-04"], "token": "an0ther", "cart_token": "hers"})
    await shop_world.send("orders/create", ORDERS_OF["2026-04"])
    assert await shop_world.would_send() != []


@pytest.mark.parametrize(
    ("changes", "confirmed"),
    [
        ({}, True),
        ({"financial_status": "pending"}, False),
        ({"financial_status": "voided"}, False),
        ({"source_name": "pos"}, False),
        ({"source_name": "shopify_draft_order"}, False),
        ({"source_name": "iphone"}, False),
        ({"source_name": "129785"}, False),
        ({"source_name": "an app that writes orders", "checkout_token": None}, False),
        ({"source_name": "580111"}, True),
        ({"test": True}, False),
        ({"cancelled_at": "2024-05-01T11:10:00-04:00"}, False),
    ],
)
async def test_who_waits_for_no_confirmation_gets_none(database, changes, confirmed):
    """Drafts, sales over the counter, tests, cancelled and unpaid orders stop reminders, too."""
    shop_world = ShopWorld(database, confirms=True)
    await shop_world.send("checkouts/create", CHECKOUTS_OF["2026-04"])
    await shop_world.send("orders/create", {**ORDERS_OF["2026-04"], **changes})
    assert (await shop_world.would_send())[:1] == (["confirmation"] if confirmed else [])


async def test_an_order_is_confirmed_when_it_is_paid(database):
    """Not before, also where the finished checkout is told of first; and not where Shopify confirms it itself."""
    shop_world = ShopWorld(database, confirms=True)
    await shop_world.send("checkouts/update", {**CHECKOUTS_OF["2026-04"], "completed_at": "2024-05-01T11:00:00-04:00"})
    assert await shop_world.would_send() == []
    await shop_world.send("orders/create", {**ORDERS_OF["2026-04"], "financial_status": "pending"})
    assert await shop_world.would_send() == []
    await shop_world.send("orders/paid", ORDERS_OF["2026-04"])
    assert (await shop_world.would_send())[:1] == ["confirmation"]
    await shop_world.send("orders/cancelled", {**ORDERS_OF["2026-04"], "cancelled_at": "2024-05-02T11:00:00-04:00"})
    assert await shop_world.would_send() == []


async def test_shopify_s_orders_are_not_confirmed_unless_that_is_asked_for(shop_world):
    """Shopify does it."""
    await shop_world.send("orders/create", ORDERS_OF["2026-04"])
    assert await shop_world.would_send() == []


async def test_people_are_erased_and_their_requests_kept(shop_world):
    """Shopify's privacy demands are met: a data request waits for an operator, and redacted data is gone."""
    await shop_world.send("checkouts/create", CHECKOUTS_OF["2026-04"])
    person = {"shop_domain": SHOP, "customer": {"id": 1, "email": "BOB@example.com"}}
    asked = {**person, "orders_requested": [1, 2], "data_request": {"id": 9999}}
    for _ in range(2):
        await shop_world.send("customers/data_request", asked)
    requests = DataRequests(shop_world.database)
    (kept,) = await requests.find(done=False)
    assert (kept.id, kept.address, kept.orders) == (f"{SHOP}/9999", "bob@example.com", ("1", "2"))
    assert await requests.done(kept.id)
    assert await requests.find(done=False) == []
    assert len(await requests.find(done=True)) == 1
    await shop_world.send("customers/redact", person)
    assert await shop_world.states() == []
    assert await requests.find(done=True) == []


async def test_a_shop_that_is_gone_is_erased(shop_world):
    """Its own, and nobody else's."""
    await shop_world.send("checkouts/create", CHECKOUTS_OF["2026-04"])
    await shop_world.recovery.checkout(report("1", shop="b.myshopify.com"))
    await shop_world.send("shop/redact", {"shop_id": 1, "shop_domain": SHOP})
    assert [state.id for state in await shop_world.states()] == ["b.myshopify.com/1"]


@pytest.mark.parametrize("named", [{"id": NUMBER, "token": TOKEN}, {"id": NUMBER, "cart_token": CART}])
@pytest.mark.parametrize("kept", ["by an older version", *sorted(CHECKOUTS_OF)])
async def test_a_deleted_checkout_is_not_reminded_of(shop_world, kept, named):
    """However it is kept, and whatever Shopify calls it then: today it tells no token."""
    if kept in CHECKOUTS_OF:
        await shop_world.send("checkouts/create", CHECKOUTS_OF[kept])
    else:
        await shop_world.kept_by_an_older_version()
    await shop_world.send("checkouts/delete", named)
    assert await shop_world.would_send() == []


async def test_a_deleted_checkout_takes_none_of_the_same_cart_along(shop_world):
    """Where the deleted one is known by its number."""
    await shop_world.send("checkouts/create", CHECKOUTS_OF["2025-10"])
    await shop_world.send("checkouts/create", {**CHECKOUTS_OF["2025-10"], "token": "an0ther", "id": 2})
    await shop_world.send("checkouts/delete", {"id": NUMBER, "cart_token": CART})
    assert {state.id: state.status for state in await shop_world.states()} == {
        f"{SHOP}/{TOKEN}": Status.CANCELLED,
        f"{SHOP}/an0ther": Status.OPEN,
    }


@pytest.mark.parametrize("name", [TOKEN, str(NUMBER), CART])
async def test_a_checkout_is_found_by_all_its_names(shop_world, name):
    """A person who looks at a link in a mail sees the cart's; who looks at an order, the checkout's."""
    await shop_world.send("checkouts/create", CHECKOUTS_OF["2025-10"])
    state = await shop_world.recovery.get(SHOP, name)
    assert state.id == f"{SHOP}/{TOKEN}"
    assert await shop_world.recovery.get("b.myshopify.com", name) is None


async def test_a_shop_that_has_removed_the_app_reminds_nobody(shop_world):
    """It reports no orders any more: anyone who left something there may have bought it by now."""
    await shop_world.send("checkouts/create", CHECKOUTS_OF["2026-04"])
    await shop_world.recovery.checkout(report("1", shop="b.myshopify.com"))
    others = len(await shop_world.would_send()) // 2
    gone = {"id": 1, "domain": "a.example", "myshopify_domain": SHOP}
    await shop_world.send("app/uninstalled", gone)
    assert len(await shop_world.would_send()) == others
    late = {**CHECKOUTS_OF["2026-04"], "updated_at": "2024-05-01T10:01:00-04:00"}
    await shop_world.send("checkouts/update", late)
    assert len(await shop_world.would_send()) == others, "what was on its way then counts as left before"


async def test_a_shop_that_is_back_reminds_of_what_is_left_then(shop_world):
    """Its orders are reported again; what nobody has returned to may have been bought in between."""
    await shop_world.send("checkouts/create", CHECKOUTS_OF["2026-04"])
    await shop_world.send("checkouts/create", {**CHECKOUTS_OF["2026-04"], "token": "an0ther", "cart_token": "hers"})
    await shop_world.send("app/uninstalled", {"id": 1, "domain": "a.example", "myshopify_domain": SHOP})
    assert await shop_world.would_send() == []
    again = {**CHECKOUTS_OF["2026-04"], "updated_at": "2124-05-01T10:00:00-04:00"}
    await shop_world.send("checkouts/update", again)
    assert {state.id for state in await shop_world.states() if state.pause is None} == {f"{SHOP}/{TOKEN}"}
    assert len(await shop_world.would_send()) > 0


async def test_an_emptied_checkout_is_not_reminded_of_until_it_is_filled_again(shop_world):
    """In whichever order the three are delivered, and however often; nothing is cancelled for good."""
    filled = CHECKOUTS_OF["2026-04"]
    emptied = {**filled, "line_items": [], "updated_at": "2024-05-01T10:05:00-04:00"}
    refilled = {**filled, "updated_at": "2024-05-01T10:06:00-04:00"}
    await shop_world.send("checkouts/update", filled)
    for told in (emptied, filled, emptied):
        await shop_world.send("checkouts/update", told)
        assert await shop_world.would_send() == []
    for told in (refilled, emptied, filled):
        await shop_world.send("checkouts/update", told)
        assert await shop_world.would_send() != []
    await shop_world.send("carts/update", {"token": CART, "line_items": [], "updated_at": "2024-05-01T10:07:00-04:00"})
    assert await shop_world.would_send() == []


async def test_activity_in_a_cart_postpones_and_makes_nothing(shop_world):
    """A cart moves the reminders of its own checkouts, once and never back, and hides no later report of them."""

    def cart(at, token=CART):
        return {"token": token, "line_items": LINES, "updated_at": f"2024-05-01T{at}-04:00"}

    await shop_world.send("carts/update", cart("10:01:00"))
    assert await shop_world.states() == []
    await shop_world.send("checkouts/create", CHECKOUTS_OF["2026-04"])
    for at in ("10:20:00", "10:20:00", "10:10:00"):
        await shop_world.send("carts/update", cart(at))
    await shop_world.send("carts/update", cart("10:50:00", "another's"))
    (state,) = await shop_world.states()
    assert (state.left_at.isoformat(), state.revision) == ("2024-05-01T14:20:00+00:00", 2)
    changed = {**CHECKOUTS_OF["2026-04"], "total_price": "20.00", "updated_at": "2024-05-01T10:15:00-04:00"}
    await shop_world.send("checkouts/update", changed)
    (state,) = await shop_world.states()
    assert (str(state.facts.total), state.left_at.isoformat()) == ("20.00", "2024-05-01T14:20:00+00:00")
