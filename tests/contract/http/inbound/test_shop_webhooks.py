"""Webhooks of shop platforms."""

import base64
import hashlib
import hmac
import json

import pytest
from structlog.testing import capture_logs

from recovery.client import Unavailable
from recovery.http.endpoints import LONGEST_WEBHOOK
from recovery.http.middleware import DRAIN_LIMIT
from tests.support.api import SECRET, SHOPIFY, Api, chunks, problem
from tests.support.collected import collected


async def test_webhook_is_kept(api):
    """A signed webhook is stored without an API key, and answered with 200."""
    answer = await api.webhook(SHOPIFY, Authorization="")
    assert (answer.status_code, answer.json()) == (200, {"id": "a.myshopify.com/7"})
    (report,) = api.ingestion.reports
    assert report.customer.email == "bob@example.com"


async def test_sample_webhooks_are_kept():
    """The documented checkout and order go in through the webhook, the order by an alias of the checkout."""
    api = Api()
    (left,) = json.loads(collected("shopify", "checkouts.json").read_text())["checkouts"]
    ordered = json.loads(collected("shopify", "order.json").read_text())["order"]
    assert (await api.webhook(left)).status_code == 200
    assert (await api.webhook(ordered, topic="orders/create")).status_code == 200
    assert [report.id for report in api.ingestion.reports] == [
        "a.myshopify.com/2a1ace52255252df566af0faaedfbfa7",
        "a.myshopify.com/450789469",
    ]


async def test_webhook_needs_a_right_signature(api):
    """A webhook signed with another secret is answered with 401, and nothing is stored."""
    problem(await api.webhook(SHOPIFY, secret="guess"), 401)
    assert api.ingestion.reports == []


async def test_webhook_needs_a_signature(api):
    """A webhook without a signature is answered with 401, whatever its body."""
    answer = await api.post("/webhooks/shopify", b"nope")
    problem(answer, 401)
    assert "www-authenticate" in answer.headers


@pytest.mark.parametrize("secret", [None, ""])
async def test_webhook_is_not_there_without_a_secret(secret):
    """Without a configured secret there is no webhook endpoint, rather than one that anyone can sign for."""
    api = Api(secret=secret)
    problem(await api.webhook(SHOPIFY, secret=""), 404)
    assert api.ingestion.reports == []


async def test_webhook_is_open_by_any_name_without_keys():
    """A webhook has its own signature, so it may come through a tunnel even without an API key."""
    api = Api(api_keys=())
    assert (await api.webhook(SHOPIFY, Host="tunnel.example")).status_code == 200


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (SHOPIFY, {"X-Shopify-Topic": "products/create"}),
        (SHOPIFY, {"X-Shopify-Test": "true"}),
        ({**SHOPIFY, "email": None}, {}),
    ],
)
async def test_webhook_may_be_ignored(api, body, headers):
    """Other topics, the test button and checkouts without an address are answered 200, so nobody repeats them."""
    answer = await api.webhook(body, **headers)
    assert answer.status_code == 200
    assert answer.json()["ignored"]
    assert api.ingestion.reports == []


@pytest.mark.parametrize(
    ("body", "field"),
    [({**SHOPIFY, "total_price": None}, "total_price"), (b"nope", "body"), (b"[]", "body"), (b'{"a":' * 9000, "body")],
)
async def test_what_cannot_be_read_is_no_failure_to_shopify(api, body, field):
    """A webhook that cannot be read is answered 200 with the reason, since subscriptions that fail are dropped."""
    with capture_logs() as lines:
        answer = await api.webhook(body)
    assert (answer.status_code, api.ingestion.reports) == (200, [])
    assert answer.json()["ignored"].startswith(f"{field}: ")
    assert api.counted("shopify", "unmapped") == 1
    (line,) = lines
    assert (line["event"], line["shop"], line["field"]) == ("webhook not understood", "a.myshopify.com", field)


async def test_an_order_of_any_size_ends_its_checkout(api):
    """A thousand lines, each with its taxes, are more than other reports may have; the first are kept."""
    line = {"title": "Nano", "price": "10.00", "quantity": 1, "tax_lines": [{"title": "x" * 4000}]}
    order = {"id": 8, "checkout_token": "t0k3n", "line_items": [line] * 1000, "total_price": "1", "currency": "USD"}
    assert len(json.dumps(order)) > 4_000_000
    assert (await api.webhook(order, topic="orders/create")).json() == {"id": "a.myshopify.com/t0k3n"}
    assert len(api.ingestion.reports[0].items) == 200
    assert (await api.webhook({**SHOPIFY, "line_items": [line] * 1000})).json() == {"id": "a.myshopify.com/7"}


async def test_a_webhook_without_a_signature_is_not_read(api):
    """Without a signature, a large body is not read."""
    taken = 0

    async def body():
        nonlocal taken
        async for chunk in chunks(10 * DRAIN_LIMIT):
            taken += len(chunk)
            yield chunk

    headers = {"Content-Type": "application/json"}
    problem(await api.client.post("/webhooks/shopify", content=body(), headers=headers), 401)
    assert taken <= 2 * 64 * 1024


async def test_a_webhook_beyond_all_bounds_is_refused(api):
    """Even a signed one has a limit."""
    problem(await api.webhook(b" " * (LONGEST_WEBHOOK + 1)), 413)


@pytest.mark.parametrize("family", ["X-Shopify-", "Shopify-", "x-shopify-"])
async def test_either_family_of_headers_is_understood(family):
    """Shopify's events come without the X, and shops in any case of letters."""
    api = Api()
    content = json.dumps(SHOPIFY).encode()
    signature = base64.b64encode(hmac.new(SECRET.encode(), content, hashlib.sha256).digest()).decode()
    headers = {"Topic": "checkouts/create", "Shop-Domain": "A.MyShopify.com", "Hmac-Sha256": signature}
    sent = {f"{family}{name}": value for name, value in headers.items()}
    answer = await api.client.post("/webhooks/shopify", content=content, headers=sent)
    assert answer.json() == {"id": "a.myshopify.com/7"}


PERSON = {"id": 1, "email": "john@example.com", "phone": "555"}


async def test_what_shopify_demands_for_people_is_carried_out(api):
    """A 200 tells Shopify that it was done: people and shops are erased, and requests kept."""
    await api.webhook({"customer": PERSON, "orders_to_redact": [1]}, topic="customers/redact")
    await api.webhook({"shop_id": 1, "shop_domain": "a.myshopify.com"}, topic="shop/redact")
    assert api.ingestion.erased == [("john@example.com", "a.myshopify.com"), (None, "a.myshopify.com")]
    asked = {"shop_id": 1, "customer": PERSON, "orders_requested": [299938], "data_request": {"id": 9999}}
    await api.webhook(asked, topic="customers/data_request")
    assert api.ingestion.requests == [("a.myshopify.com", "9999", "john@example.com", ("299938",))]
    nobody = await api.webhook({"shop_id": 1, "customer": {"id": 1}}, topic="customers/redact")
    assert "names nobody" in nobody.json()["ignored"]


ABOUT_SHOPS = ["customers/redact", "shop/redact", "customers/data_request", "app/uninstalled"]


def about_shop(topic, shop):
    """Return the body of a topic that names its shop."""
    more = {
        "customers/redact": {"customer": PERSON, "orders_to_redact": [1]},
        "customers/data_request": {"customer": PERSON, "data_request": {"id": 9999}},
    }
    return {"shop_domain": shop, **more.get(topic, {})}


def shops_reached(api):
    """Return the shops that were erased, left, or asked for a person's data."""
    kept = api.ingestion
    return [*(shop for _, shop in kept.erased), *kept.left, *(shop for shop, *_ in kept.requests)]


@pytest.mark.parametrize("topic", ABOUT_SHOPS)
@pytest.mark.parametrize(
    ("header", "signed", "shop"),
    [
        ("a.myshopify.com", "A.myshopify.com", "a.myshopify.com"),
        ("", "a.myshopify.com", "a.myshopify.com"),
        ("a.myshopify.com", "b.myshopify.com", None),
        ("", "", None),
        ("a/b", "", None),
    ],
)
async def test_a_shop_is_erased_only_by_its_own_word(api, topic, header, signed, shop):
    """The body is signed and the header is not: where they differ nothing is done, and that is told."""
    answer = await api.webhook(about_shop(topic, signed), topic=topic, **{"X-Shopify-Shop-Domain": header})
    assert answer.status_code == 200
    assert shops_reached(api) == ([shop] if shop else [])
    assert (api.counted("shopify", "unmapped") or 0) == (shop is None)


@pytest.mark.parametrize("topic", ABOUT_SHOPS)
@pytest.mark.parametrize("header", ["", "lamps.myshopify.com"])
@pytest.mark.parametrize("signed", ["lamps.myshopify.com", "Lamps.myshopify.com"])
async def test_a_shop_with_a_secret_of_its_own_is_reached_by_no_other(topic, header, signed):
    """Who holds the secret of all shops cannot act on one that has its own, even if only the signed body names it."""
    api = Api(own_secrets={"lamps.myshopify.com": "lamps' own"})
    body = about_shop(topic, signed)
    problem(await api.webhook(body, topic=topic, **{"X-Shopify-Shop-Domain": header}), 401)
    assert shops_reached(api) == []


@pytest.mark.parametrize(("secret", "reached"), [("", []), (SECRET, ["lamps.myshopify.com"])])
async def test_a_shop_named_by_the_body_alone_is_reached_by_its_secret(secret, reached):
    """A shop whose own secret is that of all shops is reached without the header; one that has none is not there."""
    api = Api(own_secrets={"lamps.myshopify.com": secret})
    headers = {"X-Shopify-Shop-Domain": ""}
    answer = await api.webhook({"shop_domain": "lamps.myshopify.com"}, topic="shop/redact", **headers)
    assert (answer.status_code, shops_reached(api)) == (200 if reached else 404, reached)


CONFIRMED = {
    "id": 8,
    "financial_status": "paid",
    "checkout_token": "t0k3n",
    "email": "bob@example.com",
    "line_items": [],
}
REQUEST = {"shop_domain": "a.myshopify.com", "customer": PERSON, "data_request": {"id": 9999}}
REDACTION = {"shop_domain": "a.myshopify.com", "customer": PERSON, "orders_to_redact": [1]}
UPDATED = {**PERSON, "email_marketing_consent": {"state": "subscribed"}}


@pytest.mark.parametrize(
    ("body", "topic"),
    [
        (SHOPIFY, "orders/create"),
        (SHOPIFY, "customers/redact"),
        (SHOPIFY, "shop/redact"),
        (SHOPIFY, "app/uninstalled"),
        (CONFIRMED, "checkouts/create"),
        (CONFIRMED, "checkouts/delete"),
        (CONFIRMED, "shop/redact"),
        (REQUEST, "customers/redact"),
        (REQUEST, "shop/redact"),
        (REQUEST, "app/uninstalled"),
        (REDACTION, "shop/redact"),
        (REDACTION, "customers/data_request"),
        (UPDATED, "shop/redact"),
        ({**SHOPIFY, "customer": UPDATED}, "customers/update"),
    ],
)
async def test_a_body_is_not_taken_as_another_topic(api, body, topic):
    """The body is signed and its topic is not: what was overheard erases nobody, and orders nothing."""
    answer = await api.webhook(body, topic=topic)
    assert "the body of another topic" in answer.json()["ignored"]
    assert api.counted("shopify", "unmapped") == 1
    done = (api.ingestion.reports, api.ingestion.cancelled, api.ingestion.erased, api.ingestion.left)
    assert done == ([], [], [], [])
    assert api.ingestion.requests == []


async def test_an_order_is_one_whatever_else_it_has(api):
    """An order is never missed because of another field: that would mean a reminder after the purchase."""
    order = {**CONFIRMED, "abandoned_checkout_url": "https://a.example/recover"}
    assert (await api.webhook(order, topic="orders/create")).json() == {"id": "a.myshopify.com/t0k3n"}


async def test_half_a_character_loses_no_order(api):
    """A lone surrogate, as of a note cut within an emoji, is invalid JSON, but the order is still read."""
    body = rb'{"id": 8, "checkout_token": "t0k3n", "note": "thanks \ud83d", "line_items": []}'
    assert (await api.webhook(body, topic="orders/create")).json() == {"id": "a.myshopify.com/t0k3n"}
    whole = rb'{"id": 8, "checkout_token": "t0k4n", "customer": {"first_name": "\ud83d\ude00", "email": "a@b.example"}}'
    await api.webhook(whole, topic="orders/create")
    assert api.ingestion.reports[-1].customer.name == "😀"
    deep = b'{"a": ' * 100_000 + rb'"\ud83d"' + b"}" * 100_000
    assert "body" in (await api.webhook(deep, topic="orders/create")).json()["ignored"]


async def test_a_deleted_checkout_is_cancelled(api):
    """A deleted checkout is cancelled under each of its aliases."""
    assert (await api.webhook({"id": 7, "token": "t0k3n"}, topic="checkouts/delete")).status_code == 200
    assert api.ingestion.cancelled == [("a.myshopify.com", "t0k3n"), ("a.myshopify.com", "7")]


async def test_webhook_while_the_database_is_away(api):
    """While the database is unavailable, a webhook is answered with 503, so Shopify repeats it."""
    api.ingestion.fault = Unavailable("away")
    problem(await api.webhook(SHOPIFY), 503)
