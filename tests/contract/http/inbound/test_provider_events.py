"""Webhooks of providers over HTTP: who may send them, and what is kept of them."""

import base64
import json

import pytest
from structlog.testing import capture_logs

from recovery.domain.pseudonyms import Pseudonyms
from recovery.domain.suppression import SuppressionReason
from recovery.errors import Unavailable
from recovery.http.fetching import CannotFetch
from recovery.mail.providers import PROVIDERS
from tests.support.bounce_api import ADA, SECRET, BounceApi

TOPIC = "arn:aws:sns:eu-west-1:123456789012:bounces"
PSEUDONYM = Pseudonyms([]).of(ADA)
HARD, COMPLAINT = SuppressionReason.HARD_BOUNCE, SuppressionReason.COMPLAINT


class ProviderApi(BounceApi):
    """The application, and a client that calls it as Postmark does."""

    def __init__(self, **changes):
        secrets = {"postmark": ["an older secret", SECRET], "brevo": [SECRET], "ses": [TOPIC]}
        super().__init__(**{"provider_secrets": secrets} | changes)

    async def post(self, content, provider="postmark", secret=SECRET):
        """Post an event, with the secret as the password."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        password = base64.b64encode(f"recovery:{secret}".encode()).decode()
        return await self.client.post(
            f"/bounces/{provider}", content=body, headers={"Authorization": f"Basic {password}"}
        )


@pytest.fixture
def api():
    return ProviderApi()


def bounce(type_="HardBounce", **changes):
    return {"RecordType": "Bounce", "Type": type_, "Email": ADA, "ID": 7, **changes}


@pytest.mark.parametrize(
    ("content", "taken", "kept"),
    [
        (bounce(), "hard", HARD),
        (bounce(Details="smtp;550 5.1.1 no such user"), "hard", HARD),
        (bounce(Details="smtp;552 5.2.2 mailbox full"), "soft", None),
        (bounce(Details="smtp;550 5.7.1 listed by spamhaus"), "blocked", None),
        (bounce("SoftBounce"), "soft", None),
        (bounce("SpamComplaint", RecordType="SpamComplaint"), "complaint", COMPLAINT),
        (
            {"RecordType": "SubscriptionChange", "Recipient": ADA, "SuppressSending": True},
            "unsubscribed",
            "unsubscribed",
        ),
        ({"RecordType": "Delivery", "Recipient": ADA}, "ignored", None),
    ],
)
async def test_an_event_has_the_effect_of_a_report(api, content, taken, kept):
    """The answer counts it, and the address is suppressed as for a bounce by mail, for all shops."""
    answer = await api.post(content)
    assert (answer.status_code, answer.json()[taken], sum(answer.json().values())) == (200, 1, 1)
    assert api.kept == ({(None, PSEUDONYM): kept} if kept else {})


async def test_a_soft_bounce_counts_once_and_a_delay_never(api):
    """An event that is sent again is recognised by its id; a mail that is delayed may still arrive."""
    for content in (bounce("SoftBounce"), bounce("SoftBounce"), bounce("Transient", ID=8)):
        assert (await api.post(content)).json()["soft"] == 1
    assert len(api.feedback.suppressions.soft) == 1


async def test_a_full_mailbox_is_kept_as_such(api):
    """It is suppressed for a shorter time."""
    await api.post(bounce("SoftBounce", Details="smtp;552 5.2.2 mailbox full"))
    assert len(api.feedback.suppressions.full) == 1


@pytest.mark.parametrize("secret", ["", "wrong"])
async def test_a_wrong_secret_is_refused(api, secret):
    """Nothing is read or kept, and the answer says which setting to check."""
    answer = await api.post(b"nonsense", secret=secret)
    assert answer.status_code == 401
    assert "providers.postmark" in answer.json()["detail"]
    assert api.kept == {}


async def test_a_secret_may_be_in_the_address(api):
    """For providers that can set nothing else."""
    answer = await api.client.post(f"/bounces/brevo?secret={SECRET}", json={"event": "hard_bounce", "email": ADA})
    assert answer.json()["hard"] == 1


@pytest.mark.parametrize("provider", [each.name for each in PROVIDERS])
async def test_without_a_secret_there_is_no_endpoint(provider):
    """A provider that is not configured is not found."""
    answer = await ProviderApi(provider_secrets={}).post(bounce(), provider)
    assert answer.status_code == 404
    assert f"providers.{provider}" in answer.json()["detail"]


async def test_an_unknown_provider_is_not_found(api):
    """The answer names those that there are."""
    answer = await api.post(bounce(), "sparkpost")
    assert answer.status_code == 404
    assert "postmark" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (bounce(Email=None), "Email"),
        (bounce(Email=["x"]), "Email"),
        (bounce(None), "Type"),
        ([], "body"),
        (b"\xff\xfe", "body"),
        (b"[" * 10_000, "body"),
    ],
)
async def test_a_bad_event_is_told(api, content, field):
    """A problem that names the field; nothing is kept, and nothing of the body is logged."""
    with capture_logs() as lines:
        answer = await api.post(content)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert api.kept == {}
    assert ADA not in str(lines)


async def test_a_body_that_is_too_long_is_refused(api):
    """A body of five megabytes is refused."""
    assert (await api.post(b"[" + b" " * 5_000_000)).status_code == 413


async def test_a_bad_event_among_others_is_left_out(monkeypatch, api):
    """The others of a batch are taken, and the log names the field."""
    sendgrid = next(each for each in PROVIDERS if each.name == "sendgrid")
    monkeypatch.setattr(type(sendgrid), "verify", lambda *_: True)
    api = ProviderApi(provider_secrets={"sendgrid": ["key"]})
    good, bad = {"event": "bounce", "email": ADA}, {"event": "bounce", "email": None}
    with capture_logs() as lines:
        answer = await api.post([good, bad, {"event": "open"}], "sendgrid")
    assert (answer.json()["hard"], answer.json()["unread"], answer.json()["ignored"]) == (1, 1, 1)
    assert [line["field"] for line in lines if line["event"] == "bounce event not understood"] == ["email"]


async def test_without_the_database_an_event_is_sent_again(api):
    """If the database is unavailable, the answer is 503."""
    api.feedback.suppressions.fault = Unavailable("no primary")
    assert (await api.post(bounce())).status_code == 503


def sns(**changes):
    return {
        "Type": "Notification",
        "TopicArn": TOPIC,
        "MessageId": "m-1",
        "Message": "{}",
        "Signature": "c2ln",
        "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a.pem",
        **changes,
    }


async def test_a_certificate_is_fetched_for_our_topics_only():
    """An address that is not Amazon's, or a topic of somebody else, makes us fetch nothing."""
    fetched = []

    async def fetch(url):
        fetched.append(url)
        raise CannotFetch("no network")

    api = ProviderApi(fetch=fetch)
    assert (await api.post(sns(TopicArn=f"{TOPIC}2"), "ses")).status_code == 401
    assert (await api.post(sns(SigningCertURL="https://evil.example/a.pem"), "ses")).status_code == 401
    assert fetched == []
    assert (await api.post(sns(), "ses")).status_code == 503
    assert len(fetched) == 1


async def test_a_subscription_is_confirmed(monkeypatch):
    """The address in a request that Amazon signed is called."""
    fetched = []

    async def fetch(url):
        fetched.append(url)
        return b""

    ses = next(each for each in PROVIDERS if each.name == "ses")
    monkeypatch.setattr(type(ses), "verify", lambda *_: True)
    url = f"https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=t"
    answer = await ProviderApi(fetch=fetch).post(sns(Type="SubscriptionConfirmation", SubscribeURL=url), "ses")
    assert answer.status_code == 200
    assert fetched[-1] == url
