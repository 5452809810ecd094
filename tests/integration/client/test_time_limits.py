"""Timeouts of the ingestion API, while a real MongoDB is stopped: it accepts connections and never answers."""

import asyncio
import math
import os
import signal
from contextlib import closing, contextmanager
from functools import partial

import httpx
import pytest
from motor.motor_asyncio import AsyncIOMotorClient
from prometheus_client import CollectorRegistry
from pymongo import AsyncMongoClient, MongoClient

from recovery import Order, Recovery, SyncRecovery, Unavailable
from recovery.daemon.metrics import Telemetry
from recovery.http.api.reports import Reports
from recovery.http.middleware import AnswerCount
from recovery.http.security import Guard
from tests.support.builders import report
from tests.support.configurations import LONGEST_BODY

SHOP = "shop.example"
LONG = 15
"""Seconds after which a test fails: the driver alone notices only after some thirty that nothing answers."""


@contextmanager
def standing_still(uri):
    """Stop the server; let it go on afterwards."""
    with MongoClient(uri) as client:
        process = client.admin.command("serverStatus")["pid"]
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def calls(recovery, timeout):
    """Return all calls of the API, by name."""
    limited = {} if timeout is None else {"timeout": timeout}
    return {
        "checkout": lambda: recovery.checkout(report(), **limited),
        "checkout by names": lambda: recovery.checkout(report(), aliases=["2"], **limited),
        "order": lambda: recovery.order(Order(shop=SHOP, order_id="1"), **limited),
        "cancel": lambda: recovery.cancel(SHOP, "1", **limited),
        "get": lambda: recovery.get(SHOP, "1", **limited),
        "suppress": lambda: recovery.suppress("ada@example.com", **limited),
        "unsuppress": lambda: recovery.unsuppress("ada@example.com", **limited),
        "export": lambda: recovery.export("ada@example.com", **limited),
        "erase": lambda: recovery.erase("ada@example.com", **limited),
    }


async def failed(call):
    with pytest.raises(Unavailable, match=r"did not .* within \d\.\d s.*call again later") as raised:
        await call()
    return str(raised.value)


@pytest.mark.parametrize("known", [True, False], ids=["known", "new"])
@pytest.mark.parametrize("kind", ["uri", "motor"])
async def test_every_call_ends_in_time(mongodb, database_name, database, kind, known):
    """All calls at once on one API fail within their timeout, whether it has connections or must open them.

    Tasks that open connections must not leak: no warning of a connection that was not closed.
    """
    client = AsyncMongoClient(mongodb) if kind == "uri" else AsyncIOMotorClient(mongodb)
    api = Recovery(client, database=database_name)
    if known:
        await api.get(SHOP, "1")
    with standing_still(mongodb):
        async with asyncio.timeout(LONG):
            await asyncio.gather(*(failed(call) for call in calls(api, 0.5).values()))
    assert await api.get(SHOP, "unknown", timeout=LONG) is None
    await client.close() if kind == "uri" else client.close()


async def test_every_call_of_the_synchronous_twin_ends_in_time(mongodb, database_name, database):
    """The calls of `SyncRecovery`, each in a thread as in a WSGI server, fail within their timeout."""

    async def in_thread(call):
        return await failed(lambda: asyncio.to_thread(call))

    with SyncRecovery(mongodb, database=database_name) as api, standing_still(mongodb):
        async with asyncio.timeout(LONG):
            await asyncio.gather(*(in_thread(call) for call in calls(api, 0.5).values()))


async def test_a_call_ends_within_four_seconds_if_nothing_else_is_said(mongodb, database_name, database):
    """The default timeout is short enough for a web request."""
    async with Recovery(mongodb, database=database_name) as api:
        await api.get(SHOP, "1")
        with standing_still(mongodb):
            async with asyncio.timeout(LONG):
                said = await failed(lambda: api.checkout(report()))
    assert "within 4.0 s" in said


async def test_the_limit_of_the_constructor_is_that_of_its_calls(mongodb, database_name, database):
    """The timeout of the constructor applies to calls that give none."""
    async with Recovery(mongodb, database=database_name, timeout=0.3) as api:
        await api.get(SHOP, "1", timeout=LONG)
        with standing_still(mongodb):
            async with asyncio.timeout(LONG):
                assert "within 0.3 s" in await failed(lambda: api.checkout(report()))


async def test_the_limits_of_the_address_hold(mongodb, database_name, database):
    """A URI that allows half a second is not overruled by the API's own four."""
    with closing(MongoClient(f"{mongodb}&timeoutMS=300")) as client:
        api = SyncRecovery(client, database=database_name)
        with standing_still(mongodb):
            async with asyncio.timeout(LONG):
                said = await failed(lambda: asyncio.to_thread(api.order, Order(shop=SHOP, order_id="1")))
    assert "within 0.3 s" in said


@pytest.mark.parametrize("api", [Recovery, SyncRecovery])
async def test_the_address_may_give_up_sooner_on_a_database_that_is_away(api):
    """With 50 ms for server selection, an outage is reported within a second: PyMongo checks each half second."""
    recovery = api("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50")
    call = recovery.checkout if api is Recovery else partial(asyncio.to_thread, recovery.checkout)
    assert "within 0." in await failed(lambda: call(report()))
    await recovery.close() if api is Recovery else recovery.close()


async def test_calls_that_go_out_together_have_each_its_own_limit(mongodb, database_name, database):
    """In a group commit, a call with more time than its neighbours succeeds once the server goes on."""
    async with Recovery(mongodb, database=database_name) as api:
        await api.get(SHOP, "1")
        with standing_still(mongodb):
            hasty = asyncio.create_task(failed(lambda: api.checkout(report("1"), timeout=0.2)))
            patient = asyncio.create_task(api.checkout(report("2"), timeout=LONG))
            await hasty
            assert not patient.done()
        await patient
        assert (await api.get(SHOP, "2")) is not None


@pytest.mark.parametrize("timeout", [0, -1, math.nan])
def test_a_limit_that_is_none_is_refused(timeout):
    """A timeout must be more than 0: libraries differ on the meaning of 0."""
    with pytest.raises(ValueError, match="give seconds, more than 0, or math"):
        SyncRecovery("mongodb://127.0.0.1", timeout=timeout)


async def test_reports_over_http_are_answered_in_time_and_those_beyond_the_most_at_once(
    mongodb, database_name, database
):
    """While the database is stopped, reports over HTTP get 503 with Retry-After; so do too many at once."""
    async with AsyncMongoClient(mongodb) as client:
        ingestion = Recovery(client, database=database_name, timeout=1.0, most_at_once=3)
        app = Reports(ingestion, Guard(()), AnswerCount(Telemetry(CollectorRegistry())), max_body=LONGEST_BODY)
        await ingestion.get(SHOP, "1")
        finished = []

        async def post(number):
            answer = await http.post("/checkout", json=report(str(number)).model_dump(mode="json"))
            finished.append(number)
            return answer

        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            with standing_still(mongodb):
                async with asyncio.timeout(LONG):
                    answers = await asyncio.gather(*map(post, range(5)))
    assert {answer.status_code for answer in answers} == {503}
    assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}
    assert all(answer.headers["retry-after"] for answer in answers)
    assert set(finished[:2]) == {3, 4}  # at once, while the first three still wait
