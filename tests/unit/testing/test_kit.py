"""The kit: what a service reports, what goes out when, and why."""

from datetime import UTC, datetime, timedelta

import pytest

from recovery import Consent
from recovery.domain.state import MessageState
from recovery.testing import RecoveryKit
from tests.support.kits import BEGINNING, SHOP, checkout, order, steps

THREE = ["reminder-1", "reminder-2", "reminder-3"]


@pytest.fixture
def kit():
    return RecoveryKit()


async def test_nothing_goes_out_before_it_is_due(kit):
    """After 29 minutes there is no mail, a minute later there is one."""
    await kit.checkout(checkout())
    assert await kit.advance(minutes=29) == []
    [mail] = await kit.advance(minutes=1)
    assert (mail.step, mail.at) == ("reminder-1", BEGINNING + timedelta(minutes=30))
    assert kit.mails == [mail]


async def test_four_days_hold_all_reminders_at_their_times(kit):
    """The clock goes from due time to due time: each mail is dated when it was due."""
    await kit.checkout(checkout())
    await kit.advance(days=4)
    assert steps(kit) == THREE
    assert [mail.at - BEGINNING for mail in kit.mails] == [
        timedelta(minutes=30),
        timedelta(days=1),
        timedelta(days=3),
    ]
    assert kit.now == BEGINNING + timedelta(days=4)


async def test_an_order_ends_reminders_and_is_confirmed(kit):
    """What was ordered gets a confirmation at once, and no further reminder."""
    await kit.checkout(checkout())
    await kit.advance(minutes=31)
    await kit.order(order())
    [mail] = await kit.advance()
    assert mail.step == "confirmation"
    await kit.advance(days=4)
    assert steps(kit) == ["reminder-1", "confirmation"]


async def test_a_mail_can_be_read(kit):
    """A mail has its recipient, subject, text, HTML, links and headers."""
    await kit.checkout(checkout())
    [mail] = await kit.advance(minutes=30)
    assert (mail.shop, mail.order_id, mail.to, mail.sender) == (SHOP, "1042", "ada@example.com", "shop@shop.example")
    assert "Lamp" in mail.subject
    assert "Lamp" in mail.text
    assert "<html" in mail.html
    assert mail.links[0] == "https://shop.example/checkouts/1042"
    assert mail.headers["To"] == "Ada <ada@example.com>"
    assert mail.unsubscribe_link == mail.links[-1]


async def test_why_tells_the_history_with_reasons(kit):
    """Each decision about a checkout has its time and reason."""
    await kit.checkout(checkout())
    await kit.advance(minutes=31)
    told = [(past.decision, past.reason) for past in kit.why(SHOP, "1042")]
    assert told[0] == ("wait until 2026-03-05 12:30:00 UTC", "reminder-1 is due then")
    assert told[-1][0] == "sent reminder-1"


async def test_why_of_an_unknown_checkout_names_it(kit):
    """A checkout that nobody reported has no history."""
    with pytest.raises(LookupError, match=r"no checkout 7 of the shop shop\.example was reported"):
        kit.why(SHOP, "7")


async def test_the_clock_never_goes_back(kit):
    """A time before the clock's is refused."""
    with pytest.raises(ValueError, match="cannot go back"):
        await kit.advance(to=BEGINNING - timedelta(seconds=1))
    with pytest.raises(ValueError, match="cannot go back"):
        await kit.advance(minutes=-1)


async def test_the_clock_begins_where_the_test_wants_it():
    """`now` is the time at first; quiet hours and dates in mails follow it."""
    kit = RecoveryKit(now=datetime(2027, 1, 1, 8, tzinfo=UTC))
    await kit.checkout(checkout())
    [mail] = await kit.advance(to=datetime(2027, 1, 1, 9, tzinfo=UTC))
    assert mail.headers["Date"] == "Fri, 01 Jan 2027 08:30:00 +0000"
    with pytest.raises(ValueError, match="has no time zone"):
        RecoveryKit(now=datetime(2027, 1, 1))  # noqa: DTZ001


async def test_settings_are_as_in_the_configuration_file():
    """A section of settings changes the schedule; a wrong one is refused as it is in the file."""
    one = [{"name": "reminder-1", "subject": "Come back", "delay": "2h"}]
    kit = RecoveryKit(schedule={"steps": one})
    await kit.checkout(checkout())
    assert await kit.advance(minutes=119) == []
    [mail] = await kit.advance(minutes=1)
    assert mail.subject == "Come back"
    with pytest.raises(Exception, match=r"schedule\.min_gap \(.*given for the test\)"):
        RecoveryKit(schedule={"min_gap": "soon"})


async def test_a_configuration_file_gives_schedule_and_shops_and_no_secrets(tmp_path, monkeypatch):
    """A real file's steps and shops count; its database, relay and secrets are not read, nor is the environment."""
    monkeypatch.setenv("RECOVERY_SCHEDULE__MIN_GAP", "99d")
    path = tmp_path / "recovery.toml"
    path.write_text(
        """
        [mongodb]
        uri_file = "/run/secrets/nowhere"
        [smtp]
        host = "relay.example"
        password_file = "/run/secrets/nowhere"
        [links]
        keys_file = "/run/secrets/nowhere"
        base_url = "https://mail.shop.example"
        [mail]
        sender = "Lamps <hello@lamps.example>"
        [shops."b.example".mail]
        sender = "Bikes <hello@bikes.example>"
        [shops."b.example".shopify]
        webhook_secret_file = "/run/secrets/nowhere"
        """
    )
    kit = RecoveryKit(config=path)
    await kit.checkout(checkout())
    await kit.checkout(checkout(shop="b.example", customer={"email": "bea@example.com"}))
    await kit.advance(days=4)
    assert steps(kit) == [name for name in THREE for _ in range(2)]
    assert {mail.shop: mail.headers["From"] for mail in kit.mails} == {
        SHOP: "Lamps <hello@lamps.example>",
        "b.example": "Bikes <hello@bikes.example>",
    }
    assert kit.mails[0].unsubscribe_link.startswith("https://mail.shop.example/u/")


async def test_every_kit_is_its_own(kit):
    """What one test reports is not there in the next, though both share compiled templates."""
    await kit.checkout(checkout())
    other = RecoveryKit()
    assert await other.get(SHOP, "1042") is None
    await other.advance(days=4)
    assert other.mails == []


async def test_a_mail_that_cannot_be_made_is_told_by_why(tmp_path):
    """A template that fails for a checkout sends nothing, and the history names the file and the line."""
    for kind in ("html", "txt"):
        (tmp_path / f"reminder-1.{kind}.j2").write_text(
            "{% if items[0].name == 'Lamp' %}{{ items[99].name }}{% endif %}"
        )
    kit = RecoveryKit(mail={"templates": str(tmp_path)})
    await kit.checkout(checkout())
    assert await kit.advance(minutes=31) == []
    told = kit.why(SHOP, "1042")[-1]
    assert told.decision == "tried (render error) reminder-1"
    assert "reminder-1.txt.j2, line 1" in told.reason


async def test_every_call_of_the_client_works(kit):
    """Whatever a service calls, the database in memory knows what it asks."""
    many = [checkout(str(number), customer={"email": f"ada{number}@example.com"}) for number in range(4)]

    async def one_by_one():
        for report in many:
            yield report

    assert [each.error async for each in kit.report(many)] == [None] * 4
    assert [each.error async for each in kit.report(one_by_one())] == [None] * 4
    assert [state.id for state in (await kit.list(shop=SHOP, limit=3)).checkouts] == [f"{SHOP}/{n}" for n in "321"]
    page = await kit.list(shop=SHOP, limit=3)
    assert [state.id for state in (await kit.list(shop=SHOP, limit=3, after=page.next)).checkouts] == [f"{SHOP}/0"]
    assert len((await kit.list(email="ADA1@example.com")).checkouts) == 1
    assert await kit.touch(SHOP, ["1"]) == 1
    assert await kit.pause(SHOP, ["1"]) == 1
    assert await kit.consent(SHOP, "ada2@example.com", Consent(given=False, basis="b", at=kit.now, source="s")) == 1
    assert await kit.suppress("ada3@example.com") is True
    assert await kit.unsuppress("ada3@example.com") is True
    await kit.request_data(SHOP, "1", "ada1@example.com")
    assert len((await kit.export("ada1@example.com"))["checkouts"]) == 1
    assert [mail.to for mail in await kit.advance(minutes=30)] == ["ada0@example.com", "ada3@example.com"]
    listed = await kit.list(shop=SHOP, step="reminder-1", state=MessageState.SENT)
    assert [state.id for state in listed.checkouts] == [f"{SHOP}/3", f"{SHOP}/0"]
    assert await kit.cancel_shop(SHOP) == 3  # the one who said no is done with
    assert len((await kit.erase("ada1@example.com")).checkouts) == 1
    assert len((await kit.erase_shop(SHOP)).checkouts) == 3
    assert await kit.waiting() == 0
