"""API keys: scopes, shops, the audit log, and the rate limit on wrong keys."""

import asyncio

import pytest
from structlog.testing import capture_logs

from recovery.http.keys import EVERY, MOST_AT_ONCE, MOST_WAITING, PAUSE, ApiKey, Scope, WrongKeys
from tests.support.api import CHECKOUT, ORDER, Api, problem, state

PERSON = {"email": "ada@example.com", "shop": "bikes.example"}
CALLS = [
    ("POST", "/checkout", CHECKOUT, Scope.REPORT),
    ("POST", "/order", ORDER, Scope.REPORT),
    ("GET", "/checkouts/bikes.example/1042", None, Scope.READ),
    ("DELETE", "/checkouts/bikes.example/1042", None, Scope.OPERATE),
    ("POST", "/export", PERSON, Scope.PRIVACY),
    ("POST", "/erase", PERSON, Scope.PRIVACY),
]


def key(*scopes, shops=()):
    """Return a key with these scopes, for these shops."""
    return ApiKey("shop-backend", "a secret of some length", frozenset(scopes), frozenset(shops))


def holding(given):
    """Return an API with this key, whose client sends it."""
    api = Api(api_keys=(), keys=[given])
    api.client.headers["Authorization"] = f"Bearer {given.secret}"
    api.ingestion.states["bikes.example/1042"] = state()
    return api


@pytest.mark.parametrize(("method", "path", "body", "scope"), CALLS)
async def test_a_key_with_the_scope_is_let_in(method, path, body, scope):
    """An operation needs one scope only."""
    answer = await holding(key(scope)).client.request(method, path, json=body)
    assert answer.status_code < 300, answer.text


@pytest.mark.parametrize(("method", "path", "body", "scope"), CALLS)
async def test_a_key_without_the_scope_is_told_which_is_missing(method, path, body, scope):
    """All other scopes together are not enough; the problem names the key and the missing scope."""
    api = holding(key(*set(Scope) - {scope}))
    told = problem(await api.client.request(method, path, json=body), 403)
    assert told["type"] == "urn:recovery:problem:scope-missing"
    assert told["detail"].startswith(f"The key 'shop-backend' lacks the scope '{scope.value}'")
    assert (api.ingestion.reports, api.ingestion.cancelled, api.ingestion.erased) == ([], [], [])


@pytest.mark.parametrize(("method", "path", "body", "scope"), CALLS)
@pytest.mark.parametrize(("shop", "status"), [("bikes.example", 200), ("Bikes.example", 403), ("lamps.example", 403)])
async def test_a_key_is_for_its_shops_alone(method, path, body, scope, shop, status):
    """A key that is limited to some shops is rejected for another."""
    api = holding(key(scope, shops=["trains.example", shop]))
    answer = await api.client.request(method, path, json=body)
    if status == 403:
        assert problem(answer, 403)["type"] == "urn:recovery:problem:other-shop"
        assert (api.ingestion.reports, api.ingestion.cancelled, api.ingestion.erased) == ([], [], [])
    else:
        assert answer.status_code < 300


@pytest.mark.parametrize("path", ["/export", "/erase"])
async def test_a_key_for_some_shops_must_name_one(path):
    """Data of a person at all shops requires a key for all shops."""
    api = holding(key(Scope.PRIVACY, shops=["bikes.example"]))
    assert "name one of them" in problem(await api.post(path, {"email": "ada@example.com"}), 403)["detail"]


@pytest.mark.parametrize(
    ("method", "path", "body", "event"),
    [
        ("DELETE", "/checkouts/bikes.example/1042", None, "checkout cancelled"),
        ("POST", "/export", PERSON, "person exported"),
        ("POST", "/erase", PERSON, "person erased"),
    ],
)
async def test_what_cannot_be_undone_is_logged_with_the_name_of_the_key(method, path, body, event):
    """The log has the name of the key and the shop, and no address."""
    api = holding(key(*Scope))
    with capture_logs() as lines:
        await api.client.request(method, path, json=body)
    (line,) = lines
    assert (line["event"], line["key"], line["shop"]) == (event, "shop-backend", "bikes.example")
    assert "ada" not in str(lines)


def test_a_key_does_not_show_its_secret():
    """The secret of a key is in no repr, so in no log or traceback."""
    assert "a secret" not in repr(key())


# Wrong keys


async def test_wrong_keys_are_counted_and_logged_within_bounds(monkeypatch):
    """The metric counts each wrong key; the log has a few lines and the number of those left out."""
    monkeypatch.setattr("recovery.http.keys.PAUSE", 0.0)
    api = Api()
    with capture_logs() as lines:
        for _ in range(100):
            problem(await api.post("/order", ORDER, Authorization="Bearer wrong"), 401)
    assert api.registry.get_sample_value("recovery_wrong_keys_total") == 100
    assert 0 < len([line for line in lines if "API key" in line["event"]]) <= 10


async def test_answers_to_many_wrong_keys_take_a_moment_and_right_keys_do_not(monkeypatch):
    """While wrong keys are delayed, a valid key is answered at once."""
    monkeypatch.setattr("recovery.http.keys.PAUSE", 3600.0)
    api = Api()
    for _ in range(MOST_AT_ONCE):
        problem(await api.post("/order", ORDER, Authorization="Bearer wrong"), 401)
    guess = asyncio.create_task(api.post("/order", ORDER, Authorization="Bearer wrong"))
    for _ in range(20):
        assert (await api.post("/order", ORDER)).status_code == 202
    assert not guess.done()
    guess.cancel()


def test_a_few_slips_are_answered_at_once():
    """Only a series of wrong keys is delayed; after a pause, a few are answered at once again."""
    wrong = WrongKeys()
    assert [wrong.pause(0.0) for _ in range(MOST_AT_ONCE + 1)] == [0.0] * MOST_AT_ONCE + [PAUSE]
    assert (wrong.pause(EVERY), wrong.pause(EVERY)) == (0.0, PAUSE)


def test_no_more_than_some_wait():
    """When too many are delayed already, the connection is closed."""
    wrong = WrongKeys()
    for _ in range(MOST_AT_ONCE):
        wrong.pause(0.0)
    wrong.waiting = MOST_WAITING
    assert wrong.pause(0.0) is None
