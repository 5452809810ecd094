"""Refused requests: the log lines for operators, and the headers of every response."""

import json

import pytest
from structlog.testing import capture_logs

from recovery.http.problems import ProblemType
from tests.support.api import CHECKOUT, KEY, ORDER, Api, problem

JSON_WITH_KEY = [(b"content-type", b"application/json"), (b"authorization", f"Bearer {KEY}".encode())]


@pytest.fixture
def api():
    return Api()


@pytest.mark.parametrize(
    ("path", "body", "kind", "status", "shop"),
    [
        ("/checkout", {**CHECKOUT, "total": "cheap"}, "checkout", 422, "bikes.example"),
        ("/order", {**ORDER, "ada@example.com": 1}, "order", 422, "bikes.example"),
        ("/order", {**ORDER, "shop": "ada@example.com/x"}, "order", 422, "…/x"),
        ("/order", {**ORDER, "shop": 7}, "order", 422, ""),
        ("/order", b"nope", "order", 422, ""),
        ("/order", b" " * 300_000, "order", 413, ""),
    ],
)
async def test_a_refused_report_is_logged(api, path, body, kind, status, shop):
    """The log line has the shop, kind and reason, since the report may not be sent again; and no address."""
    with capture_logs() as lines:
        answer = await api.post(path, body)
    assert answer.status_code == status
    (line,) = lines
    assert (line["event"], line["kind"], line["status"]) == ("report refused", kind, status)
    assert line["reason"]
    assert line["shop"].startswith(shop[:1])
    assert "ada" not in str(lines)


async def test_a_webhook_that_is_too_long_is_logged_with_its_shop(api):
    """The shop is taken from the header: the body was not read."""
    with capture_logs() as lines:
        await api.webhook(b" " * (8 * 1024 * 1024 + 1))
    (line,) = lines
    assert (line["kind"], line["status"], line["shop"]) == ("shopify", 413, "a.myshopify.com")


async def test_a_fault_of_ours_is_logged_with_its_type_and_place(api):
    """The log has the type of the error and our innermost line; not the message, which may hold customer data."""
    api.ingestion.fault = RuntimeError("ada@example.com")
    with capture_logs() as lines:
        problem(await api.post("/checkout", CHECKOUT), 500)
    (line,) = [line for line in lines if line["log_level"] == "error"]
    assert line["error"] == "RuntimeError"
    assert line["place"].startswith("http/api/reports.py:")
    assert "ada" not in str(lines)


@pytest.mark.parametrize(
    "accept", ["text/plain;version=x", "*/*", "application/openmetrics-text;version=1.0.0", ";;q=,"]
)
async def test_metrics_are_shown_whatever_is_asked_for(api, accept):
    """Metrics are shown for any Accept header; an invalid one is ignored."""
    answer = await api.client.get("/metrics", headers={"Accept": accept})
    assert answer.status_code == 200
    assert "recovery_reports" in answer.text


@pytest.mark.parametrize("hosts", [[], [b"a.example", b"b.example"], [b"a.example", b"a.example"]])
async def test_a_request_has_one_host(api, hosts):
    """A request without a Host header, or with several, is rejected (RFC 9112 section 3.2)."""
    answer = await asked(api.app, [(b"host", host) for host in hosts])
    assert answer["status"] == 400
    assert ProblemType.HOST.value.encode() in answer["body"]


@pytest.mark.parametrize("hosts", [[], [b"localhost", b"localhost"]])
@pytest.mark.parametrize("path", ["/checkout", "/order"])
async def test_a_report_has_one_host(api, path, hosts):
    """A report without a Host header, or with several, is rejected and not stored."""
    headers = [*((b"host", host) for host in hosts), *JSON_WITH_KEY]
    answer = await asked(api.app, headers, method="POST", path=path, body=json.dumps(ORDER).encode())
    assert answer["status"] == 400
    assert ProblemType.HOST.value.encode() in answer["body"]
    assert (b"x-content-type-options", b"nosniff") in answer["headers"]
    assert api.ingestion.reports == []


@pytest.mark.parametrize(("keys", "status"), [((KEY, "wrong"), 202), (("wrong", KEY), 401)])
async def test_of_a_header_that_is_repeated_the_first_counts(api, keys, status):
    """A proxy that adds a header to a report changes nothing about the caller's own."""
    given = [(b"authorization", f"Bearer {key}".encode()) for key in keys]
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), *given]
    answer = await asked(api.app, headers, method="POST", path="/order", body=json.dumps(ORDER).encode())
    assert answer["status"] == status


async def test_the_old_version_of_http_needs_no_host(api):
    """HTTP/1.0 has no Host header, and some probes still use it."""
    assert (await asked(api.app, [], version="1.0"))["status"] == 200


async def asked(app, headers, *, version="1.1", method="GET", path="/healthz", body=b""):
    """Send a request with exactly these headers, which no HTTP client allows."""
    scope = {
        "type": "http",
        "http_version": version,
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": None,
        "server": None,
    }
    told = {"body": b""}

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        told["body"] += message.get("body", b"")
        if message["type"] == "http.response.start":
            told.update({"status": message["status"], "headers": message["headers"]})

    await app(scope, receive, send)
    return told


@pytest.mark.parametrize("path", ["/docs", "/healthz", "/metrics", "/nowhere", "/u/x", "/openapi.json"])
async def test_no_answer_is_taken_for_another_type(api, path):
    """Every response has nosniff, whatever its status."""
    answer = await api.client.get(path)
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (ORDER, {}, 202),
        (ORDER, {"Authorization": "Bearer wrong"}, 401),
        (b" " * 300_000, {}, 413),
        (ORDER, {"Content-Type": "text/plain"}, 415),
        ({}, {}, 422),
    ],
)
async def test_no_answer_to_a_report_is_taken_for_another_type(api, body, headers, status):
    """Every response to a report has nosniff once, and is counted once."""
    answer = await api.post("/order", body, **headers)
    assert answer.status_code == status
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert api.counted("order", "accepted" if status == 202 else str(status)) == 1


async def test_an_answer_to_a_fault_is_not_taken_for_another_type(api):
    """The response to an internal error has nosniff too."""
    api.ingestion.fault = RuntimeError("bad luck")
    answer = await api.post("/order", ORDER)
    assert (answer.status_code, answer.headers["x-content-type-options"]) == (500, "nosniff")


@pytest.mark.parametrize(
    ("path", "allowed"), [("/checkouts/s/1", "DELETE, GET"), ("/checkout", "POST"), ("/healthz", "GET")]
)
async def test_all_methods_of_a_path_are_told(api, path, allowed):
    """Allow lists all methods of a path that several endpoints share."""
    answer = await api.client.patch(path)
    assert problem(answer, 405)["type"] == ProblemType.METHOD
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/nowhere", ProblemType.NOT_FOUND),
        ("GET", "/checkouts/s/1", ProblemType.NO_CHECKOUT),
        ("POST", "/bounces", ProblemType.NOT_CONFIGURED),
        ("POST", "/webhooks/shopify", ProblemType.SIGNATURE),
        ("POST", "/checkout", ProblemType.MEDIA_TYPE),
    ],
)
async def test_programs_need_not_read_prose(api, method, path, kind):
    """Each kind of problem has a type of its own."""
    assert (await api.client.request(method, path)).json()["type"] == kind
