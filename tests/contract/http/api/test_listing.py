"""The list of checkouts: its filters, its pages, and who may see what."""

from datetime import UTC, datetime

import pytest

from recovery.client import Unavailable
from recovery.domain.state import MessageState, Status
from recovery.http.keys import ApiKey, Scope
from recovery.mongo.listing import Position
from tests.support.api import AT, Api, problem, state


async def test_checkouts_are_listed_without_their_histories(api):
    """Each checkout of a page is shown as it is alone, but for its history."""
    api.ingestion.states["bikes.example/1042"] = state()
    answer = await api.client.get("/checkouts?shop=bikes.example")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    page = answer.json()
    assert (page["unreadable"], page["next"]) == ([], None)
    alone = (await api.client.get("/checkouts/bikes.example/1042")).json()
    assert page["checkouts"] == [{name: value for name, value in alone.items() if name != "history"}]
    assert "t0ken" not in answer.text


async def test_every_filter_reaches_the_database(api):
    """Filters are passed on as what they are: times in UTC, states and statuses by name, several shops as several."""
    asked = {
        "shop": ["a.example", "b.example"],
        "email": "ada@example.com",
        "status": "open",
        "step": "reminder-1",
        "state": "waiting",
        "reason": "because",
        "since": "2026-03-01T14:05:00+01:00",
        "until": "2026-03-02T00:00:00Z",
        "limit": "7",
        "after": str(Position(1, "a.example/1")),
    }
    assert (await api.client.get("/checkouts", params=asked)).status_code == 200
    assert api.ingestion.listed == [
        {
            "shop": ("a.example", "b.example"),
            "email": "ada@example.com",
            "status": Status.OPEN,
            "step": "reminder-1",
            "state": MessageState.WAITING,
            "reason": "because",
            "since": AT,
            "until": datetime(2026, 3, 2, tzinfo=UTC),
            "limit": 7,
            "after": str(Position(1, "a.example/1")),
        }
    ]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "query.shop"),
        ("status=open", "query.shop"),
        ("shop=a&step=reminder-1", "query.state"),
        ("shop=a&state=sent", "query.step"),
        ("shop=a&reason=x", "query.step"),
        ("shop=a&step=reminder-1&state=waiting", "query.state"),
        ("shop=a&step=reminder-1&state=sent&status=open", "query.status"),
    ],
)
async def test_filters_without_an_index_are_refused(api, query, field):
    """A list that would read everything is refused, with the filter to add."""
    told = problem(await api.client.get(f"/checkouts?{query}"), 422)
    assert told["type"] == "urn:recovery:problem:no-index"
    assert told["errors"][0]["field"] == field
    assert any(word in told["detail"] for word in ("needed", "add"))
    assert api.ingestion.listed == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("shop=a%2Fb", "query.shop.0"),
        ("shop=", "query.shop.0"),
        ("shop=a" + "&shop=b" * 50, "query.shop"),
        ("shop=a&status=opened", "query.status"),
        ("shop=a&step=reminder-1&state=gone", "query.state"),
        ("shop=a&step=$where&state=sent", "query.step"),
        ("shop=a&step=a.b&state=sent", "query.step"),
        ("shop=a&since=1767225600", "query.since"),
        ("shop=a&since=2026-03-01", "query.since"),
        ("shop=a&until=0001-01-01T00:00:00%2B23:59", "query.until"),
        ("email=nobody", "query.email"),
        ("shop=a&limit=0", "query.limit"),
        ("shop=a&limit=501", "query.limit"),
        (f"shop=a&limit={'9' * 5000}", "query.limit"),
        ("shop=a&limit=ten", "query.limit"),
        ("shop=a&stat=open", "query.stat"),
        ("shop=a&after=", "query.after"),
        ("shop=a&after=é", "query.after"),
        ("shop=a&after=bm9wZQ", "query.after"),
        ("shop=a&after=WzEsMl0", "query.after"),
        ("shop=a&after=" + "W1tbW1tbW1tb" * 80, "query.after"),
        ("shop=a&after=" + str(Position(2**63, "a/1")), "query.after"),
        ("shop=a&after=" + str(Position(True, "a/1")), "query.after"),
        ("shop=a&after=" + str(Position(1, "\ud800")), "query.after"),
        ("shop=a&after=" + "A" * 1001, "query.after"),
    ],
)
async def test_a_bad_filter_is_named(api, query, field):
    """A value that is not valid is answered with 422 and the name of its filter, and the value is not repeated."""
    told = problem(await api.client.get(f"/checkouts?{query}"), 422)
    assert told["errors"][0]["field"] == field
    assert told["type"] == "urn:recovery:problem:invalid"
    assert "nobody" not in told["detail"]
    assert api.ingestion.listed == []


def holding(*shops, scope=Scope.READ):
    api = Api(api_keys=(), keys=[ApiKey("backend", "a secret of some length", frozenset({scope}), frozenset(shops))])
    api.client.headers["Authorization"] = "Bearer a secret of some length"
    for id_ in ("bikes.example/1", "lamps.example/1"):
        api.ingestion.states[id_] = state(_id=id_)
    return api


async def test_a_key_for_some_shops_lists_those_alone():
    """Without a shop, such a key lists its shops, also by address; another shop is refused."""
    api = holding("bikes.example", "trains.example")
    for query in ("", "?email=ada@example.com"):
        page = (await api.client.get(f"/checkouts{query}")).json()
        assert [each["id"] for each in page["checkouts"]] == ["bikes.example/1"]
        assert api.ingestion.listed.pop()["shop"] == ("bikes.example", "trains.example")
    for query in ("shop=lamps.example", "shop=bikes.example&shop=lamps.example"):
        told = problem(await api.client.get(f"/checkouts?{query}"), 403)
        assert told["type"] == "urn:recovery:problem:other-shop"
    assert api.ingestion.listed == []


async def test_listing_needs_the_scope_read():
    """A key that may do everything but read lists nothing; no key, neither."""
    told = problem(await holding(scope=Scope.OPERATE).client.get("/checkouts?shop=bikes.example"), 403)
    assert told["type"] == "urn:recovery:problem:scope-missing"
    problem(await holding().client.get("/checkouts?shop=a", headers={"Authorization": ""}), 401)


async def test_a_list_without_a_database_is_a_problem(api):
    """While the database is unavailable, the answer is 503."""
    api.ingestion.fault = Unavailable("db-7.internal:27017 refused")
    problem(await api.client.get("/checkouts?shop=a"), 503)
