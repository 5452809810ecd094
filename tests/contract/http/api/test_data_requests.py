"""Export and erasure of a person's data."""

import pytest

from recovery.http.endpoints import description
from tests.support.api import problem


async def test_a_person_is_exported_and_erased(api):
    """Export and erasure take the address in the body, and return what was found."""
    person = {"email": "ada@example.com", "shop": "bikes.example"}
    answer = await api.client.post("/export", json=person)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.json() == {
        "email": "ada@example.com",
        "checkouts": [{"_id": "bikes.example/1"}],
        "dead_letters": [],
        "suppressions": [],
    }
    answer = await api.client.post("/erase", json=person)
    assert (answer.status_code, answer.json()) == (
        200,
        {"checkouts": ["bikes.example/1"], "dead_letters": [], "shadows": 1},
    )
    assert api.ingestion.erased == [("ada@example.com", "bikes.example")]


@pytest.mark.parametrize("path", ["/export", "/erase"])
async def test_only_key_holders_may_ask_of_a_person(api, path):
    """Without a key nothing is shown or erased; an invalid address is a problem."""
    answer = await api.client.post(path, json={"email": "ada@example.com"}, headers={"Authorization": ""})
    assert answer.status_code == 401
    answer = await api.client.post(path, json={"email": "nobody"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "body.email")
    assert api.ingestion.erased == []


@pytest.mark.parametrize("path", ["/export", "/erase"])
@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded"])
async def test_a_body_of_another_media_type_is_refused_as_described(api, path, media_type):
    """A body that is not declared as JSON is not read; the status is one that the description lists."""
    body = b'{"email": "ada@example.com", "shop": "bikes.example"}'
    answer = await api.client.post(path, content=body, headers={"Content-Type": media_type})
    problem(answer, 422)
    assert {"422"} <= set(description()["paths"][path]["post"]["responses"])
    assert "415" not in description()["paths"][path]["post"]["responses"]
    assert api.ingestion.erased == []
