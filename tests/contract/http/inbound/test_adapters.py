"""The endpoint of all adapters, shown with one of ten lines; and what every registered adapter must be."""

import base64
import hashlib
import hmac
import json
import re

import httpx
import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from recovery.app.factories import CannotStart, webhooks_of
from recovery.daemon.metrics import Telemetry
from recovery.domain.checkout import Checkout, Order
from recovery.domain.per_shop import PerShop
from recovery.http.app import create_app
from recovery.http.endpoints import LONGEST_WEBHOOK
from recovery.http.inbound.accesses import WebhookAccess
from recovery.http.middleware import DRAIN_LIMIT
from recovery.settings import Settings
from recovery.shops import ADAPTERS
from recovery.shops.adapter import Adapter, Trust, WebhookRequest
from recovery.shops.events import Ignored, Redact, Reported, Unmapped
from tests.support.builders import NOON
from tests.support.configurations import LONGEST_BODY
from tests.support.example_adapter import ExampleShop
from tests.support.feedback import feedback

SECRET = "hush"
CHECKOUT = {
    "event": "checkout",
    "order_id": "1042",
    "customer": {"email": "ada@example.com"},
    "items": [{"name": "City bike", "price": "499.00"}],
    "total": "499.00",
    "currency": "EUR",
    "checkout_url": "https://bikes.example/checkouts/1042",
}


NAMES = sorted([*(adapter.name for adapter in ADAPTERS), "elsewhere", "example", "several"])


class Elsewhere(ExampleShop):
    """An adapter with a fault: what it reports is of another shop than the one that was verified."""

    name = "elsewhere"

    def read(self, request):
        return [Redact("lamps.example")]


class Several(ExampleShop):
    """An adapter whose webhooks report several things at once, and which asks whether it is heard."""

    name, title = "several", "Several Shop"

    def read(self, request):
        given = request.json()
        orders = [Reported(Order(shop=request.shop, order_id=each)) for each in given["orders"]]
        faults = [Unmapped("lines", "are none")] if given.get("fault") else []
        return [*orders, *faults, *([Ignored("nothing")] if given.get("nothing") else [])]

    def is_ping(self, body, headers):
        return body == b"hello"


class Api:
    """The API with the example registered, and a client of it. Checkouts and orders are kept in `reports`."""

    def __init__(self):
        self.reports, self.erased, self.confirmed = [], [], []
        self.registry = CollectorRegistry()
        access = {name: WebhookAccess([SECRET]) for name in ("example", "elsewhere", "several", "shopify")}
        lamps = {"example": WebhookAccess(["old secret", "lamps' own"], confirm_orders=True)}
        app = create_app(
            self,
            feedback(),
            api_keys=(),
            webhooks=PerShop(access, {"lamps.example": lamps}),
            adapters=[*ADAPTERS, ExampleShop(), Elsewhere(), Several()],
            max_body=LONGEST_BODY,
            readiness=None,
            registry=self.registry,
            observer=Telemetry(self.registry),
        )
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="https://recovery.example")

    async def checkout(self, report, **options):
        """Keep a checkout, as the ingestion does."""
        self.reports.append(report)

    async def order(self, report, *, confirm_default, **options):
        """Keep an order, and whether it is to be confirmed."""
        self.reports.append(report)
        self.confirmed.append(confirm_default)

    async def erase_shop(self, shop):
        """Note that a shop is erased."""
        self.erased.append(shop)

    async def send(self, body, path="/webhooks/example/bikes.example", *, secret=SECRET):
        """Send a webhook as Example Shop does, signed."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        signature = hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()
        return await self.client.post(path, content=content, headers={"X-Example-Signature": signature})

    def counted(self, answer, kind="example"):
        """Return the number of reports with this answer."""
        return self.registry.get_sample_value("recovery_reports_total", {"kind": kind, "answer": answer})


@pytest.fixture
def api():
    return Api()


async def test_an_adapter_of_ten_lines_is_served(api):
    """A signed checkout and order are kept for the shop in the path, and counted under the adapter's name."""
    answer = await api.send(CHECKOUT)
    assert (answer.status_code, answer.json()) == (200, {"id": "bikes.example/1042"})
    await api.send({"event": "order", "order_id": "1042"})
    assert [(type(report), report.id) for report in api.reports] == [
        (Checkout, "bikes.example/1042"),
        (Order, "bikes.example/1042"),
    ]
    assert api.counted("accepted") == 2


@pytest.mark.parametrize("secret", ["guess", ""])
async def test_a_wrong_signature_is_refused(api, secret):
    """A webhook that another secret signed is answered 401, and nothing is kept."""
    answer = await api.send(CHECKOUT, secret=secret)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Example-Signature")
    assert answer.json()["detail"] == (
        "X-Example-Signature is not the signature of this body by the configured secret: check webhooks.secrets."
    )
    assert (api.reports, api.counted("401")) == ([], 1)


async def test_a_webhook_without_a_signature_is_not_read(api):
    """A caller without a secret cannot make the service take megabytes."""
    taken = 0

    async def body():
        nonlocal taken
        for _ in range(10 * DRAIN_LIMIT // 65536):
            taken += 65536
            yield b" " * 65536

    answer = await api.client.post("/webhooks/example/bikes.example", content=body())
    assert (answer.status_code, taken <= 2 * 65536) == (401, True)


async def test_a_shop_has_secrets_of_its_own(api):
    """Each of a shop's secrets is accepted; the one for all shops is not, where a shop has its own."""
    path = "/webhooks/example/lamps.example"
    assert (await api.send(CHECKOUT, path, secret="lamps' own")).status_code == 200
    assert (await api.send(CHECKOUT, path, secret="old secret")).status_code == 200
    assert (await api.send(CHECKOUT, path)).status_code == 401


async def test_orders_are_confirmed_only_where_the_settings_say_so(api):
    """A platform confirms its orders itself, so an adapter that says nothing about it confirms none by default."""
    order = {"event": "order", "order_id": "1042"}
    await api.send(order)
    await api.send(order, "/webhooks/example/lamps.example", secret="lamps' own")
    assert api.confirmed == [False, True]


async def test_a_webhook_may_report_several_things(api):
    """Each is carried out, in their order, and what could not be read of it is told; the answer names the first."""
    path = "/webhooks/several/bikes.example"
    with capture_logs() as lines:
        answer = await api.send({"orders": ["1", "2"], "fault": True}, path)
    assert (answer.status_code, answer.json()) == (200, {"id": "bikes.example/1"})
    assert [report.id for report in api.reports] == ["bikes.example/1", "bikes.example/2"]
    assert [(line["event"], line["field"]) for line in lines] == [("webhook not understood", "lines")]
    assert api.counted("unmapped", "several") == 1
    assert (await api.send({"orders": [], "nothing": True}, path)).json() == {"ignored": "nothing"}
    assert (await api.send({"orders": []}, path)).json() == {"ignored": "nothing follows from it"}


@pytest.mark.parametrize(
    ("body", "path", "status"),
    [
        (b"hello", "/webhooks/several/bikes.example", 200),
        (b"hallo", "/webhooks/several/bikes.example", 401),
        (b"hello", "/webhooks/example/bikes.example", 401),
        (b"hello", "/webhooks/several/lamps.example", 404),
    ],
)
async def test_a_platform_may_ask_whether_it_is_heard(api, body, path, status):
    """An unsigned question is answered where the platform asks one and has a secret, and changes nothing."""
    answer = await api.client.post(path, content=body)
    assert answer.status_code == status
    assert status != 200 or "ignored" in answer.json()
    assert api.reports == []


async def test_only_a_short_question_is_read(api):
    """Without a signature, no body is read that is long, or does not say how long it is."""

    async def hello():
        yield b"hello"

    path = "/webhooks/several/bikes.example"
    assert (await api.client.post(path, content=hello())).status_code == 401
    assert (await api.client.post(path, content=b"hello", headers={"Content-Length": "5000"})).status_code == 401
    assert (await api.client.post(path, content=b"hello", headers={"Content-Length": "-5"})).status_code == 401


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (
            "/webhooks/exmaple/bikes.example",
            f"There is no platform of this name. Use one of: {', '.join(NAMES)}.",
        ),
        (
            "/webhooks/shopify/lamps.example",
            "No secret for Shopify's webhooks is configured: set shopify.webhook_secret.",
        ),
        (
            "/webhooks/woocommerce/bikes.example",
            "No secret for WooCommerce's webhooks is configured: set webhooks.secrets.",
        ),
        ("/webhooks/example/a%20b", "The last part of this address is not a valid shop."),
    ],
)
async def test_an_unknown_adapter_or_shop_is_a_404(api, path, sentence):
    """The problem says which part of the address is wrong."""
    answer = await api.send(CHECKOUT, path)
    assert (answer.status_code, answer.json()["detail"]) == (404, sentence)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/webhooks/example", "/webhooks/example/", "/webhooks/example/a/b"])
async def test_a_path_needs_one_shop(api, path):
    """Only a platform whose requests name their shop is served without one in the path."""
    assert (await api.send(CHECKOUT, path)).status_code == 404


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"nope", "body: is not a JSON object"),
        (b"[]", "body: is not a JSON object"),
        ({**CHECKOUT, "total": "much"}, "total: "),
        ({"event": "refund"}, "this event is not about a checkout"),
    ],
)
async def test_a_webhook_that_cannot_be_read_is_answered_200(api, body, reason):
    """Platforms drop subscriptions that fail: the answer, the log and the metrics tell the reason."""
    with capture_logs() as lines:
        answer = await api.send(body)
    assert (answer.status_code, answer.json()["ignored"].startswith(reason)) == (200, True)
    (line,) = lines
    assert (line["adapter"], line["shop"]) == ("example", "bikes.example")
    assert line["event"] == ("webhook ignored" if reason.startswith("this") else "webhook not understood")
    assert (api.counted("unmapped") or 0) + (api.counted("ignored") or 0) == 1


async def test_a_webhook_may_be_long(api):
    """Every adapter may send more than other callers, and not without end."""
    assert (await api.send({**CHECKOUT, "padding": "x" * 1_000_000})).status_code == 200
    assert (await api.send(b" " * (LONGEST_WEBHOOK + 1))).status_code == 413


async def test_an_adapter_cannot_report_another_shop(api):
    """The secret of one shop opens no other, whatever the adapter makes of the body."""
    answer = await api.send({}, "/webhooks/elsewhere/bikes.example")
    assert answer.json()["ignored"] == "shop: is not the shop that the signature was verified for"
    assert api.erased == []


@pytest.mark.parametrize(
    ("path", "domain", "kept"),
    [
        ("/webhooks/shopify/A.myshopify.com", "a.myshopify.com", True),
        ("/webhooks/shopify/a.myshopify.com", None, True),
        ("/webhooks/shopify/a.myshopify.com", "b.myshopify.com", False),
        ("/webhooks/shopify", "a.myshopify.com", True),
    ],
)
async def test_shopify_is_served_with_a_shop_in_the_path_as_well(api, path, domain, kept):
    """The shop is in the path or in the header; where both name one, it must be the same."""
    order = b'{"id": 8, "checkout_token": "t0k3n", "line_items": []}'
    signature = base64.b64encode(hmac.digest(SECRET.encode(), order, "sha256")).decode()
    headers = {"X-Shopify-Hmac-Sha256": signature, "X-Shopify-Topic": "orders/create"}
    answer = await api.client.post(
        path, content=order, headers=headers | ({"X-Shopify-Shop-Domain": domain} if domain else {})
    )
    assert answer.status_code == 200
    assert [report.id for report in api.reports] == (["a.myshopify.com/t0k3n"] if kept else [])


@pytest.mark.parametrize("adapter", [*ADAPTERS, ExampleShop()], ids=lambda adapter: adapter.name)
def test_every_adapter_keeps_the_rules(adapter):
    """Its name fits into a path, a label and the settings, and without secrets nothing is verified."""
    assert isinstance(adapter, Adapter)
    assert re.fullmatch(r"[a-z][a-z0-9_-]{0,49}", adapter.name)
    assert adapter.title
    assert adapter.name not in ("checkout", "order", "bounce")  # other kinds of reports in the metrics
    name = adapter.signature_header.lower()
    for headers, secrets in (({}, []), ({}, [SECRET]), ({name: ""}, [SECRET]), ({name: "é"}, [SECRET])):
        assert adapter.signature_fault(b"{}", headers, Trust(NOON, secrets))
    assert adapter.shop_of({}, "bikes.example") == "bikes.example"


def test_no_two_adapters_share_a_name():
    """The name is the path."""
    assert len({adapter.name for adapter in ADAPTERS}) == len(ADAPTERS)


def test_a_request_knows_its_json():
    """Half a character in a note, as a cut in the middle of an emoji leaves it, costs no order."""
    assert WebhookRequest("bikes.example", rb'{"note": "thanks \ud83d"}').json() == {"note": "thanks ?"}


def test_secrets_come_from_the_settings_by_the_name_of_the_adapter():
    """A new platform needs no setting of its own: its name is the key."""
    settings = Settings(
        webhooks={
            "secrets": '{"example": ["new", "old"]}',
            "confirm_orders": "example",
            "checkout_urls": {"example": "https://bikes.example/c?id={id}"},
            "addresses": {"saleor": "https://bikes.example/"},
        },
        shopify={"webhook_secret": ["shopify's", "its old one"]},
        shops={"lamps": {"webhooks": {"secrets": {"example": "lamps"}}}},
    )
    settings = settings.with_shops({"lamps": Settings(webhooks={"secrets": {"example": "lamps"}})})
    accesses = webhooks_of(settings, [*ADAPTERS, ExampleShop()])
    assert accesses.of_shop("bikes") == {
        "example": WebhookAccess(["new", "old"], confirm_orders=True, checkout_url="https://bikes.example/c?id={id}"),
        "saleor": WebhookAccess([], address="https://bikes.example"),
        "shopify": WebhookAccess(["shopify's", "its old one"]),
    }
    assert accesses.of_shop("lamps") == {"example": WebhookAccess(["lamps"])}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("exmaple", "no adapter exmaple is configured here; there are: example"), ("shopify", r"set \[shopify\] instead")],
)
def test_a_setting_for_an_unknown_adapter_is_refused(name, sentence):
    """A slip of the finger is not silent."""
    with pytest.raises(CannotStart, match=sentence):
        webhooks_of(Settings(webhooks={"secrets": {name: "x"}}), [*ADAPTERS, ExampleShop()])


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"secrets": {"saleor": "x"}}, "saleor signs with its own keys; set webhooks.addresses"),
        ({"addresses": {"stripe": "https://a.example"}}, "stripe signs with a secret; set webhooks.secrets"),
    ],
)
def test_a_setting_that_a_platform_has_no_use_for_is_refused(given, sentence):
    """The endpoint would not be there, and nobody would know why."""
    with pytest.raises(CannotStart, match=sentence):
        webhooks_of(Settings(webhooks=given))
