"""Export and erasure of a person's data."""

import pytest


async def test_a_person_is_exported_and_erased(api):
    """Export and erasure take the address in the body, and return what was found."""
    person = {"email": "ada@example.com", "shop": "bikes.example"}
    answer = await api.client.post("/export", json=person)
    assert (answer.status_code, answer.json(), answer.headers["cache-control"]) == (200, person, "no-store")
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
