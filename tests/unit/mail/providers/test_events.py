"""Events of providers in our words: which kill an address, which only count, and which are ignored."""

import json
import random
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from recovery.mail.bounce_words import BounceKind
from recovery.mail.providers import PROVIDERS
from recovery.mail.providers.provider import EventType, ProviderEvent, SignedRequest
from tests.fuzz.mutations import of_json

ADA = "ada@example.com"
NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
BY_NAME = {provider.name: provider for provider in PROVIDERS}
HARD, SOFT, BLOCKED, COMPLAINT = BounceKind.HARD, BounceKind.SOFT, BounceKind.BLOCKED, BounceKind.COMPLAINT


def read(name, content, **headers):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return BY_NAME[name].read(SignedRequest(body, headers, NOW))


def postmark(type_, **changes):
    return {
        "RecordType": "Bounce",
        "Type": type_,
        "Email": ADA,
        "ID": 7,
        "BouncedAt": "2026-03-05T12:00:00Z",
        **changes,
    }


def sendgrid(event, **changes):
    return [{"event": event, "email": ADA, "sg_event_id": "7", "timestamp": NOW.timestamp(), **changes}]


def mailgun(event, **changes):
    data = {"event": event, "recipient": ADA, "id": "7", "timestamp": NOW.timestamp(), **changes}
    return {"signature": {"timestamp": "1", "token": "t", "signature": "s"}, "event-data": data}


def resend(type_, **changes):
    return {
        "type": type_,
        "created_at": "2026-03-05T12:00:00Z",
        "data": {"to": [f"Ada <{ADA}>"], "email_id": "7", **changes},
    }


def brevo(event, **changes):
    return {"event": event, "email": ADA, "message-id": "7", "ts_epoch": NOW.timestamp() * 1000, **changes}


def sns(notification, type_="Notification"):
    content = notification if isinstance(notification, str) else json.dumps(notification)
    return {
        "Type": type_,
        "TopicArn": "t",
        "MessageId": "7",
        "Message": content,
        "Signature": "s",
        "SigningCertURL": "c",
    }


def ses(type_, **changes):
    return sns({"notificationType": type_, **changes})


def bounced(type_, subtype, **changes):
    recipients = [{"emailAddress": ADA, **changes}]
    bounce = {"bounceType": type_, "bounceSubType": subtype, "bouncedRecipients": recipients}
    return ses("Bounce", bounce=bounce | {"feedbackId": "7", "timestamp": "2026-03-05T12:00:00Z"})


def failed(severity, message="", code="", **changes):
    return mailgun(
        "failed", severity=severity, **{"delivery-status": {"message": message, "enhanced-code": code}, **changes}
    )


def complained(**changes):
    about = {"complainedRecipients": [{"emailAddress": ADA}], "feedbackId": "7", "timestamp": "2026-03-05T12:00:00Z"}
    return ses("Complaint", complaint=about | changes)


SAID = [
    ("postmark", postmark("HardBounce"), "bounced", HARD),
    ("postmark", postmark("SoftBounce"), "bounced", SOFT),
    ("postmark", postmark("Transient"), "deferred", SOFT),
    ("postmark", postmark("Blocked"), "rejected", BLOCKED),
    ("postmark", postmark("SpamNotification"), "complained", BLOCKED),
    ("postmark", postmark("SpamComplaint", RecordType="SpamComplaint"), "complained", COMPLAINT),
    ("sendgrid", sendgrid("bounce", type="bounce", reason="550 5.1.1 no such user"), "bounced", HARD),
    ("sendgrid", sendgrid("bounce", type="blocked", reason="550 spam"), "bounced", SOFT),
    ("sendgrid", sendgrid("bounce", bounce_classification="Reputation"), "bounced", SOFT),
    ("sendgrid", sendgrid("bounce", bounce_classification="Invalid Address"), "bounced", HARD),
    ("sendgrid", sendgrid("deferred", response="421 busy"), "deferred", SOFT),
    ("sendgrid", sendgrid("dropped", reason="Bounced Address"), "rejected", SOFT),
    ("sendgrid", sendgrid("dropped", reason="Spam Reporting Address"), "rejected", COMPLAINT),
    ("sendgrid", sendgrid("spamreport"), "complained", COMPLAINT),
    ("mailgun", failed("permanent", "550 5.1.1 no such user", "5.1.1"), "bounced", HARD),
    ("mailgun", failed("permanent", "550 5.7.1 listed by spamhaus", "5.7.1"), "bounced", BLOCKED),
    ("mailgun", failed("permanent", "552 5.2.2 mailbox full", "5.2.2"), "bounced", SOFT),
    ("mailgun", failed("permanent", reason="suppress-bounce"), "bounced", SOFT),
    ("mailgun", failed("temporary", "421 busy"), "deferred", SOFT),
    ("mailgun", mailgun("complained"), "complained", COMPLAINT),
    ("resend", resend("email.bounced", bounce={"type": "Permanent", "subType": "General"}), "bounced", HARD),
    ("resend", resend("email.bounced", bounce={"type": "Permanent", "subType": "Suppressed"}), "bounced", SOFT),
    ("resend", resend("email.bounced", bounce={"type": "Transient", "subType": "General"}), "bounced", SOFT),
    ("resend", resend("email.delivery_delayed"), "deferred", SOFT),
    ("resend", resend("email.complained"), "complained", COMPLAINT),
    ("brevo", brevo("hard_bounce", reason="550 5.1.1 no such user"), "bounced", HARD),
    ("brevo", brevo("soft_bounce"), "bounced", SOFT),
    ("brevo", brevo("blocked"), "rejected", BLOCKED),
    ("brevo", brevo("deferred"), "deferred", SOFT),
    ("brevo", brevo("spam"), "complained", COMPLAINT),
    ("ses", bounced("Permanent", "General", diagnosticCode="smtp; 550 5.1.1 no such user"), "bounced", HARD),
    ("ses", bounced("Permanent", "Suppressed"), "bounced", SOFT),
    ("ses", bounced("Transient", "MailboxFull"), "bounced", SOFT),
    ("ses", bounced("Transient", "ContentRejected"), "bounced", BLOCKED),
    ("ses", complained(), "complained", COMPLAINT),
]


@pytest.mark.parametrize(("name", "content", "type_", "kind"), SAID)
def test_an_event_is_read(name, content, type_, kind):
    """Of each: whose it is, what happened, how severe that is, and an id that is the same when it is sent again."""
    (event,) = read(name, content)
    assert (event.email, event.type, event.kind) == (ADA, type_, kind)
    assert "7" in event.id
    assert event.at == NOW


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("postmark", {"RecordType": "SubscriptionChange", "Recipient": ADA, "SuppressSending": True}),
        ("sendgrid", sendgrid("unsubscribe")),
        ("sendgrid", sendgrid("group_unsubscribe")),
        ("mailgun", mailgun("unsubscribed")),
        ("brevo", brevo("unsubscribe")),
        ("ses", sns({"eventType": "Subscription", "mail": {"destination": [ADA]}, "subscription": {}})),
    ],
)
def test_an_unsubscription_is_read(name, content):
    """Who unsubscribed at the provider is not a bounce, and gets no more reminders."""
    (event,) = read(name, content)
    assert (event.email, event.type, event.kind) == (ADA, EventType.UNSUBSCRIBED, None)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(("postmark", {"RecordType": each, "Recipient": ADA}) for each in ("Delivery", "Open", "Click", "Other")),
        ("postmark", {}),
        ("postmark", {"RecordType": "SubscriptionChange", "Recipient": ADA, "SuppressSending": False}),
        *(("sendgrid", sendgrid(each)) for each in ("processed", "delivered", "open", "click", "other")),
        ("sendgrid", [{}]),
        *(("mailgun", mailgun(each)) for each in ("accepted", "delivered", "opened", "clicked", "other")),
        ("mailgun", failed("permanent", reason="suppress-unsubscribe")),
        *(("resend", resend(each)) for each in ("email.sent", "email.delivered", "email.opened", "contact.created")),
        *(("brevo", brevo(each)) for each in ("request", "delivered", "opened", "other")),
        *(("ses", ses(each)) for each in ("Delivery", "Send", "Open", "Other")),
        ("ses", complained(complaintFeedbackType="not-spam")),
    ],
)
def test_other_events_say_nothing_against_an_address(name, content):
    """Deliveries, opens, clicks and what is new to us are passed over."""
    assert [event.kind for event in read(name, content)] == [None]


def test_several_recipients_of_resend_are_not_told_apart():
    """An event for a mail with several recipients does not say whose it is."""
    (event,) = read("resend", resend("email.complained", to=[ADA, "ben@example.com"]))
    assert event.email is None


def test_one_bad_event_among_others_is_set_aside():
    """The rest of a batch is read; in place of the bad one is the error, which names the field."""
    good, bad = sendgrid("bounce")[0], sendgrid("bounce", email=None)[0]
    first, second, third = read("sendgrid", [good, bad, good])
    assert first == third
    assert second.errors()[0]["loc"] == ("email",)


@pytest.mark.parametrize(
    ("name", "content", "field"),
    [
        ("postmark", postmark("HardBounce", Email=None), "Email"),
        ("postmark", postmark(None), "Type"),
        ("mailgun", mailgun("failed", recipient=None), "recipient"),
        ("mailgun", mailgun("failed") | {"event-data": []}, "event-data"),
        ("resend", resend("email.bounced", to=None), "data"),
        ("resend", resend("email.bounced") | {"data": []}, "data"),
        ("brevo", brevo("hard_bounce", email=[]), "email"),
        ("ses", bounced("Permanent", "General", emailAddress={}), "bouncedRecipients"),
        ("ses", ses("Bounce", bounce=None), None),
    ],
)
def test_a_bad_event_names_the_field(name, content, field):
    """Null, and arrays for objects, are errors at their field."""
    with pytest.raises(ValidationError) as caught:
        read(name, content)
    assert field is None or caught.value.errors()[0]["loc"][0] == field


@pytest.mark.parametrize("name", BY_NAME)
@pytest.mark.parametrize("body", [b"", b"1", b'"x"', b"null", b"\xff\xfe", b"[" * 10_000, b'{"a":' * 10_000])
def test_what_is_no_json_of_theirs_is_an_error(name, body):
    """Nonsense is one kind of error, however deep."""
    with pytest.raises(ValidationError):
        read(name, body)


@pytest.mark.parametrize("at", [None, [], {}, "soon", "2026-03-05", 10**400, -(10**20), "9" * 5000, 1e308, True])
def test_a_time_that_cannot_be_read_is_none(at):
    """An event counts without its time."""
    (event,) = read("postmark", postmark("HardBounce", BouncedAt=at))
    assert event.kind is HARD
    (event,) = read("brevo", brevo("hard_bounce", ts_epoch=at))
    assert event.kind is HARD


def test_the_words_of_a_notification_are_those_of_the_server():
    """The diagnostic code is judged with the event; a full mailbox is recognised by it or by the subtype."""
    (event,) = read("ses", bounced("Permanent", "General", diagnosticCode="smtp; 552 5.2.2 mailbox full"))
    assert event.words == "552 5.2.2 mailbox full"
    (event,) = read("ses", bounced("Transient", "MailboxFull"))
    assert event.full


@pytest.mark.parametrize("name", BY_NAME)
def test_no_mutation_of_an_event_is_anything_but_an_error(name):
    """Whatever is changed in an event, it is read or is a validation error."""
    rng = random.Random(14)  # the same each time
    sound = [content for provider, content, *_ in SAID if provider == name]
    for _ in range(500):
        try:
            events = read(name, of_json(rng, rng.choice(sound)))
        except ValidationError:
            continue
        assert all(isinstance(event, ProviderEvent | ValidationError) for event in events)
