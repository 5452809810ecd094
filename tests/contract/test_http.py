"""The HTTP side, against an ingestion in memory."""

import asyncio
import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter
from structlog.testing import capture_logs

from recovery.client import Unavailable
from recovery.domain.checkout import Checkout, Facts, checkout_id
from recovery.domain.per_shop import PerShop
from recovery.domain.state import CheckoutState, Claim, Message, MessageState, Past, Status
from recovery.http.app import LONGEST_WEBHOOK, create_app
from recovery.http.inbound.shop_webhooks import ShopifyShop
from recovery.http.keys import unscoped
from recovery.http.middleware import DRAIN_LIMIT
from recovery.http.security import is_loopback, refusal
from recovery.mongo.data_subjects import Receipt
from tests.builders import feedback
from tests.collected import collected

KEY = "k-1234567890"
SECRET = "hush"
AT = datetime(2026, 3, 1, 13, 5, tzinfo=UTC)

CHECKOUT = {
    "shop": "bikes.example",
    "order_id": "1042",
    "customer": {"email": "ada@example.com", "name": "Ada"},
    "items": [{"name": "City bike", "price": "499.00"}],
    "total": "504.90",
    "currency": "EUR",
    "checkout_url": "https://bikes.example/checkouts/1042",
}
ORDER = {"shop": "bikes.example", "order_id": "1042"}


class FakeIngestion:
    """An ingestion in memory that can be made to fail."""

    def __init__(self):
        self.reports = []
        self.cancelled = []
        self.left = []
        self.erased = []
        self.requests = []
        self.states = {}
        self.fault = None

    async def checkout(self, report, *, aliases=None, cart=None):
        """Keep a checkout."""
        self._keep(report)

    async def order(self, report, *, aliases=None, cart=None, confirm_default=True):
        """Keep an order."""
        self._keep(report)

    async def erase_shop(self, shop):
        """Note that a shop is erased."""
        self._fail()
        self.erased.append((None, shop))

    async def request_data(self, shop, id_, email, orders=()):
        """Note a request."""
        self._fail()
        self.requests.append((shop, id_, email, orders))

    async def cancel(self, shop, order_id, *, aliases=(), cart=None):
        """Note that a checkout is cancelled."""
        self._fail()
        self.cancelled += [(shop, each) for each in (order_id, *aliases)]
        return checkout_id(shop, order_id) in self.states

    async def cancel_shop(self, shop):
        """Note that a shop has left."""
        self._fail()
        self.left.append(shop)
        return 0

    async def get(self, shop, order_id):
        """Return what was put there."""
        self._fail()
        return self.states.get(checkout_id(shop, order_id))

    async def export(self, email, *, shop=None):
        """Return whom it was asked of."""
        self._fail()
        return {"email": email, "shop": shop}

    async def erase(self, email, *, shop=None):
        """Return a receipt of one checkout."""
        self._fail()
        self.erased.append((email, shop))
        return Receipt((f"{shop}/1",), (), 1)

    def _keep(self, report):
        self._fail()
        self.reports.append(report)

    def _fail(self):
        if self.fault is not None:
            raise self.fault


class House:
    """The application with its fakes, and a client of it."""

    def __init__(self, *, api_keys=(KEY,), keys=(), secret=SECRET, base_url="http://localhost", **options):
        self.ingestion = FakeIngestion()
        self.checks = {"mongodb": None}
        self.registry = CollectorRegistry()
        self.app = create_app(
            self.ingestion,
            feedback(),
            api_keys=[*keys, *unscoped(api_keys)],
            shopify=PerShop(ShopifyShop(secret)),
            readiness=self._readiness,
            registry=self.registry,
            **options,
        )
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {api_keys[0]}"} if api_keys else {}
        self.client = httpx.AsyncClient(transport=transport, base_url=base_url, headers=headers)

    async def _readiness(self):
        return self.checks

    async def post(self, path, body, **headers):
        """Send JSON, or bytes said to be JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.client.post(path, content=content, headers={"Content-Type": "application/json", **headers})

    async def webhook(self, body, *, topic="checkouts/create", secret=SECRET, **headers):
        """Send a webhook as Shopify does, signed."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        signature = base64.b64encode(hmac.new(secret.encode(), content, hashlib.sha256).digest()).decode()
        sent = {
            "X-Shopify-Topic": topic,
            "X-Shopify-Shop-Domain": "a.myshopify.com",
            "X-Shopify-Hmac-Sha256": signature,
        }
        return await self.client.post("/webhooks/shopify", content=content, headers={**sent, **headers})

    def counted(self, kind, answer):
        """Return how many reports of this kind were answered so."""
        return self.registry.get_sample_value("recovery_reports_total", {"kind": kind, "answer": answer})


@pytest.fixture
def house():
    return House()


def problem(answer, status):
    """Return the problem that an answer tells, having seen that it is one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == status
    assert told["type"].startswith("urn:recovery:problem:")
    assert told["title"]
    assert told["detail"]
    return told


# Reports


async def test_checkout_is_kept(house):
    """A reported checkout reaches the ingestion, and the answer says under which id and where to watch it."""
    answer = await house.post("/checkout", CHECKOUT)
    assert answer.status_code == 202
    assert answer.json() == {"id": "bikes.example/1042"}
    assert answer.headers["location"] == "/checkouts/bikes.example/1042"
    assert house.ingestion.reports == [Checkout(**CHECKOUT)]


async def test_order_is_kept(house):
    """A reported order reaches the ingestion."""
    answer = await house.post("/order", {**ORDER, "ordered_at": "2026-03-01T14:05:00+01:00"})
    assert (answer.status_code, answer.json()) == (202, {"id": "bikes.example/1042"})
    (report,) = house.ingestion.reports
    assert report.ordered_at == AT


async def test_location_leads_to_the_checkout(house):
    """The location in the answer to a report is the address of that checkout, whatever its key is made of."""
    key = "a/b c?d#é%2F"
    house.ingestion.states[f"bikes.example/{key}"] = state(_id=f"bikes.example/{key}")
    answer = await house.post("/checkout", {**CHECKOUT, "order_id": key})
    shown = await house.client.get(answer.headers["location"])
    assert shown.json()["id"] == f"bikes.example/{key}"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"items": [{"name": "City bike", "price": "cheap"}]}, "items.0.price"),
        ({"items": []}, "items"),
        ({"items": {"name": "City bike"}}, "items"),
        ({"items": [["City bike"]]}, "items.0"),
        ({"items": [{"name": "City bike", "price": "1"}] * 201}, "items"),
        ({"items": [{"name": "x" * 301, "price": "1"}]}, "items.0.name"),
        ({"items": [{"name": "City bike", "price": "1", "quantity": 1e30}]}, "items.0.quantity"),
        ({"items": [{"name": "City bike", "price": "1", "url": "http://["}]}, "items.0.url"),
        ({"customer": None}, "customer"),
        ({"customer": {"email": "nobody"}}, "customer.email"),
        ({"customer": {"email": "ada@example.com\r\nBcc: eve@example.com"}}, "customer.email"),
        ({"total": float("nan")}, "total"),
        ({"total": float("inf")}, "total"),
        ({"total": 10**40}, "total"),
        ({"total": "1e400"}, "total"),
        ({"total": -1}, "total"),
        ({"currency": "eur"}, "currency"),
        ({"checkout_url": "javascript:alert(1)"}, "checkout_url"),
        ({"touched_at": "2026-03-01T14:05:00"}, "touched_at"),
        ({"touched_at": 1e300}, "touched_at"),
        ({"touched_at": 0}, "touched_at"),
        ({"touched_at": 1767225600}, "touched_at"),
        ({"touched_at": "1767225600"}, "touched_at"),
        ({"touched_at": True}, "touched_at"),
        ({"touched_at": "2026-03-01"}, "touched_at"),
        ({"total": "1_000"}, "total"),
        ({"total": "٣"}, "total"),
        ({"consent": {"basis": "box", "source": "shop", "at": 0}}, "consent.at"),
        ({"consent": {"given": "no", "basis": "b", "source": "s", "at": "2026-03-01T14:05:00Z"}}, "consent.given"),
        ({"touched_at": "0001-01-01T00:00:00+23:59"}, "touched_at"),
        ({"touched_at": "9999-12-31T23:59:59-23:59"}, "touched_at"),
        ({"items": [{}] * 60_000}, "items.0.name"),
        ({"shop": "a/b"}, "shop"),
        ({"order_id": 1042}, "order_id"),
        ({"order_id": "10\u000042"}, "order_id"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_bad_field_is_named(house, changes, field):
    """A report with a bad field is answered 422 by the name of the field, and nothing is kept."""
    told = problem(await house.post("/checkout", {**CHECKOUT, **changes}), 422)
    assert told["errors"][0]["field"] == field
    assert told["errors"][0]["message"]
    assert field in told["detail"]
    assert house.ingestion.reports == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nope",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe{}",
        b'{"shop": "\\ud800"}',
        b'{"total": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"customer":' * 5_000 + b"1" + b"}" * 5_000,
    ],
    ids=["empty", "nope", "null", "list", "text", "utf-16", "surrogate", "digits", "lists", "objects"],
)
async def test_bad_json_is_a_problem(house, body):
    """What is no JSON object is answered 422 like any bad report, however deep or long it is."""
    assert problem(await house.post("/checkout", body), 422)["errors"]
    assert house.ingestion.reports == []


async def test_unicode_is_kept(house):
    """Names of any script, emoji included, arrive as they were sent."""
    name = "Łódź 自転車 👩\u200d🚲 عجلة"
    await house.post("/checkout", {**CHECKOUT, "items": [{"name": name, "price": "1"}]})
    assert house.ingestion.reports[0].items[0].name == name


@pytest.mark.parametrize(
    "changes", [{"customer": {"email": "ada lovelace@secret"}}, {"total": "secret-7"}, {"currency": "secret"}]
)
async def test_problem_echoes_nothing(house, changes):
    """A problem names the field and never repeats what stood in it."""
    answer = await house.post("/checkout", {**CHECKOUT, **changes})
    assert "secret" not in answer.text
    assert "ada" not in answer.text


async def test_problem_has_an_end(house):
    """However much is wrong with a report, the problem tells the first few errors, and no field at length."""
    answer = await house.post("/checkout", {**CHECKOUT, **{f"{i}{'x' * 200}": 1 for i in range(500)}})
    assert len(problem(answer, 422)["errors"]) == 20
    assert len(answer.content) < 5_000


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
async def test_only_json_is_taken(house, content_type):
    """A report must say that it is JSON: a web page can send anything else to this machine unasked."""
    problem(await house.post("/checkout", CHECKOUT, **{"Content-Type": content_type}), 415)
    assert house.ingestion.reports == []


async def test_json_may_name_its_charset(house):
    """Parameters of the media type and its case do not matter."""
    answer = await house.post("/checkout", CHECKOUT, **{"Content-Type": "Application/JSON; charset=utf-8"})
    assert answer.status_code == 202


# Size


async def chunks(size):
    sent = 0
    while sent < size:
        yield b" " * 64 * 1024
        sent += 64 * 1024


@pytest.mark.parametrize("confirm", [0, 1, "no", "false"])
async def test_whether_an_order_is_confirmed_is_yes_or_no(house, confirm):
    """What could be taken for either is refused."""
    told = problem(await house.post("/order", {**ORDER, "confirm": confirm}), 422)
    assert told["errors"][0]["field"] == "confirm"


@pytest.mark.parametrize("path", ["/checkout", "/order"])
async def test_long_body_is_refused(house, path):
    """A body that says it is over 256 KiB is refused with 413, and nothing is kept."""
    problem(await house.post(path, b" " * (256 * 1024 + 1)), 413)
    assert house.ingestion.reports == []


@pytest.mark.parametrize("path", ["/checkout", "/order"])
async def test_long_chunked_body_is_refused(house, path):
    """A body that turns out to be over 256 KiB is refused, and not read without end."""
    taken = 0

    async def body():
        nonlocal taken
        async for chunk in chunks(10 * DRAIN_LIMIT):
            taken += len(chunk)
            yield chunk

    answer = await house.client.post(path, content=body(), headers={"Content-Type": "application/json"})
    problem(answer, 413)
    assert taken <= DRAIN_LIMIT + 64 * 1024
    assert house.ingestion.reports == []


@pytest.mark.parametrize("length", ["9" * 5000, "-", "1e9"])
async def test_odd_length_is_refused(house, length):
    """A content length that is no number of bytes is refused like one that is too long."""
    problem(await house.post("/checkout", CHECKOUT, **{"Content-Length": length}), 413)


async def test_body_of_the_limit_is_read(house):
    """A body of exactly 256 KiB is read."""
    body = json.dumps(CHECKOUT).encode()
    answer = await house.post("/checkout", body + b" " * (256 * 1024 - len(body)))
    assert answer.status_code == 202


# Who may call


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/checkout"), ("POST", "/order"), ("GET", "/checkouts/s/1"), ("DELETE", "/checkouts/s/1")],
)
@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", f"Basic {KEY}", KEY, f"Bearer {KEY}x", "Bearer é"])
async def test_key_is_needed(house, method, path, header):
    """Without a right key every endpoint of checkouts answers 401, before it looks at anything else."""
    headers = {"Authorization": header.encode()}
    answer = await house.client.request(method, path, content=b"nope", headers=headers)
    problem(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"
    assert (house.ingestion.reports, house.ingestion.cancelled) == ([], [])


@pytest.mark.parametrize("key", ["first", "sécond", "third"])
async def test_any_key_will_do(key):
    """Each of several keys opens, whatever script it is in."""
    house = House(api_keys=("first", "sécond", "third"))
    answer = await house.post("/order", ORDER, Authorization=f"bearer {key}".encode())
    assert answer.status_code == 202


async def test_empty_key_is_refused():
    """A key that is empty is a mistake in the settings, not a key."""
    with pytest.raises(ValueError, match="empty"):
        House(api_keys=(KEY, ""))


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8080", "LOCALHOST", "127.0.0.1:1", "127.8.8.8", "[::1]:8080", "[::1]"]
)
async def test_without_keys_this_machine_is_let_in(host):
    """Without keys, whoever calls this machine by its own name may report."""
    house = House(api_keys=())
    assert (await house.post("/order", ORDER, Host=host)).status_code == 202


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "10.0.0.1", "127.0.0.1.evil.example", "", "[::2]", "[", "a@localhost@b"],
)
async def test_without_keys_other_names_are_kept_out(host):
    """Without keys, a call by any other name is refused: a web page may have had that name resolve to here."""
    house = House(api_keys=())
    problem(await house.post("/order", ORDER, Host=host), 403)
    assert house.ingestion.reports == []


async def test_with_keys_the_name_does_not_matter(house):
    """With a key, Recovery answers by any name."""
    assert (await house.post("/order", ORDER, Host="recovery.example")).status_code == 202


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"])
async def test_operation_needs_no_key(house, path):
    """Health, metrics and documentation are open."""
    answer = await house.client.get(path, headers={"Authorization": "", "Host": "probe.example"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("host", "keys", "refused"),
    [
        ("127.0.0.1", [], False),
        ("localhost", [], False),
        ("LocalHost", [], False),
        ("::1", [], False),
        ("0.0.0.0", [], True),
        ("::", [], True),
        ("", [], True),
        ("10.0.0.1", [], True),
        ("recovery.example", [], True),
        ("0.0.0.0", [KEY], False),
        ("127.0.0.1", [""], True),
        ("0.0.0.0", [KEY, ""], True),
    ],
)
def test_open_service_is_refused_elsewhere(host, keys, refused):
    """Without a key Recovery serves loopback only, and an empty key is none."""
    assert bool(refusal(host, unscoped(keys))) is refused


@pytest.mark.parametrize("host", ["1270.0.1", "127.1", "localhost.", "0", "::ffff:10.0.0.1"])
def test_what_only_looks_like_loopback_is_not(host):
    """Only localhost and whole loopback addresses count."""
    assert not is_loopback(host)


# Reading and cancelling


def state(**changes):
    return CheckoutState(
        **{
            "_id": "bikes.example/1042",
            "status": Status.OPEN,
            "facts": Facts(customer={"email": "ada@example.com"}, items=[{"name": "City bike", "price": "499.00"}]),
            "opened_at": AT,
            "touched_at": AT,
            "revision": 2,
            "messages": {"first": Message(state=MessageState.SENDING, attempts=1, due_at=AT)},
            "claim": Claim(token="t0ken", owner="daemon-7", until=AT),
            "next_at": AT,
            "history": (Past(at=AT, decision="send", reason="first is due"),),
            **changes,
        }
    )


async def test_checkout_is_shown(house):
    """A kept checkout is shown with its facts, its messages and its history, and with no token."""
    house.ingestion.states["bikes.example/1042"] = state()
    answer = await house.client.get("/checkouts/bikes.example/1042")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    shown = answer.json()
    assert (shown["id"], shown["status"], shown["revision"]) == ("bikes.example/1042", "open", 2)
    assert shown["customer"]["email"] == "ada@example.com"
    assert shown["items"][0]["price"] == "499.00"
    assert shown["messages"]["first"]["state"] == "sending"
    assert shown["sending_until"] == shown["next_at"] == "2026-03-01T13:05:00Z"
    assert shown["history"] == [{"at": "2026-03-01T13:05:00Z", "decision": "send", "reason": "first is due"}]
    assert not {"_id", "claim", "facts"} & set(shown)
    assert "t0ken" not in answer.text
    assert "daemon-7" not in answer.text


async def test_ordered_checkout_without_facts_is_shown(house):
    """An order without its checkout is shown too."""
    house.ingestion.states["s/1"] = state(_id="s/1", facts=Facts(), claim=None, messages={}, status=Status.ORDERED)
    shown = (await house.client.get("/checkouts/s/1")).json()
    assert (shown["status"], shown["customer"], shown["items"], shown["sending_until"]) == ("ordered", None, [], None)


async def test_order_id_may_have_slashes(house):
    """The first slash parts the shop from the order id; the rest is the id's own."""
    house.ingestion.states["s/2026/03/1"] = state(_id="s/2026/03/1")
    assert (await house.client.get("/checkouts/s/2026/03/1")).json()["id"] == "s/2026/03/1"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("path", ["/checkouts/bikes.example/none", "/checkouts/%00/%ff", "/checkouts/s/"])
async def test_unknown_checkout_is_a_problem(house, method, path):
    """To show or cancel a checkout that is not known is answered 404."""
    problem(await house.client.request(method, path), 404)


async def test_checkout_is_cancelled(house):
    """A cancelled checkout is answered 204, without a body."""
    house.ingestion.states["s/1"] = state(_id="s/1")
    answer = await house.client.delete("/checkouts/s/1")
    assert (answer.status_code, answer.content) == (204, b"")
    assert house.ingestion.cancelled == [("s", "1")]


# What goes wrong


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("GET", "/checkout", 405), ("POST", "/checkout/", 404), ("PUT", "/order", 405)],
)
async def test_wrong_address_is_a_problem(house, method, path, status):
    """An unknown path or method is answered with a problem like all else."""
    answer = await house.client.request(method, path)
    problem(answer, status)
    assert ("allow" in answer.headers) is (status == 405)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/checkout", CHECKOUT),
        ("POST", "/order", ORDER),
        ("GET", "/checkouts/s/1", None),
        ("DELETE", "/checkouts/s/1", None),
    ],
)
async def test_database_away_is_told(house, method, path, body):
    """While the database is away, the answer is 503 and when to try again, without its inner matters."""
    house.ingestion.fault = Unavailable("db-7.internal:27017 refused")
    answer = await house.client.request(method, path, json=body)
    told = problem(answer, 503)
    assert answer.headers["retry-after"] == "1"
    assert "internal" not in told["detail"]


async def test_fault_of_ours_shows_nothing(house):
    """A fault in here is answered 500, and shows neither a traceback nor what it was about."""
    house.ingestion.fault = RuntimeError("ada@example.com")
    answer = await house.post("/checkout", CHECKOUT)
    problem(answer, 500)
    assert "ada" not in answer.text
    assert "Traceback" not in answer.text


# Shopify

SHOPIFY = {
    "id": 7,
    "email": "bob@example.com",
    "updated_at": "2024-05-01T10:00:00-04:00",
    "abandoned_checkout_url": "https://a.example/recover",
    "currency": "USD",
    "total_price": "10.00",
    "line_items": [{"title": "Nano", "price": "10.00", "quantity": 1}],
}


async def test_webhook_is_kept(house):
    """A signed webhook is kept without any API key, and answered 200."""
    answer = await house.webhook(SHOPIFY, Authorization="")
    assert (answer.status_code, answer.json()) == (200, {"id": "a.myshopify.com/7"})
    (report,) = house.ingestion.reports
    assert report.customer.email == "bob@example.com"


async def test_sample_webhooks_are_kept():
    """The documented checkout and order go in through the webhook, the order by an alias of the checkout."""
    house = House()
    (left,) = json.loads(collected("shopify", "checkouts.json").read_text())["checkouts"]
    ordered = json.loads(collected("shopify", "order.json").read_text())["order"]
    assert (await house.webhook(left)).status_code == 200
    assert (await house.webhook(ordered, topic="orders/create")).status_code == 200
    assert [report.id for report in house.ingestion.reports] == [
        "a.myshopify.com/2a1ace52255252df566af0faaedfbfa7",
        "a.myshopify.com/450789469",
    ]


async def test_webhook_needs_a_right_signature(house):
    """A webhook signed with another secret is answered 401, and nothing is kept."""
    problem(await house.webhook(SHOPIFY, secret="guess"), 401)
    assert house.ingestion.reports == []


async def test_webhook_needs_a_signature(house):
    """A webhook without a signature is answered 401, be its body what it may."""
    answer = await house.post("/webhooks/shopify", b"nope")
    problem(answer, 401)
    assert "www-authenticate" in answer.headers


@pytest.mark.parametrize("secret", [None, ""])
async def test_webhook_is_not_there_without_a_secret(secret):
    """Where no secret is configured there is no webhook, not one that anybody can sign for."""
    house = House(secret=secret)
    problem(await house.webhook(SHOPIFY, secret=""), 404)
    assert house.ingestion.reports == []


async def test_webhook_is_open_by_any_name_without_keys():
    """A webhook brings its own key, so it may come through a tunnel even where no API key is set."""
    house = House(api_keys=())
    assert (await house.webhook(SHOPIFY, Host="tunnel.example")).status_code == 200


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (SHOPIFY, {"X-Shopify-Topic": "products/create"}),
        (SHOPIFY, {"X-Shopify-Test": "true"}),
        ({**SHOPIFY, "email": None}, {}),
    ],
)
async def test_webhook_may_be_ignored(house, body, headers):
    """Other topics, the test button and checkouts without an address are answered 200, so nobody repeats them."""
    answer = await house.webhook(body, **headers)
    assert answer.status_code == 200
    assert answer.json()["ignored"]
    assert house.ingestion.reports == []


@pytest.mark.parametrize(
    ("body", "field"),
    [({**SHOPIFY, "total_price": None}, "total_price"), (b"nope", "body"), (b"[]", "body"), (b'{"a":' * 9000, "body")],
)
async def test_what_cannot_be_read_is_no_failure_to_shopify(house, body, field):
    """A webhook that cannot be read is answered 200 with the reason, since subscriptions that fail are dropped."""
    with capture_logs() as lines:
        answer = await house.webhook(body)
    assert (answer.status_code, house.ingestion.reports) == (200, [])
    assert answer.json()["ignored"].startswith(f"{field}: ")
    assert house.counted("shopify", "unmapped") == 1
    (line,) = lines
    assert (line["event"], line["shop"], line["field"]) == ("webhook not understood", "a.myshopify.com", field)


async def test_an_order_of_any_size_ends_its_checkout(house):
    """A thousand lines, each with its taxes, are more than other reports may have; the first are kept."""
    line = {"title": "Nano", "price": "10.00", "quantity": 1, "tax_lines": [{"title": "x" * 4000}]}
    order = {"id": 8, "checkout_token": "t0k3n", "line_items": [line] * 1000, "total_price": "1", "currency": "USD"}
    assert len(json.dumps(order)) > 4_000_000
    assert (await house.webhook(order, topic="orders/create")).json() == {"id": "a.myshopify.com/t0k3n"}
    assert len(house.ingestion.reports[0].items) == 200
    assert (await house.webhook({**SHOPIFY, "line_items": [line] * 1000})).json() == {"id": "a.myshopify.com/7"}


async def test_a_webhook_without_a_signature_is_not_read(house):
    """Whoever has no secret cannot have megabytes taken in."""
    taken = 0

    async def body():
        nonlocal taken
        async for chunk in chunks(10 * DRAIN_LIMIT):
            taken += len(chunk)
            yield chunk

    headers = {"Content-Type": "application/json"}
    problem(await house.client.post("/webhooks/shopify", content=body(), headers=headers), 401)
    assert taken <= 2 * 64 * 1024


async def test_a_webhook_beyond_all_bounds_is_refused(house):
    """Even a signed one has a limit."""
    problem(await house.webhook(b" " * (LONGEST_WEBHOOK + 1)), 413)


@pytest.mark.parametrize("family", ["X-Shopify-", "Shopify-", "x-shopify-"])
async def test_either_family_of_headers_is_understood(family):
    """Shopify's events come without the X, and shops in any case of letters."""
    house = House()
    content = json.dumps(SHOPIFY).encode()
    signature = base64.b64encode(hmac.new(SECRET.encode(), content, hashlib.sha256).digest()).decode()
    headers = {"Topic": "checkouts/create", "Shop-Domain": "A.MyShopify.com", "Hmac-Sha256": signature}
    sent = {f"{family}{name}": value for name, value in headers.items()}
    answer = await house.client.post("/webhooks/shopify", content=content, headers=sent)
    assert answer.json() == {"id": "a.myshopify.com/7"}


PERSON = {"id": 1, "email": "john@example.com", "phone": "555"}


async def test_what_shopify_demands_for_people_is_carried_out(house):
    """A 200 tells Shopify that it was done: people and shops are erased, and requests kept."""
    await house.webhook({"customer": PERSON, "orders_to_redact": [1]}, topic="customers/redact")
    await house.webhook({"shop_id": 1, "shop_domain": "a.myshopify.com"}, topic="shop/redact")
    assert house.ingestion.erased == [("john@example.com", "a.myshopify.com"), (None, "a.myshopify.com")]
    asked = {"shop_id": 1, "customer": PERSON, "orders_requested": [299938], "data_request": {"id": 9999}}
    await house.webhook(asked, topic="customers/data_request")
    assert house.ingestion.requests == [("a.myshopify.com", "9999", "john@example.com", ("299938",))]
    nobody = await house.webhook({"shop_id": 1, "customer": {"id": 1}}, topic="customers/redact")
    assert "names nobody" in nobody.json()["ignored"]


@pytest.mark.parametrize("topic", ["customers/redact", "shop/redact", "customers/data_request", "app/uninstalled"])
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
async def test_a_shop_is_erased_only_by_its_own_word(house, topic, header, signed, shop):
    """The body is signed and the header is not: where they differ nothing is done, and that is told."""
    of_topic = {
        "customers/redact": {"customer": PERSON, "orders_to_redact": [1]},
        "customers/data_request": {"customer": PERSON, "data_request": {"id": 9999}},
    }
    body = {"shop_domain": signed, **of_topic.get(topic, {})}
    answer = await house.webhook(body, topic=topic, **{"X-Shopify-Shop-Domain": header})
    assert answer.status_code == 200
    done = [each for _, each in house.ingestion.erased] + house.ingestion.left
    assert done + [each[0] for each in house.ingestion.requests] == ([shop] if shop else [])
    assert (house.counted("shopify", "unmapped") or 0) == (shop is None)


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
async def test_a_body_is_not_taken_as_another_topic(house, body, topic):
    """The body is signed and its topic is not: what was overheard erases nobody, and orders nothing."""
    answer = await house.webhook(body, topic=topic)
    assert "the body of another topic" in answer.json()["ignored"]
    assert house.counted("shopify", "unmapped") == 1
    done = (house.ingestion.reports, house.ingestion.cancelled, house.ingestion.erased, house.ingestion.left)
    assert done == ([], [], [], [])
    assert house.ingestion.requests == []


async def test_an_order_is_one_whatever_else_it_has(house):
    """To miss one would be a reminder after the purchase."""
    order = {**CONFIRMED, "abandoned_checkout_url": "https://a.example/recover"}
    assert (await house.webhook(order, topic="orders/create")).json() == {"id": "a.myshopify.com/t0k3n"}


async def test_half_a_character_loses_no_order(house):
    """A note that was cut in the middle of an emoji is no JSON by the letter, and the order is one all the same."""
    body = rb'{"id": 8, "checkout_token": "t0k3n", "note": "thanks \ud83d", "line_items": []}'
    assert (await house.webhook(body, topic="orders/create")).json() == {"id": "a.myshopify.com/t0k3n"}
    whole = rb'{"id": 8, "checkout_token": "t0k4n", "customer": {"first_name": "\ud83d\ude00", "email": "a@b.example"}}'
    await house.webhook(whole, topic="orders/create")
    assert house.ingestion.reports[-1].customer.name == "😀"
    deep = b'{"a": ' * 100_000 + rb'"\ud83d"' + b"}" * 100_000
    assert "body" in (await house.webhook(deep, topic="orders/create")).json()["ignored"]


async def test_a_deleted_checkout_is_cancelled(house):
    """By whichever of its names it is kept."""
    assert (await house.webhook({"id": 7, "token": "t0k3n"}, topic="checkouts/delete")).status_code == 200
    assert house.ingestion.cancelled == [("a.myshopify.com", "t0k3n"), ("a.myshopify.com", "7")]


async def test_webhook_while_the_database_is_away(house):
    """While the database is away a webhook is answered 503, so Shopify repeats it."""
    house.ingestion.fault = Unavailable("away")
    problem(await house.webhook(SHOPIFY), 503)


# Operation


async def test_ready(house):
    """While all checks pass, the answer is 200 and tells each."""
    answer = await house.client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "checks": {"mongodb": None}})


async def test_not_ready(house):
    """When a check fails, the answer is 503 and tells what is wrong."""
    house.checks["smtp"] = "the relay refuses everyone"
    answer = await house.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "checks": {"mongodb": None, "smtp": "the relay refuses everyone"}}


async def test_alive_while_not_ready(house):
    """The process lives whatever the checks say."""
    house.checks["mongodb"] = "away"
    house.ingestion.fault = Unavailable("away")
    assert (await house.client.get("/healthz")).status_code == 200


async def test_metrics_are_shown(house):
    """Whatever is on the registry is shown in the format that Prometheus reads."""
    Counter("recovery_demo", "A count", registry=house.registry).inc(3)
    answer = await house.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "recovery_demo_total 3.0" in answer.text


async def test_reports_are_counted(house):
    """Each report is counted by its kind and its answer."""
    await house.post("/checkout", CHECKOUT)
    await house.post("/checkout", b"nope")
    await house.post("/checkout", CHECKOUT, Authorization="Bearer wrong")
    await house.post("/order", b" " * 300_000)
    await house.webhook(SHOPIFY)
    await house.webhook(SHOPIFY, topic="products/create")
    house.ingestion.fault = RuntimeError("bad luck")
    await house.post("/order", ORDER)
    await house.client.get("/checkout")
    counted = [
        ("checkout", "accepted"),
        ("checkout", "422"),
        ("checkout", "401"),
        ("order", "413"),
        ("order", "500"),
        ("shopify", "accepted"),
        ("shopify", "ignored"),
    ]
    assert [house.counted(*labels) for labels in counted] == [1] * len(counted)
    assert house.counted("checkout", "405") is None


async def test_description_is_whole(house):
    """The OpenAPI description resolves: every schema that is referred to is there."""
    description = (await house.client.get("/openapi.json")).json()
    referred = {part.split('"')[0] for part in json.dumps(description).split("#/components/schemas/")[1:]}
    assert referred <= set(description["components"]["schemas"])
    assert {"Checkout", "Order", "ProblemDetails", "CheckoutView"} <= referred
    assert "HTTPValidationError" not in referred
    assert "HTTPBearer" not in description["components"]["securitySchemes"]


async def test_examples_are_accepted(house):
    """What the documentation gives as an example can be sent as it stands."""
    paths = (await house.client.get("/openapi.json")).json()["paths"]
    for path in ("/checkout", "/order"):
        example = paths[path]["post"]["requestBody"]["content"]["application/json"]["example"]
        assert (await house.post(path, example)).status_code == 202


async def test_reports_go_side_by_side(house):
    """A hundred reports at once are all kept."""
    answers = await asyncio.gather(*(house.post("/order", {**ORDER, "order_id": str(i)}) for i in range(100)))
    assert {answer.status_code for answer in answers} == {202}
    assert len(house.ingestion.reports) == 100


async def test_a_person_is_exported_and_erased(house):
    """Both take the address in a body, and answer with what was found."""
    person = {"email": "ada@example.com", "shop": "bikes.example"}
    answer = await house.client.post("/export", json=person)
    assert (answer.status_code, answer.json(), answer.headers["cache-control"]) == (200, person, "no-store")
    answer = await house.client.post("/erase", json=person)
    assert (answer.status_code, answer.json()) == (
        200,
        {"checkouts": ["bikes.example/1"], "dead_letters": [], "shadows": 1},
    )
    assert house.ingestion.erased == [("ada@example.com", "bikes.example")]


@pytest.mark.parametrize("path", ["/export", "/erase"])
async def test_only_key_holders_may_ask_of_a_person(house, path):
    """Without the key nothing is told and nothing erased; what names nobody is a problem that says so."""
    answer = await house.client.post(path, json={"email": "ada@example.com"}, headers={"Authorization": ""})
    assert answer.status_code == 401
    answer = await house.client.post(path, json={"email": "nobody"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "body.email")
    assert house.ingestion.erased == []
