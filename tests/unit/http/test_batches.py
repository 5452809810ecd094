"""Many reports in one request: each has its own result, and nothing in one harms the others."""

import asyncio
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from recovery.domain.channels import Answer
from recovery.domain.checkout import Checkout, Order
from recovery.errors import Unavailable
from recovery.http.api import batches
from recovery.http.channels import ChannelCounts
from recovery.http.keys import ApiKey, Scope
from tests.support.api import CHECKOUT, KEY, ORDER, Api, problem


@pytest.fixture
def api():
    return Api()


NDJSON, ARRAY = "application/x-ndjson", "application/json"
LINE = json.dumps(CHECKOUT).encode() + b"\n"
THREE = [{**CHECKOUT, "order_id": str(number)} for number in range(3)]
IDS = [f"bikes.example/{number}" for number in range(3)]


def body_of(media_type, reports):
    """Return reports as a body; bytes in it stay as they are."""
    parts = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in reports]
    return b"\n".join(parts) if media_type == NDJSON else b"[" + b",".join(parts) + b"]"


async def post(api, reports, path="/checkouts", media_type=NDJSON, **headers):
    """Post a batch, whole or as it is; return its results."""
    body = reports if not isinstance(reports, list) else body_of(media_type, reports)
    answer = await api.client.post(path, content=body, headers={"Content-Type": media_type, **headers})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == NDJSON
    assert answer.headers["x-content-type-options"] == "nosniff"
    return [json.loads(line) for line in answer.text.splitlines()]


def stored(api):
    return [each.id for each in api.ingestion.reports]


@pytest.mark.parametrize("media_type", [NDJSON, ARRAY, f"{ARRAY}; charset=utf-8"])
async def test_each_report_is_kept_and_has_a_result(api, media_type):
    """The results have the numbers of the reports and their ids, in order; each report counts."""
    results = await post(api, body_of(media_type.partition(";")[0], THREE), media_type=media_type)
    assert results == [{"line": number, "id": id_} for number, id_ in enumerate(IDS, 1)]
    assert api.ingestion.reports == [Checkout(**each) for each in THREE]
    assert api.counted("checkout", "accepted") == 3


async def test_orders_come_in_batches_too(api):
    """`POST /orders` is the same for orders."""
    first, second = await post(api, [ORDER, CHECKOUT | {"touched_at": "2026-03-01T14:05:00Z"}], "/orders")
    assert first == {"line": 1, "id": "bikes.example/1042"}
    assert second["errors"] == [{"field": "touched_at", "message": "Extra inputs are not permitted"}]
    assert api.ingestion.reports == [Order(**ORDER)]
    assert api.counted("order", "accepted") == api.counted("order", "422") == 1


HOSTILE = {
    "no JSON": (b"nope", 422, "body"),
    "null": (b"null", 422, "body"),
    "an array for a report": (b"[1]", 422, "body"),
    "a text for a report": (b'"text"', 422, "body"),
    "invalid UTF-8": (b'{"shop": "\xff\xfe"}', 422, "body"),
    "half a pair of surrogates": (b'{"shop": "\\ud800"}', 422, "body"),
    "nested deeply": (b'{"shop": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", 422, "body"),
    "beyond 64 bits": ({**CHECKOUT, "items": [{"name": "x", "price": 1, "quantity": 2**65}]}, 422, "items.0.quantity"),
    "a number of many digits": ({**CHECKOUT, "total": 10**4000}, 422, "total"),
    "null everywhere": (dict.fromkeys(CHECKOUT), 422, "customer"),
    "an unknown field": ({**CHECKOUT, "surprise": 1}, 422, "surprise"),
    "too long": ({**CHECKOUT, "order_id": "x" * 300_000}, 413, None),
}


@pytest.mark.parametrize("media_type", [NDJSON, ARRAY])
@pytest.mark.parametrize("what", HOSTILE)
async def test_a_bad_report_is_refused_alone(api, what, media_type):
    """Its result names the field, and those before and after it are stored; the log has no value of it."""
    bad, status, field = HOSTILE[what]
    with capture_logs() as lines:
        first, told, last = await post(api, [THREE[0], bad, THREE[2]], media_type=media_type)
    assert (first["line"], told["line"], last["line"]) == (1, 2, 3)
    assert (told["status"], told.get("errors", [{"field": None}])[0]["field"]) == (status, field)
    assert told["detail"]
    assert stored(api) == [IDS[0], IDS[2]]
    assert api.counted("checkout", str(status)) == 1
    (line,) = lines
    assert (line["event"], line["kind"], line["status"]) == ("report refused", "checkout", status)
    assert "ada" not in str(lines)


@pytest.mark.parametrize(
    ("media_type", "body", "line", "kind", "said"),
    [
        (NDJSON, json.dumps(CHECKOUT).encode() + b'\n{"shop": "bikes.exam', 2, "invalid", "Invalid JSON"),
        (
            ARRAY,
            b"[" + json.dumps(CHECKOUT).encode() + b', {"shop": "bi',
            2,
            "incomplete",
            "before its closing bracket",
        ),
        (ARRAY, b"[" + json.dumps(CHECKOUT).encode() + b" 7]", 2, "invalid", "a comma or its end is missing"),
        (ARRAY, b"[" + json.dumps(CHECKOUT).encode() + b"] 7", 2, "invalid", "follows the end of the array"),
    ],
)
async def test_a_body_that_is_cut_off_or_broken_says_where(api, media_type, body, line, kind, said):
    """What comes before is stored, and the last result has the number of what is not."""
    first, last = await post(api, body, media_type=media_type)
    assert first == {"line": 1, "id": "bikes.example/1042"}
    assert (last["line"], last["type"]) == (line, f"urn:recovery:problem:{kind}")
    assert said in last["detail"]


@pytest.mark.parametrize(
    ("media_type", "body"), [(NDJSON, b""), (NDJSON, b"\n \r\n"), (ARRAY, b"[]"), (ARRAY, b" [ ] ")]
)
async def test_an_empty_batch_has_no_results(api, media_type, body):
    """Empty lines are passed over, and count as lines."""
    assert await post(api, body, media_type=media_type) == []
    assert await post(api, b"\n\n" + json.dumps(CHECKOUT).encode()) == [{"line": 3, "id": "bikes.example/1042"}]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (json.dumps(CHECKOUT).encode(), 422, "must be an array"),
        (b"7", 422, "must be an array"),
        (b"[,", 422, "should be where , is"),
        (b"", 400, "ends before its closing bracket"),
        (b"[", 400, "ends before its closing bracket"),
        (b'[{"shop": "bikes.example', 400, "ends before its closing bracket"),
    ],
)
async def test_a_body_of_which_nothing_can_be_read_is_a_problem(api, body, status, said):
    """There is no result of it, and the problem says what is wrong with the array."""
    told = problem(await api.post("/checkouts", body), status)
    assert said in told["detail"]
    assert stored(api) == []
    assert api.counted("checkout", str(status)) == 1


@given(
    st.lists(st.binary(max_size=30) | st.sampled_from([b"[", b"]", b",", b"{", b"}", b'"', b"\n", LINE]), max_size=12)
)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("media_type", [NDJSON, ARRAY])
async def test_whatever_is_sent_has_a_result_or_a_problem(media_type, parts):
    """No bytes lead to a 5xx, and as many reports are stored as have an id in the answer."""
    api = Api()
    answer = await api.client.post("/checkouts", content=b"".join(parts), headers={"Content-Type": media_type})
    assert answer.status_code in (200, 400, 422)
    results = [json.loads(line) for line in answer.text.splitlines()]
    assert len(stored(api)) == sum("id" in each for each in results)
    assert all("id" in each or 400 <= each["status"] < 500 for each in results)


async def test_while_the_database_is_away_each_line_says_so(api):
    """The results say what to repeat; the log says it a few times, and not for each report."""
    api.ingestion.fault = Unavailable("no primary")
    with capture_logs() as lines:
        results = await post(api, [{**CHECKOUT, "order_id": str(number)} for number in range(100)])
    assert {each["status"] for each in results} == {503}
    assert {each["type"] for each in results} == {"urn:recovery:problem:unavailable"}
    assert "send it again" in results[0]["detail"]
    assert len(lines) == 10
    assert api.counted("checkout", "503") == 100


async def test_a_fault_of_ours_ends_one_line_alone(api):
    """It is logged by its type and place, without a value."""
    api.ingestion.fault = RuntimeError("ada@example.com")
    with capture_logs() as lines:
        (told,) = await post(api, [CHECKOUT])
    assert (told["status"], told["type"]) == (500, "urn:recovery:problem:fault")
    assert "ada" not in str(lines)


async def test_a_key_for_some_shops_is_checked_line_by_line():
    """Reports of other shops are refused, and stored by nobody."""
    api = Api(api_keys=(), keys=[ApiKey("shop", KEY, shops=frozenset({"bikes.example"}))])
    headers = {"Authorization": f"Bearer {KEY}"}
    results = await post(api, [CHECKOUT, {**CHECKOUT, "shop": "lamps.example"}], **headers)
    assert [each.get("type", each.get("id")) for each in results] == [
        "bikes.example/1042",
        "urn:recovery:problem:other-shop",
    ]
    assert stored(api) == ["bikes.example/1042"]


async def never():
    """Yield a body that must not be read."""
    raise AssertionError("the body was read")
    yield b""


@pytest.mark.parametrize("path", ["/checkouts", "/orders"])
async def test_the_caller_is_checked_before_anything_is_read(path):
    """Without a right key, scope or media type, nothing of the body is read."""
    api = Api(api_keys=(), keys=[ApiKey("reader", KEY, scopes=frozenset({Scope.READ}))])

    async def refused(status, **headers):
        problem(await api.client.post(path, content=never(), headers=headers), status)

    await refused(401, **{"Content-Type": NDJSON})
    await refused(403, **{"Content-Type": NDJSON, "Authorization": f"Bearer {KEY}"})
    reporter = Api()
    for media_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        problem(await reporter.client.post(path, content=never(), headers={"Content-Type": media_type}), 415)


async def test_no_more_batches_are_read_than_there_is_room_for(api, monkeypatch):
    """A further one is told when to come again, and one that ends makes room."""
    monkeypatch.setattr(batches, "MOST_BATCHES", 1)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow():
        begun.set()
        yield b" "
        await go_on.wait()

    first = asyncio.create_task(post(api, slow()))
    await begun.wait()
    answer = await api.client.post("/checkouts", content=never(), headers={"Content-Type": NDJSON})
    problem(answer, 503)
    assert answer.headers["retry-after"] == "30"
    go_on.set()
    await first
    assert len(await post(api, THREE)) == 3


async def test_one_key_leaves_room_for_the_batches_of_others(monkeypatch):
    """A shop that sends one batch after the other does not shut out another shop; a key that is the only one may."""
    monkeypatch.setattr(batches, "MOST_OF_A_KEY", 1)
    go_on = asyncio.Event()

    async def slow(begun):
        begun.set()
        yield b" "
        await go_on.wait()

    async def begun(api, key):
        begins = asyncio.Event()
        batch = asyncio.create_task(post(api, slow(begins), Authorization=f"Bearer {key}"))
        await begins.wait()
        return batch

    two = Api(api_keys=(), keys=[ApiKey("first", "k1"), ApiKey("second", "k2")])
    one = Api(api_keys=(), keys=[ApiKey("first", "k1")])
    reading = [await begun(two, "k1")]
    headers = {"Content-Type": NDJSON, "Authorization": "Bearer k1"}
    told = problem(await two.client.post("/checkouts", content=never(), headers=headers), 503)
    assert "1 batches of the key 'first' are being read" in told["detail"]
    reading += [await begun(two, "k2"), await begun(one, "k1"), await begun(one, "k1")]
    go_on.set()
    await asyncio.gather(*reading)
    assert len(await post(two, THREE, Authorization="Bearer k1")) == 3


async def test_who_prefers_it_gets_the_problems_and_the_totals(api):
    """With `Prefer: return=minimal` (RFC 7240) the answer of a batch without faults is one line, however long it is."""
    answer = await post(api, [*THREE, b"nope"], Prefer="respond-async, return=minimal")
    assert [each.get("line") for each in answer] == [4, None]
    assert answer[-1] == {"stored": 3, "not_stored": 1}


async def test_no_more_is_on_its_way_than_so_many_bytes(api, monkeypatch):
    """Long reports wait for those before them, so that memory does not grow; a longer one than the limit goes alone."""
    monkeypatch.setattr(batches, "MOST_BYTES", 1000)
    most = 0
    keep = api.ingestion._report

    async def noted(call):
        nonlocal most
        api.ingestion.now = getattr(api.ingestion, "now", 0) + 1
        most = max(most, api.ingestion.now)
        await asyncio.sleep(0.001)
        api.ingestion.now -= 1
        return await keep(call)

    monkeypatch.setattr(api.ingestion, "_report", noted)
    long = {**CHECKOUT, "checkout_url": f"https://bikes.example/{'x' * 1500}"}
    assert (
        len(await post(api, [{**each, "order_id": str(n)} for n, each in enumerate([*THREE * 5, long, *THREE])])) == 19
    )
    assert most == 1000 // len(json.dumps(THREE[0]))


async def test_each_report_counts_for_its_shop():
    """A shop that reports in batches alone has reported: `recovery check --shops` says when."""
    channels = ChannelCounts()
    other = {**THREE[0], "shop": "lamps.example"}
    await post(Api(channels=channels), [*THREE, other, {**other, "total": "-1"}])
    heard = {(each.shop, each.channel, each.answer): each.times for each in channels.taken()}
    assert heard == {
        ("bikes.example", "api", Answer.ACCEPTED): 3,
        ("lamps.example", "api", Answer.ACCEPTED): 1,
        ("lamps.example", "api", Answer.REFUSED): 1,
    }
