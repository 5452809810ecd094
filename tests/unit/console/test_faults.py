"""Faults as pages: what a person is told of what is not their fault."""

import pytest

from recovery.errors import Damaged, Refused, Unavailable
from tests.support.console_alone import SECRET, console_alone


class Failing:
    """A database that fails."""

    def __init__(self, fault):
        self.fault = fault

    async def get(self, *_asked):
        raise self.fault


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [
        (Damaged("checkout a.example/1 cannot be read: items: is no list; correct it"), 409, "items: is no list"),
        (Refused("checkouts cannot be listed: run <code>recovery init</code>"), 503, "run &lt;code&gt;recovery init"),
        (Unavailable("connection to db-1.internal refused"), 503, "Load the page again in a moment."),
        (RuntimeError("secret words"), 500, "It is in the log of the daemon."),
    ],
    ids=["damaged", "refused", "away", "bug"],
)
async def test_a_fault_is_a_page_that_says_what_to_do(fault, status, said):
    """What has a sentence for people shows it; what has none shows nothing of itself."""
    async with console_alone(Failing(fault)) as client:
        await client.post("/console/sign-in", data={"key": SECRET})
        answer = await client.get("/console/checkouts/a.example/1")
    assert answer.status_code == status
    assert answer.headers["cache-control"] == "no-store"
    assert said in answer.text
    assert "db-1.internal" not in answer.text
    assert "secret words" not in answer.text
    assert "Traceback" not in answer.text


async def test_what_is_not_the_database_does_not_name_it():
    """Here, that no shop has templates."""
    async with console_alone() as client:
        await client.post("/console/sign-in", data={"key": SECRET})
        answer = await client.get("/console/mails")
    assert answer.status_code == 503
    assert "There are no templates here." in answer.text
    assert "database" not in answer.text
