"""Faults to order: relay, database, crash, bounce, unsubscription."""

from datetime import timedelta

import pytest

from recovery import Unavailable
from recovery.domain.state import MessageState
from recovery.testing import RecoveryKit
from tests.support.kits import BEGINNING, SHOP, checkout, order, steps


@pytest.fixture
async def kit():
    kit = RecoveryKit()
    await kit.checkout(checkout())
    return kit


async def message(kit, step="reminder-1"):
    return (await kit.get(SHOP, "1042")).messages[step]


async def test_a_permanent_refusal_suppresses_the_address(kit):
    """After "no such user" nothing more is sent to the address, from any checkout."""
    kit.refuse_mail("550 5.1.1 no such user")
    await kit.advance(minutes=31)
    kit.accept_mail()
    await kit.checkout(checkout("1043"))
    await kit.advance(days=4)
    assert kit.mails == []
    assert (await message(kit)).reason == "dead address"
    assert "the address is suppressed" in kit.why(SHOP, "1043")[-1].reason


async def test_a_temporary_refusal_is_tried_again(kit):
    """A reply of 4xx puts the mail off by the schedule's pause; two of them cost two."""
    kit.refuse_mail("451 4.3.0 try later", times=2)
    [mail] = await kit.advance(hours=1)
    assert mail.at > BEGINNING + timedelta(minutes=35)
    assert [past.decision for past in kit.why(SHOP, "1042")].count("tried (later) reminder-1") == 2


async def test_refusals_may_be_for_one_address_or_one_step(kit):
    """Only what is meant is refused; the rest goes out."""
    await kit.checkout(checkout("1043", customer={"email": "bea@example.com"}))
    kit.refuse_mail("550 5.1.1 no such user", to="BEA@example.com")
    kit.refuse_mail("550 5.7.1 no thanks", step="reminder-2")
    await kit.advance(days=4)
    assert [(mail.to, mail.step) for mail in kit.mails] == [
        ("ada@example.com", "reminder-1"),
        ("ada@example.com", "reminder-3"),
    ]


def test_a_reply_that_refuses_nothing_is_an_error():
    """The text must be a refusal of SMTP."""
    with pytest.raises(ValueError, match="refuses nothing"):
        RecoveryKit().refuse_mail("no")
    with pytest.raises(ValueError, match="refuses nothing"):
        RecoveryKit().refuse_mail("250 ok")


async def test_mails_wait_for_a_relay_that_is_gone(kit):
    """Without a relay nothing goes out; when it is back, what is not too late does."""
    with kit.relay_gone():
        await kit.advance(minutes=50)
        assert kit.mails == []
    [mail] = await kit.advance(minutes=30)
    assert mail.step == "reminder-1"
    assert mail.at > BEGINNING + timedelta(minutes=50)


async def test_a_relay_that_is_gone_for_days_costs_what_was_due(kit):
    """A reminder that is too late to be of use is skipped, and the next one goes out."""
    with kit.relay_gone():
        await kit.advance(days=2)
    await kit.advance(days=2)
    assert steps(kit) == ["reminder-3"]
    assert (await message(kit)).state in (MessageState.SKIPPED, MessageState.DEAD)


async def test_calls_fail_while_the_database_is_unavailable(kit):
    """Reports raise `Unavailable` and store nothing; nothing is sent; afterwards all goes on."""
    with kit.database_unavailable():
        with pytest.raises(Unavailable):
            await kit.order(order())
        assert await kit.advance(minutes=31) == []
    [mail] = await kit.advance()
    assert mail.step == "reminder-1"


async def test_a_crash_before_the_content_delays_a_mail_by_its_lease(kit):
    """The claim stays until its lease ends; then another daemon sends the mail, once."""
    kit.crash_at_next_mail()
    [mail] = await kit.advance(hours=1)
    assert mail.at > BEGINNING + timedelta(minutes=30)
    assert (await message(kit)).attempts == 2


async def test_a_crash_after_the_content_may_send_twice(kit):
    """The relay has the mail and nobody knows: by default it is sent again, with the same Message-ID."""
    kit.crash_at_next_mail("after content")
    first, second = await kit.advance(hours=1)
    assert first.headers["Message-ID"] == second.headers["Message-ID"]


async def test_a_crash_after_the_content_sends_once_where_the_schedule_says_skip():
    """With `on_ambiguous` skip, what may have been sent is not sent again."""
    kit = RecoveryKit(schedule={"on_ambiguous": "skip"})
    await kit.checkout(checkout())
    kit.crash_at_next_mail("after content")
    assert len(await kit.advance(hours=1)) == 1
    assert (await message(kit)).reason == "lost after the dot"


async def test_an_order_while_the_daemon_is_dead_stops_the_reminder(kit):
    """A claim that a crash left does not outlive an order."""
    kit.crash_at_next_mail()
    await kit.advance(minutes=30)
    await kit.order(order())
    await kit.advance(hours=1)
    assert steps(kit) == ["confirmation"]


async def test_a_hard_bounce_ends_all_mail_to_the_address(kit):
    """What a provider reports of a mail counts as in production."""
    [mail] = await kit.advance(minutes=30)
    await kit.bounce(mail)
    await kit.advance(days=4)
    assert steps(kit) == ["reminder-1"]
    assert kit.why(SHOP, "1042")[-1].reason == "the address is suppressed: hard bounce"


async def test_a_complaint_and_an_unsubscription_end_reminders(kit):
    """The order is still confirmed."""
    [mail] = await kit.advance(minutes=30)
    await kit.unsubscribe(mail)
    await kit.advance(days=2)
    await kit.order(order())
    await kit.advance(days=2)
    assert steps(kit) == ["reminder-1", "confirmation"]


async def test_a_click_leads_to_the_checkout(kit):
    """With and without counted clicks the customer arrives at the shop's own link."""
    [mail] = await kit.advance(minutes=30)
    assert await kit.click(mail) == "https://shop.example/checkouts/1042"
    counting = RecoveryKit(links={"count_clicks": True})
    await counting.checkout(checkout())
    [mail] = await counting.advance(minutes=30)
    assert mail.links[0].startswith("https://recovery.example/r/")
    assert await counting.click(mail) == "https://shop.example/checkouts/1042"


async def test_an_error_that_nobody_foresaw_fails_the_test(kit, monkeypatch):
    """A fault of Recovery's own is raised where time passes, and is no silent failure to send."""
    monkeypatch.setattr(kit._parts.relay, "_compose", lambda checkout, step: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        await kit.advance(minutes=31)
