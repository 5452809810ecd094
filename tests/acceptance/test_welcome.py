"""The real process, and what makes its mail welcome: it stops when asked to, waits its turn, and is the shop's."""

import asyncio
from datetime import timedelta
from email import message_from_bytes, policy
from urllib.parse import urlsplit

import pytest

from recovery import Consent, Customer, Item, Order
from recovery.domain.state import MessageState
from tests.support.builders import report

LINKS = {"RECOVERY_LINKS__BASE_URL": "https://mail.shop.example", "RECOVERY_LINKS__KEYS": "a key that is long enough"}

HOURS = timedelta(hours=11)


def read(mail):
    return message_from_bytes(mail.content, policy=policy.default)


async def settled(world, step, order_id="1"):
    """Wait until a message of a checkout is sent, skipped or dead; return it."""
    async with asyncio.timeout(60):
        while True:
            state = await world.recovery.get("shop.example", order_id)
            message = state.messages.get(step)
            if message is not None and message.state.settled:
                return message
            await asyncio.sleep(0.05)


async def test_one_click_on_a_mail_skips_the_next_reminder(world):
    """What the mail's own header says is posted, as a mailbox provider does: the next reminder is skipped for that."""
    async with world.daemon(**LINKS) as daemon:
        await daemon.http.get("/openapi.json")  # the first request loads the endpoints, and the click must not wait
        await world.recovery.checkout(report())
        await world.relay.wait_for(1)
        mail = read(world.relay.mails[0])
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        link = urlsplit(mail["List-Unsubscribe"].strip("<>"))
        assert (link.scheme, link.netloc) == ("https", "mail.shop.example")
        answer = await daemon.http.post(link.path, data={"List-Unsubscribe": "One-Click"})
        assert (answer.status_code, answer.headers.get("location"), answer.cookies) == (200, None, {})
        message = await settled(world, "reminder-2")
    assert (message.state, message.reason) == (MessageState.SKIPPED, "the address is suppressed: unsubscribed")
    assert len(world.relay.mails) == 1


async def test_who_looks_at_the_link_alone_is_still_written_to(world):
    """A scanner that follows the link of a mail keeps nobody from the next one."""
    async with world.daemon(**LINKS) as daemon:
        await world.recovery.checkout(report())
        await world.relay.wait_for(1)
        path = urlsplit(read(world.relay.mails[0])["List-Unsubscribe"].strip("<>")).path
        for look in (daemon.http.get, daemon.http.head):
            assert (await look(path)).status_code == 200
        assert (await settled(world, "reminder-2")).state is MessageState.SENT


async def test_an_address_that_does_not_exist_is_not_written_to_again(world):
    """The relay's 550 5.1.1 suppresses it: another checkout of the same address gets nothing, not even a try."""
    world.relay.answer("RCPT", "550 5.1.1 no such user", times=1)
    async with world.daemon():
        await world.recovery.checkout(report("1"))
        assert (await settled(world, "reminder-1")).state is MessageState.DEAD
        await world.recovery.checkout(report("2", customer=Customer(email="ADA@example.com")))
        message = await settled(world, "reminder-1", "2")
    assert (message.state, message.reason) == (MessageState.SKIPPED, "the address is suppressed: hard bounce")
    assert world.relay.mails == []


@pytest.mark.parametrize("count", [2, 5])
async def test_of_several_checkouts_of_one_address_one_is_written_about(world, count):
    """Due at one moment, at two daemons: one mail goes out, and the others wait for the gap to end."""
    gap = {"RECOVERY_SCHEDULE__MIN_GAP_PER_ADDRESS": "12h"}
    async with world.daemon(RECOVERY_DAEMON__NAME="a", **gap), world.daemon(RECOVERY_DAEMON__NAME="b", **gap):
        await asyncio.gather(*(world.recovery.checkout(report(str(number))) for number in range(count)))
        async with asyncio.timeout(60):
            while True:
                states = [await world.recovery.get("shop.example", str(number)) for number in range(count)]
                messages = [state.messages.get("reminder-1") for state in states]
                sent = [each for each in messages if each and each.state is MessageState.SENT]
                waiting = [
                    each for each in messages if each and each.deferred_to and each.state is MessageState.WAITING
                ]
                if len(sent) + sum(each.deferred_to - each.due_at > HOURS for each in waiting) == count:
                    break
                await asyncio.sleep(0.1)
    assert len(sent) == 1
    assert len(world.relay.mails) == 1


async def test_a_reminder_shows_what_the_customer_did_not_buy_elsewhere(world):
    """With stop_on customer, lines ordered under another checkout are gone from the mail; all bought, there is none."""
    lamp, bulb = Item(name="Arc lamp", price="12.50"), Item(name="Warm bulb", price="3.00")
    async with world.daemon(RECOVERY_SCHEDULE__STOP_ON="customer"):
        await world.recovery.checkout(report("both", items=(lamp, bulb)))
        await world.recovery.checkout(report("lamp", items=(lamp,)))
        await world.recovery.checkout(report("other", items=(lamp,)))
        await world.recovery.order(Order(shop="shop.example", order_id="other"))
        message = await settled(world, "reminder-1", "lamp")
        assert (message.state, message.reason) == (MessageState.SKIPPED, "the same customer has ordered all of it")
        assert (await settled(world, "reminder-1", "both")).state is MessageState.SENT
    [mail] = [read(mail) for mail in world.relay.mails if read(mail)["Subject"] == "One"]
    text = mail.get_body(("plain",)).get_content()
    assert "Warm bulb" in text
    assert "Arc lamp" not in text


async def test_without_consent_nobody_is_reminded(world):
    """Where the shop requires it, what was reported without is skipped; what was reported with it is sent."""
    async with world.daemon(RECOVERY_SCHEDULE__REQUIRE_CONSENT="true"):
        await world.recovery.checkout(report("without"))
        consent = Consent(basis="opt-in", at="2026-03-05T12:00:00Z", source="box at the checkout")
        await world.recovery.checkout(report("with", consent=consent))
        assert (await settled(world, "reminder-1", "with")).state is MessageState.SENT
        message = await settled(world, "reminder-1", "without")
    assert (message.state, message.reason) == (MessageState.SKIPPED, "no consent is known")


async def test_a_relay_that_is_down_keeps_only_its_own_shops_waiting(world, tmp_path):
    """Each shop has its sender and its relay; the mail of one goes out while the relay of the other is away."""
    dead_port = 1
    (tmp_path / "recovery.toml").write_text(
        f"""
        [shops."lamps.example".mail]
        sender = "Lamps <shop@lamps.example>"
        [shops."away.example".smtp]
        port = {dead_port}
        """
    )
    async with world.daemon(RECOVERY_CONFIG=str(tmp_path / "recovery.toml")) as daemon:
        for number in range(5):
            await world.recovery.checkout(report(str(number), shop="away.example"))
        await asyncio.sleep(3)
        await world.recovery.checkout(report("1", shop="lamps.example"))
        await world.recovery.checkout(report("1"))
        await world.relay.wait_for(4)
        senders = {read(mail)["From"] for mail in world.relay.mails}
        away = await world.recovery.get("away.example", "1")
        readiness = (await daemon.http.get("/readyz")).json()
    assert senders == {"Lamps <shop@lamps.example>", "Shop <shop@shop.example>"}
    assert not any(each.state.settled for each in away.messages.values())
    assert f":{dead_port}" in str(readiness)
