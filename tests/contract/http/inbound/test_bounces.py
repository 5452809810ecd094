"""Bounces over HTTP: whose they are, and what is kept."""

import re
from hashlib import sha256

import pytest
from structlog.testing import capture_logs

from recovery.domain.per_shop import PerShop
from recovery.domain.pseudonyms import Pseudonyms
from recovery.domain.suppression import SuppressionReason
from recovery.mail.links import MOST_TRIED, Links
from recovery.mail.seals import Seals
from tests.support.bounce_api import ADA, EVENT, BounceApi, delivery
from tests.support.bounce_families import collected_in
from tests.support.collected import collected

SHOP = "shop.example"
PSEUDONYM = Pseudonyms([]).of(ADA)
HARD, COMPLAINT = SuppressionReason.HARD_BOUNCE, SuppressionReason.COMPLAINT


@pytest.fixture
def api():
    return BounceApi()


def links(**options):
    return Links(Seals(["a key of some length"]), Pseudonyms([]), **options)


def hashed(report):
    """Return what is kept of the id of a report."""
    return sha256(report.encode()).hexdigest()[:16]


def complaint(original=""):
    return f"""\
To: complaints@shop.example
Message-ID: <2@mx>
Content-Type: multipart/report; report-type=feedback-report; boundary=b

--b
Content-Type: message/feedback-report

Feedback-Type: abuse
Original-Rcpt-To: {ADA}

--b
Content-Type: message/rfc822

{original}

Hello
--b--
""".encode()


async def test_a_bounce_is_told_by_its_return_path(api):
    """A bounce to our return path is of whom the mail was to, wherever it was forwarded; it holds for all shops."""
    answer = await api.report(delivery(to=api.feedback.links.default.return_path(SHOP, ADA).upper()))
    assert (answer.status_code, answer.json()) == (200, {"hard": 1, "soft": 0, "complaint": 0, "blocked": 0})
    assert api.feedback.suppressions.kept == {(None, PSEUDONYM): (HARD, f"5.1.1, report {hashed('<1@mx>')}")}
    assert api.registry.get_sample_value("recovery_bounces_total", {"kind": "hard"}) == 1


async def test_every_real_bounce_that_comes_to_a_return_path_is_of_its_recipient(api):
    """Whoever wrote it, and in whatever form: as Postfix hands it on, with the envelope's addresses in front."""
    to = api.feedback.links.default.return_path(SHOP, ADA)
    envelope = f"Return-Path: <>\nX-Original-To: {to}\nDelivered-To: {to}\n".encode()
    for mail in collected_in(collected("bounces")):
        if mail.kind != "ignore":
            answer = await api.report(envelope + mail.path.read_bytes())
            assert (answer.status_code, sum(answer.json().values())) == (200, 1), mail.path.name
    assert {pseudonym for _, pseudonym in api.kept} == {PSEUDONYM}
    assert {pseudonym for pseudonym, _ in api.feedback.suppressions.soft} == {PSEUDONYM}


async def test_a_complaint_is_told_by_its_link(api):
    """A complaint on a mail with our link is of that address, and of that shop alone."""
    original = f"List-Unsubscribe:\n <{api.feedback.links.default.unsubscribe(SHOP, ADA)}>"
    assert (await api.report(complaint(original))).json()["complaint"] == 1
    assert api.kept == {(SHOP, PSEUDONYM): COMPLAINT}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Feedback-Type: abuse", "Feedback-Type: abuse\nOriginal-Mail-From: <{}>"),
        ("\n\nHello", "Return-Path: <{}>\n\nHello"),
    ],
)
async def test_a_return_path_in_a_complaint_will_do(api, before, after):
    """A complaint that shows our return path only, wherever it does, is of that address, for all shops."""
    shown = after.format(api.feedback.links.default.return_path(SHOP, ADA))
    await api.report(complaint().replace(before.encode(), shown.encode()))
    assert api.kept == {(None, PSEUDONYM): COMPLAINT}


@pytest.mark.parametrize("body", [delivery(email=ADA), complaint()])
async def test_a_report_without_our_mark_is_not_believed(api, body):
    """Anybody may write a report on anybody: where our mails carry a mark, one without it suppresses nobody."""
    answer = await api.report(body)
    assert answer.status_code == 422
    assert "not about a message of ours" in answer.json()["detail"]
    assert api.kept == {}


async def test_a_forged_mark_is_none(api):
    """A return path that was sealed with another key is no mark."""
    forged = Links(Seals(["another key of some length"]), Pseudonyms([]), return_path="bounces@bounce.shop.example")
    assert (await api.report(delivery(to=forged.return_path(SHOP, ADA)))).status_code == 422
    assert api.kept == {}


@pytest.mark.parametrize(("body", "reason"), [(delivery(email=ADA), HARD), (complaint(), COMPLAINT)])
async def test_without_marks_an_address_is_believed(body, reason):
    """Where mails carry no mark at all, the address that a report names is taken."""
    api = BounceApi(links=PerShop(links()))
    await api.report(body)
    assert api.kept == {(None, PSEUDONYM): reason}


async def test_a_report_full_of_marks_is_read_once(api, monkeypatch):
    """Of marks that are none of ours a few are tried, however many recipients are named with them."""
    tried = []
    opened = Links.opened_unsubscribe
    monkeypatch.setattr(Links, "opened_unsubscribe", lambda self, token: tried.append(token) or opened(self, token))
    recipients = "".join(
        f"\n\nFinal-Recipient: rfc822; p{n}@x.example\nAction: failed\nStatus: 5.1.1" for n in range(40)
    )
    marks = "\n".join(f"List-Unsubscribe: <https://mail.shop.example/u/{n:030}>" for n in range(2000))
    body = delivery(original=marks).replace(b"Status: 5.1.1", b"Status: 5.1.1" + recipients.encode())
    assert (await api.report(body)).status_code == 422
    assert 0 < len(tried) <= MOST_TRIED


async def test_a_soft_bounce_is_counted_once(api):
    """A soft bounce suppresses nobody, and one that is reported twice counts once."""
    body = delivery("4.2.2", to=api.feedback.links.default.return_path(SHOP, ADA))
    for _ in range(2):
        assert (await api.report(body)).json()["soft"] == 1
    assert api.feedback.suppressions.soft == [(PSEUDONYM, hashed("<1@mx>"))]
    assert api.kept == {}


async def test_that_we_are_blocked_is_said_aloud(api):
    """Such a report suppresses nobody: it is logged with the domain, counted, and named in the answer."""
    with capture_logs() as lines:
        answer = await api.report(delivery("5.7.1", to=api.feedback.links.default.return_path(SHOP, ADA)))
    assert answer.json() == {"hard": 0, "soft": 0, "complaint": 0, "blocked": 1}
    assert api.kept == {}
    (line,) = (each for each in lines if each["event"] == "mail blocked")
    assert (line["log_level"], line["domain"]) == ("warning", "other.example")


async def test_each_report_counts_for_the_receiver_of_its_address(api):
    """Events and mails: with the shop, if it is known, and the domain that we wrote to, never the address."""
    told = []
    api.telemetry.on_returned = lambda *what: told.append(what)
    links = api.feedback.links.default
    await api.report(delivery("5.7.1", to=links.return_path(SHOP, ADA), email="Ada@Example.com"))
    await api.report(delivery("5.7.1", original=f"List-Unsubscribe: <{links.unsubscribe(SHOP, ADA)}>"))
    await api.report({"kind": "complaint", "email": "Ada@Example.com", "shop": SHOP})
    assert told == [
        (None, "example.com", "blocked"),
        (SHOP, "example.com", "blocked"),
        (SHOP, "example.com", "complaint"),
    ]


@pytest.mark.parametrize(
    ("event", "kept"),
    [
        ({"kind": "hard", "email": "Ada@Example.com", "shop": SHOP}, {(SHOP, PSEUDONYM): HARD}),
        ({"kind": "complaint", "email": ADA, "shop": SHOP, "id": "evt_1"}, {(SHOP, PSEUDONYM): COMPLAINT}),
        ({"kind": "complaint", "email": ADA, "at": "2026-03-05T12:00:00Z"}, {(None, PSEUDONYM): COMPLAINT}),
        ({"kind": "soft", "email": ADA, "id": "evt_1"}, {}),
    ],
)
async def test_an_event_is_taken(api, event, kept):
    """An event in our own words is taken as it says; whom it names is believed, for a secret is needed to say it."""
    answer = await api.report(event)
    assert (answer.status_code, answer.json()[event["kind"]]) == (200, 1)
    assert api.kept == kept
    assert api.feedback.suppressions.soft == ([(PSEUDONYM, hashed("evt_1"))] if event["kind"] == "soft" else [])


@pytest.mark.parametrize(
    ("detail", "kind"),
    [
        ("550 5.1.1 The email account that you tried to reach does not exist", "hard"),
        ("The recipient's mailbox does not exist", "hard"),
        ("550 5.7.1 message rejected: spamhaus", "blocked"),
        ("550 5.1.1 rejected, listed at zen.spamhaus.org", "blocked"),
        ("Sending account suspended", "blocked"),
        ("550 daily quota exceeded", "soft"),
        ("552 5.2.2 mailbox full", "soft"),
        ("550 5.1.1 Postfach voll", "soft"),
        ("552 5.3.4 message too big", "soft"),
    ],
)
async def test_a_provider_may_call_hard_what_is_not(api, detail, kind):
    """The server's reply, which a provider's event passes on, overrides the provider's kind."""
    assert (await api.report(EVENT | {"kind": "hard", "detail": detail})).json()[kind] == 1
    assert api.kept == ({(None, PSEUDONYM): HARD} if kind == "hard" else {})


async def test_what_a_server_said_is_found_again_by_a_mark_of_its_words(api):
    """All that were suppressed for the same words have the same mark, and it is in the warning that there are many."""
    with capture_logs() as lines:
        for number in range(5):
            detail = f"550 5.1.1 <p{number}@x.example> lorem ipsum, id {number}"
            await api.report({"kind": "hard", "email": f"p{number}@x.example", "detail": detail})
    (warning,) = [line["undo"] for line in lines if line["log_level"] == "warning"]
    mark = re.search('--reply "(.+)"', warning)[1]
    sources = [source for _, source in api.feedback.suppressions.kept.values()]
    assert len(sources) == 4
    assert all(source.startswith(f"5.1.1, {mark}, report ") for source in sources)


async def test_nothing_that_a_report_says_of_somebody_is_kept(api):
    """Neither the words nor the id of a report are in what is kept or logged: they may hold the name or the address."""
    said = {"detail": "550 5.1.1 user zuzana.nameme at example.com", "id": "bounce-zuzana.nameme@example.com"}
    with capture_logs() as lines:
        for kind in ("hard", "soft", "complaint"):
            await api.report({"kind": kind, "email": "Zuzana.Nameme@example.com", **said})
    kept = f"{api.feedback.suppressions.kept} {api.feedback.suppressions.soft} {lines}".lower()
    assert "5.1.1" in kept
    assert "zuzana" not in kept


@pytest.mark.parametrize(
    ("words", "believed"),
    [
        ("550 5.1.1 lorem ipsum {}", 4),
        ("550 5.1.1 <p{}@x.example>: Recipient address rejected: User unknown", 8),
        (None, 8),
    ],
)
async def test_what_is_said_of_everybody_in_strange_words_is_about_us(api, words, believed):
    """Five in a row are too many, unless it is plain that they do not exist, or nothing is said at all."""
    with capture_logs() as lines:
        for number in range(8):
            said = {"detail": words.format(number)} if words else {}
            await api.report({"kind": "hard", "email": f"p{number}@x.example", **said})
    assert len(api.kept) == believed
    assert len([line for line in lines if line["log_level"] == "warning"]) == 8 - believed
    assert len(api.feedback.suppressions.soft) == 8 - believed


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": "odd"}, "kind"),
        ({"email": "nobody"}, "email"),
        ({"email": None}, "email"),
        ({"shop": "a/b"}, "shop"),
        ({"at": "2026-03-05"}, "at"),
        ({"id": ""}, "id"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_a_bad_event_is_told(api, changes, field):
    """An event that is not as it must be is answered by the name of the field, and nothing is kept."""
    answer = await api.report(EVENT | changes)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert api.kept == {}


async def test_what_is_no_report_is_told(api):
    """An out-of-office reply is not a report, and the answer says so."""
    answer = await api.report(b"Subject: On holiday\n\nBack soon.")
    assert answer.status_code == 422
    assert "neither a delivery report" in answer.json()["detail"]


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
async def test_other_types_are_refused(api, content_type):
    """A report says what it is."""
    assert (await api.report(delivery(), content_type)).status_code == 415


async def test_the_description_tells_of_bounces(api):
    """The endpoint and its event are in the API's own description."""
    described = (await api.client.get("/openapi.json")).json()
    content = described["paths"]["/bounces"]["post"]["requestBody"]["content"]
    assert set(content) == {"application/json", "message/rfc822"}
    assert "BounceEvent" in described["components"]["schemas"]
