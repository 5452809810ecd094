"""Showing and cancelling a checkout."""

import pytest

from recovery.domain.checkout import Facts
from recovery.domain.state import Status
from tests.support.api import AT, problem, state


async def test_checkout_is_shown(api):
    """A checkout is shown with its facts, messages and history, and without the fencing token."""
    api.ingestion.states["bikes.example/1042"] = state()
    answer = await api.client.get("/checkouts/bikes.example/1042")
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


async def test_ordered_checkout_without_facts_is_shown(api):
    """An order without its checkout is shown too."""
    api.ingestion.states["s/1"] = state(_id="s/1", facts=Facts(), claim=None, messages={}, status=Status.ORDERED)
    shown = (await api.client.get("/checkouts/s/1")).json()
    assert (shown["status"], shown["customer"], shown["items"], shown["sending_until"]) == ("ordered", None, [], None)


async def test_order_id_may_have_slashes(api):
    """The first slash separates the shop from the order id, which may contain more."""
    api.ingestion.states["s/2026/03/1"] = state(_id="s/2026/03/1")
    assert (await api.client.get("/checkouts/s/2026/03/1")).json()["id"] == "s/2026/03/1"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("path", ["/checkouts/bikes.example/none", "/checkouts/%00/%ff", "/checkouts/s/"])
async def test_unknown_checkout_is_a_problem(api, method, path):
    """Showing or cancelling an unknown checkout is answered with 404."""
    problem(await api.client.request(method, path), 404)


async def test_checkout_is_cancelled(api):
    """Cancelling a checkout is answered with 204, without a body."""
    api.ingestion.states["s/1"] = state(_id="s/1")
    answer = await api.client.delete("/checkouts/s/1")
    assert (answer.status_code, answer.content) == (204, b"")
    assert api.ingestion.cancelled == [("s", "1")]


async def test_an_emptied_checkout_is_paused(api):
    """With the time at which it was emptied nothing is cancelled for good; a time that is none is refused."""
    api.ingestion.states["s/1"] = state(_id="s/1")
    assert (await api.client.delete("/checkouts/s/1", params={"pause_at": AT.isoformat()})).status_code == 204
    assert (api.ingestion.paused, api.ingestion.cancelled) == ([("s", "1", AT)], [])
    problem(await api.client.delete("/checkouts/s/2", params={"pause_at": AT.isoformat()}), 404)
    for at in ("yesterday", "1772633100", "0001-01-01T01:00:01+02:02"):
        told = problem(await api.client.delete("/checkouts/s/1", params={"pause_at": at}), 422)
        assert "pause_at" in str(told["errors"])
