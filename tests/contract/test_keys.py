"""Keys with names, scopes and shops: who is let in where, what is logged of it, and what becomes of wrong ones."""

import asyncio

import pytest
from structlog.testing import capture_logs

from recovery.http.keys import EVERY, MOST_AT_ONCE, MOST_WAITING, PAUSE, ApiKey, Scope, WrongKeys
from tests.contract.test_http import CHECKOUT, ORDER, House, problem, state

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
    """Return a house with this key, and a caller that shows it."""
    house = House(api_keys=(), keys=[given])
    house.client.headers["Authorization"] = f"Bearer {given.secret}"
    house.ingestion.states["bikes.example/1042"] = state()
    return house


@pytest.mark.parametrize(("method", "path", "body", "scope"), CALLS)
async def test_a_key_with_the_scope_is_let_in(method, path, body, scope):
    """One scope is enough for what it is for."""
    answer = await holding(key(scope)).client.request(method, path, json=body)
    assert answer.status_code < 300, answer.text


@pytest.mark.parametrize(("method", "path", "body", "scope"), CALLS)
async def test_a_key_without_the_scope_is_told_which_is_missing(method, path, body, scope):
    """All other scopes together do not open it; the answer names the key and the scope."""
    house = holding(key(*set(Scope) - {scope}))
    told = problem(await house.client.request(method, path, json=body), 403)
    assert told["type"] == "urn:recovery:problem:scope-missing"
    assert told["detail"].startswith(f"The key 'shop-backend' lacks the scope '{scope.value}'")
    assert (house.ingestion.reports, house.ingestion.cancelled, house.ingestion.erased) == ([], [], [])


@pytest.mark.parametrize(("method", "path", "body", "scope"), CALLS)
@pytest.mark.parametrize(("shop", "status"), [("bikes.example", 200), ("Bikes.example", 403), ("lamps.example", 403)])
async def test_a_key_is_for_its_shops_alone(method, path, body, scope, shop, status):
    """A key that names shops opens nothing at another."""
    house = holding(key(scope, shops=["trains.example", shop]))
    answer = await house.client.request(method, path, json=body)
    if status == 403:
        assert problem(answer, 403)["type"] == "urn:recovery:problem:other-shop"
        assert (house.ingestion.reports, house.ingestion.cancelled, house.ingestion.erased) == ([], [], [])
    else:
        assert answer.status_code < 300


@pytest.mark.parametrize("path", ["/export", "/erase"])
async def test_a_key_for_some_shops_must_name_one(path):
    """To ask of a person at all shops takes a key for all."""
    house = holding(key(Scope.PRIVACY, shops=["bikes.example"]))
    assert "name one of them" in problem(await house.post(path, {"email": "ada@example.com"}), 403)["detail"]


@pytest.mark.parametrize(
    ("method", "path", "body", "event"),
    [
        ("DELETE", "/checkouts/bikes.example/1042", None, "checkout cancelled"),
        ("POST", "/export", PERSON, "person exported"),
        ("POST", "/erase", PERSON, "person erased"),
    ],
)
async def test_what_cannot_be_undone_is_logged_with_the_name_of_the_key(method, path, body, event):
    """The log says who did it and at which shop, and no address."""
    house = holding(key(*Scope))
    with capture_logs() as lines:
        await house.client.request(method, path, json=body)
    (line,) = lines
    assert (line["event"], line["key"], line["shop"]) == (event, "shop-backend", "bikes.example")
    assert "ada" not in str(lines)


def test_a_key_does_not_show_its_secret():
    """Neither in a log nor in a traceback."""
    assert "a secret" not in repr(key())


# Wrong keys


async def test_wrong_keys_are_counted_and_logged_within_bounds(monkeypatch):
    """The metric counts each; the log has a few lines and how many were left out."""
    monkeypatch.setattr("recovery.http.keys.PAUSE", 0.0)
    house = House()
    with capture_logs() as lines:
        for _ in range(100):
            problem(await house.post("/order", ORDER, Authorization="Bearer wrong"), 401)
    assert house.registry.get_sample_value("recovery_wrong_keys_total") == 100
    assert 0 < len([line for line in lines if "API key" in line["event"]]) <= 10


async def test_answers_to_many_wrong_keys_take_a_moment_and_right_keys_do_not(monkeypatch):
    """While a guess waits for its answer, the right key is answered."""
    monkeypatch.setattr("recovery.http.keys.PAUSE", 3600.0)
    house = House()
    for _ in range(MOST_AT_ONCE):
        problem(await house.post("/order", ORDER, Authorization="Bearer wrong"), 401)
    guess = asyncio.create_task(house.post("/order", ORDER, Authorization="Bearer wrong"))
    for _ in range(20):
        assert (await house.post("/order", ORDER)).status_code == 202
    assert not guess.done()
    guess.cancel()


def test_a_few_slips_are_answered_at_once():
    """Only what goes on is held back; after a while without any, slips are forgiven again."""
    wrong = WrongKeys()
    assert [wrong.pause(0.0) for _ in range(MOST_AT_ONCE + 1)] == [0.0] * MOST_AT_ONCE + [PAUSE]
    assert (wrong.pause(EVERY), wrong.pause(EVERY)) == (0.0, PAUSE)


def test_no_more_than_some_wait():
    """Beyond their number nothing is held for them: the connection is closed."""
    wrong = WrongKeys()
    for _ in range(MOST_AT_ONCE):
        wrong.pause(0.0)
    wrong.waiting = MOST_WAITING
    assert wrong.pause(0.0) is None
