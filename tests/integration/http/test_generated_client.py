"""A client that is generated from docs/openapi.json works against the running API, on a real mongod."""

import importlib
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from recovery import Recovery
from recovery.daemon.metrics import Telemetry
from recovery.http.app import create_app
from recovery.http.keys import unscoped
from tests.support.configurations import LONGEST_BODY
from tests.support.feedback import feedback
from tests.support.generated_client import generate, operation
from tests.support.serving import serving

KEY = "a key of some length"
AT = datetime(2026, 3, 1, 13, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The generated package. Nothing of the description was left out: each warning is a failure."""
    generate(tmp_path_factory.mktemp("generated"))
    return importlib.import_module("recovery_client")


@pytest.fixture
async def client(package, database):
    """The generated client, with a key, of an API on this test's database."""
    registry = CollectorRegistry()
    app = create_app(
        Recovery(database.client, database=database.name),
        feedback(),
        api_keys=unscoped([KEY]),
        readiness=None,
        registry=registry,
        observer=Telemetry(registry),
        max_body=LONGEST_BODY,
    )
    async with (
        serving(app) as (port, _, _),
        package.AuthenticatedClient(f"http://127.0.0.1:{port}", token=KEY) as client,
    ):
        yield client


def checkout(number):
    models = importlib.import_module("recovery_client.models")
    return models.Checkout(
        shop="bikes.example",
        order_id=f"10/{number} é",
        customer=models.Customer(email="ada@example.com", name="Ada"),
        items=[models.Item(name="City bike", price="499.00")],
        total="504.90",
        currency="EUR",
        checkout_url="https://bikes.example/checkouts/1042",
        touched_at=AT.replace(day=number),
    )


async def test_a_generated_client_reports_shows_lists_and_cancels(client):
    """Its methods do what they are named for, and its models hold what the API answers."""
    models = importlib.import_module("recovery_client.models")
    reported = operation("checkouts", "report_checkout")
    for number in (1, 2, 3):
        accepted = await reported.asyncio(client=client, body=checkout(number))
        assert accepted.id == f"bikes.example/10/{number} é"
    ordered = await operation("checkouts", "report_order").asyncio(
        client=client, body=models.Order(shop="bikes.example", order_id="10/2 é")
    )
    assert ordered.id == "bikes.example/10/2 é"

    shown = await operation("checkouts", "get_checkout").asyncio("bikes.example", "10/2 é", client=client)
    assert (shown.id, shown.status, shown.opened_at) == (
        "bikes.example/10/2 é",
        models.Status.ORDERED,
        AT.replace(day=2),
    )
    assert shown.customer.email == "ada@example.com"

    listed = operation("checkouts", "list_checkouts")
    first = await listed.asyncio(client=client, shop=["bikes.example"], limit=2)
    rest = await listed.asyncio(client=client, shop=["bikes.example"], limit=2, after=first.next_)
    assert [each.id for each in (*first.checkouts, *rest.checkouts)] == [
        f"bikes.example/10/{number} é" for number in (3, 2, 1)
    ]
    assert rest.next_ is None
    since = await listed.asyncio(
        client=client, email="ada@example.com", status=models.Status.OPEN, since=AT.replace(day=2)
    )
    assert [each.id for each in since.checkouts] == ["bikes.example/10/3 é"]

    cancelled = await operation("checkouts", "cancel_checkout").asyncio_detailed(
        "bikes.example", "10/1 é", client=client
    )
    assert cancelled.status_code == 204
    person = models.Person(email="ada@example.com", shop="bikes.example")
    exported = await operation("persons", "export_person").asyncio(client=client, body=person)
    assert len(exported.checkouts) == 3
    erased = await operation("persons", "erase_person").asyncio(client=client, body=person)
    assert len(erased.checkouts) == 3


async def test_a_generated_client_gets_problems_as_such(client, package):
    """What is refused comes back as the model of a problem, with its type."""
    listed = operation("checkouts", "list_checkouts")
    refused = await listed.asyncio(client=client, status="open")
    assert (refused.status, refused.type_) == (422, "urn:recovery:problem:no-index")
    assert refused.errors[0].field == "query.shop"
    unknown = await operation("checkouts", "get_checkout").asyncio("bikes.example", "1", client=client)
    assert unknown.type_ == "urn:recovery:problem:no-checkout"
    url = str(client.get_async_httpx_client().base_url)
    async with package.AuthenticatedClient(url, token="another") as stranger:
        locked = await listed.asyncio(client=stranger, shop=["bikes.example"])
    assert locked.type_ == "urn:recovery:problem:key-needed"
