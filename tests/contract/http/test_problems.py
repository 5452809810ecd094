"""Problem details of errors: wrong paths, no database, internal errors."""

import pytest

from recovery.client import Unavailable
from tests.support.api import CHECKOUT, ORDER, problem


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("GET", "/checkout", 405), ("POST", "/checkout/", 404), ("PUT", "/order", 405)],
)
async def test_wrong_address_is_a_problem(api, method, path, status):
    """An unknown path or method is answered with a problem."""
    answer = await api.client.request(method, path)
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
async def test_database_away_is_told(api, method, path, body):
    """While the database is unavailable, the answer is 503 with Retry-After, and without internals."""
    api.ingestion.fault = Unavailable("db-7.internal:27017 refused")
    answer = await api.client.request(method, path, json=body)
    told = problem(answer, 503)
    assert answer.headers["retry-after"] == "1"
    assert "internal" not in told["detail"]


async def test_fault_of_ours_shows_nothing(api):
    """An internal error is answered with 500, without traceback or message."""
    api.ingestion.fault = RuntimeError("ada@example.com")
    answer = await api.post("/checkout", CHECKOUT)
    problem(answer, 500)
    assert "ada" not in answer.text
    assert "Traceback" not in answer.text
