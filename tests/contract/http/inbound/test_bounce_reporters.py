"""Who may report bounces over HTTP: whoever signs with one of the secrets."""

import json

import pytest

from recovery.errors import Unavailable
from recovery.http.security import TOLERANCE
from tests.support.bounce_api import EVENT, OLD_SECRET, SECRET, BounceApi, signed


@pytest.fixture
def api():
    return BounceApi()


@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
@pytest.mark.parametrize("at", [-TOLERANCE, 0, TOLERANCE])
async def test_any_secret_signs(api, secret, at):
    """A report that any of the secrets signed is taken, within five minutes of its time."""
    assert (await api.report(EVENT, secret=secret, at=at)).status_code == 200


@pytest.mark.parametrize("signing", [{"secret": "no secret"}, {"at": -TOLERANCE - 1}, {"at": TOLERANCE + 1}])
async def test_a_wrong_signature_is_refused(api, signing):
    """A report that somebody else signed, or at another time, is refused before it is read."""
    answer = await api.report(b"nonsense", **signing)
    assert answer.status_code == 401
    assert ("bounces.secrets" in answer.json()["detail"]) == ("secret" in signing)
    assert answer.headers["www-authenticate"] == "Recovery-Signature"
    assert api.kept == {}


@pytest.mark.parametrize(
    "header", ["", "t=", "v1=", "t=now,v1=x", f"t={'9' * 5000},v1=x", "t=1,v1=é", "t=²,v1=x", ",,,==", "v1=x,t=1"]
)
async def test_nonsense_for_a_signature_is_refused(api, header):
    """A malformed signature is refused, and crashes nothing."""
    headers = {"Recovery-Signature": header.encode("latin-1"), "Content-Type": "application/json"}
    answer = await api.client.post("/bounces", content=json.dumps(EVENT), headers=headers)
    assert answer.status_code == 401


async def test_a_signature_is_of_its_body_alone(api):
    """A signature taken from one report does not sign another."""
    headers = {"Recovery-Signature": signed(b"{}"), "Content-Type": "application/json"}
    assert (await api.client.post("/bounces", content=json.dumps(EVENT), headers=headers)).status_code == 401


async def test_without_a_secret_nobody_may_report():
    """Where no secret is set there is no such endpoint, however a report is signed."""
    api = BounceApi(bounce_secrets=())
    for secret in ("", SECRET):
        assert (await api.report(EVENT, secret=secret)).status_code == 404


async def test_without_the_database_a_report_is_sent_again(api):
    """If the database is unavailable, the answer is 503 with Retry-After."""
    api.feedback.suppressions.fault = Unavailable("no primary")
    answer = await api.report(EVENT)
    assert answer.status_code == 503
    assert "retry-after" in answer.headers


async def test_reports_are_counted(api):
    """Answers to reports are counted by their status, so that a wrong secret is noticed."""
    await api.report(EVENT)
    await api.report(EVENT, secret="no secret")
    counted = [
        api.registry.get_sample_value("recovery_reports_total", {"kind": "bounce", "answer": answer})
        for answer in ("accepted", "401")
    ]
    assert counted == [1, 1]
