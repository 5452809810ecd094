"""Reports of checkouts and orders: which are accepted, and the limits."""

import asyncio
import json

import pytest

from recovery.domain.checkout import Checkout
from recovery.http import endpoints
from recovery.http.middleware import DRAIN_LIMIT
from tests.support.api import AT, CHECKOUT, ORDER, chunks, problem, state


async def test_checkout_is_kept(api):
    """A reported checkout reaches the ingestion; the response has its id and its location."""
    answer = await api.post("/checkout", CHECKOUT)
    assert answer.status_code == 202
    assert answer.json() == {"id": "bikes.example/1042"}
    assert answer.headers["location"] == "/checkouts/bikes.example/1042"
    assert api.ingestion.reports == [Checkout(**CHECKOUT)]


async def test_order_is_kept(api):
    """A reported order reaches the ingestion."""
    answer = await api.post("/order", {**ORDER, "ordered_at": "2026-03-01T14:05:00+01:00"})
    assert (answer.status_code, answer.json()) == (202, {"id": "bikes.example/1042"})
    (report,) = api.ingestion.reports
    assert report.ordered_at == AT


async def test_a_report_costs_nothing_of_the_web_framework(api, monkeypatch):
    """A report is answered before FastAPI, which is made with the first request that needs it."""
    made = []

    def noted(*arguments, **named):
        made.append(endpoints.endpoints)
        return build(*arguments, **named)

    build = endpoints.endpoints
    monkeypatch.setattr(endpoints, "endpoints", noted)
    await api.post("/checkout", CHECKOUT)
    await api.post("/order", ORDER, Authorization="Bearer wrong")
    assert not made
    await api.client.get("/checkout")
    await api.client.get("/order")
    assert len(made) == 1


async def test_a_report_may_come_in_parts(api):
    """A body that arrives in several parts is read as one."""
    body = json.dumps(CHECKOUT).encode()

    async def parts():
        for begin in range(0, len(body), 100):
            yield body[begin : begin + 100]

    answer = await api.client.post("/checkout", content=parts(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 202
    assert api.ingestion.reports == [Checkout(**CHECKOUT)]


async def test_location_leads_to_the_checkout(api):
    """The Location of a report is the URL of that checkout, whatever characters its key has."""
    key = "a/b c?d#é%2F"
    api.ingestion.states[f"bikes.example/{key}"] = state(_id=f"bikes.example/{key}")
    answer = await api.post("/checkout", {**CHECKOUT, "order_id": key})
    shown = await api.client.get(answer.headers["location"])
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
async def test_bad_field_is_named(api, changes, field):
    """An invalid field is answered with 422 and its name, and nothing is stored."""
    told = problem(await api.post("/checkout", {**CHECKOUT, **changes}), 422)
    assert told["errors"][0]["field"] == field
    assert told["errors"][0]["message"]
    assert field in told["detail"]
    assert api.ingestion.reports == []


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
async def test_bad_json_is_a_problem(api, body):
    """A body that is not a JSON object is answered with 422, however deep or long it is."""
    assert problem(await api.post("/checkout", body), 422)["errors"]
    assert api.ingestion.reports == []


async def test_unicode_is_kept(api):
    """Names of any script, emoji included, arrive as they were sent."""
    name = "Łódź 自転車 👩\u200d🚲 عجلة"
    await api.post("/checkout", {**CHECKOUT, "items": [{"name": name, "price": "1"}]})
    assert api.ingestion.reports[0].items[0].name == name


@pytest.mark.parametrize(
    "changes", [{"customer": {"email": "ada lovelace@secret"}}, {"total": "secret-7"}, {"currency": "secret"}]
)
async def test_problem_echoes_nothing(api, changes):
    """A problem names the field and never repeats its value."""
    answer = await api.post("/checkout", {**CHECKOUT, **changes})
    assert "secret" not in answer.text
    assert "ada" not in answer.text


async def test_problem_has_an_end(api):
    """A problem lists the first few errors only, and cuts long field names."""
    answer = await api.post("/checkout", {**CHECKOUT, **{f"{i}{'x' * 200}": 1 for i in range(500)}})
    assert len(problem(answer, 422)["errors"]) == 20
    assert len(answer.content) < 5_000


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
async def test_only_json_is_taken(api, content_type):
    """A report must be declared as JSON: any web page can post other types to this machine (CSRF)."""
    problem(await api.post("/checkout", CHECKOUT, **{"Content-Type": content_type}), 415)
    assert api.ingestion.reports == []


async def test_json_may_name_its_charset(api):
    """Parameters of the media type and its case do not matter."""
    answer = await api.post("/checkout", CHECKOUT, **{"Content-Type": "Application/JSON; charset=utf-8"})
    assert answer.status_code == 202


@pytest.mark.parametrize("confirm", [0, 1, "no", "false"])
async def test_whether_an_order_is_confirmed_is_yes_or_no(api, confirm):
    """`confirm` must be a boolean: ambiguous values are rejected."""
    told = problem(await api.post("/order", {**ORDER, "confirm": confirm}), 422)
    assert told["errors"][0]["field"] == "confirm"


@pytest.mark.parametrize("path", ["/checkout", "/order"])
async def test_long_body_is_refused(api, path):
    """A Content-Length over 256 KiB is answered with 413, and nothing is stored."""
    problem(await api.post(path, b" " * (256 * 1024 + 1)), 413)
    assert api.ingestion.reports == []


@pytest.mark.parametrize("path", ["/checkout", "/order"])
async def test_long_chunked_body_is_refused(api, path):
    """A chunked body over 256 KiB is rejected, and not read to its end."""
    taken = 0

    async def body():
        nonlocal taken
        async for chunk in chunks(10 * DRAIN_LIMIT):
            taken += len(chunk)
            yield chunk

    answer = await api.client.post(path, content=body(), headers={"Content-Type": "application/json"})
    problem(answer, 413)
    assert taken <= DRAIN_LIMIT + 64 * 1024
    assert api.ingestion.reports == []


@pytest.mark.parametrize("length", ["9" * 5000, "-", "1e9"])
async def test_odd_length_is_refused(api, length):
    """An invalid Content-Length is rejected like one that is too long."""
    problem(await api.post("/checkout", CHECKOUT, **{"Content-Length": length}), 413)


async def test_body_of_the_limit_is_read(api):
    """A body of exactly 256 KiB is accepted by the limit."""
    body = json.dumps(CHECKOUT).encode()
    answer = await api.post("/checkout", body + b" " * (256 * 1024 - len(body)))
    assert answer.status_code == 202


async def test_reports_go_side_by_side(api):
    """A hundred concurrent reports are all stored."""
    answers = await asyncio.gather(*(api.post("/order", {**ORDER, "order_id": str(i)}) for i in range(100)))
    assert {answer.status_code for answer in answers} == {202}
    assert len(api.ingestion.reports) == 100
