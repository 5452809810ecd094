"""The real process: mails arrive when they should, an order stops them, and nothing is lost when it dies."""

import asyncio
import hmac
import json
from base64 import b64encode
from collections import Counter
from datetime import UTC, datetime
from email import message_from_bytes, policy

from recovery import Customer, Order
from recovery.domain.state import Status
from tests.support.builders import report
from tests.support.collected import collected

ORDER = Order(shop="shop.example", order_id="1")
ADA = "ada@example.com"


def subjects(relay, to):
    """Count the subjects of what the relay took for somebody."""
    mails = [message_from_bytes(mail.content, policy=policy.default) for mail in relay.mails]
    return Counter(mail["Subject"] for mail in mails if to in mail["To"])


async def at_rest(world, order_id="1"):
    """Wait until nothing is left to do for a checkout; return it."""
    async with asyncio.timeout(60):
        while (state := await world.recovery.get("shop.example", order_id)) is None or state.next_at is not None:
            await asyncio.sleep(0.05)
    return state


async def past_all_due_times(world):
    """Wait until a checkout reported now has had all its reminders: what is not there by then will never come."""
    await world.recovery.checkout(report("witness", customer=Customer(email="witness@example.com")))
    await at_rest(world, "witness")


async def test_every_reminder_arrives_once_and_not_before_it_is_due(world):
    """A checkout left behind gets each reminder of the schedule, in order, on or after its time."""
    async with world.daemon():
        await world.recovery.checkout(report())
        state = await at_rest(world)
    assert state.status is Status.FINISHED
    assert [message_from_bytes(mail.content)["Subject"] for mail in world.relay.mails] == ["One", "Two"]
    for message in state.messages.values():
        assert message.sent_at >= message.due_at
        assert message.attempts == 1


async def test_an_order_before_the_first_reminder_stops_them_all(world):
    """Who orders in time gets the confirmation and nothing else."""
    async with world.daemon():
        await world.recovery.checkout(report())
        await world.recovery.order(ORDER)
        await past_all_due_times(world)
    assert subjects(world.relay, ADA) == {"Thank you for your order": 1}


async def test_an_order_between_reminders_stops_the_rest(world):
    """After the first reminder an order stops the second."""
    async with world.daemon():
        await world.recovery.checkout(report())
        await world.relay.wait_for(1)
        await world.recovery.order(ORDER)
        await past_all_due_times(world)
        state = await at_rest(world)
    assert subjects(world.relay, ADA) == {"One": 1, "Thank you for your order": 1}
    assert state.status is Status.ORDERED


async def test_a_cancelled_checkout_is_never_written_to(world):
    """DELETE over HTTP ends it, and the history says so."""
    async with world.daemon() as daemon:
        await daemon.http.get("/openapi.json")  # the first request loads the endpoints, and the reminder does not wait
        await daemon.http.post("/checkout", json=report().model_dump(mode="json", exclude_none=True))
        answer = await daemon.http.delete("/checkouts/shop.example/1")
        assert answer.status_code == 204
        await past_all_due_times(world)
        shown = (await daemon.http.get("/checkouts/shop.example/1")).json()
    assert subjects(world.relay, ADA) == {}
    assert shown["status"] == "cancelled"
    assert shown["history"][-1]["reason"] == "cancelled: no reminders"


async def test_an_edit_moves_the_timer(world):
    """A changed checkout is reminded of by its new content, counted from the change."""
    async with world.daemon():
        await world.recovery.checkout(report())
        await world.recovery.checkout(report(total="99.00"))
        await world.relay.wait_for(1)
        state = await at_rest(world)
    first = message_from_bytes(world.relay.mails[0].content, policy=policy.default)
    assert "99.00" in first.get_body(("plain",)).get_content()
    assert state.touched_at > state.opened_at
    assert (state.messages["reminder-1"].due_at - state.touched_at).total_seconds() == 1


async def test_sigterm_finishes_what_is_with_the_relay(world):
    """A message handed over is recorded before the process ends, with exit code 0; nothing new is begun."""
    world.relay.hang_at("DOT", times=1)
    async with world.daemon() as daemon:
        await world.recovery.checkout(report())
        await world.relay.until(lambda: "DOT" in world.relay.reached, 20)
        stopping = asyncio.create_task(daemon.terminate())
        await daemon.said("stopping")
        world.relay.say("250 2.0.0 taken after all")
        assert await stopping == 0
        state = await world.recovery.get("shop.example", "1")
    assert state.messages["reminder-1"].reply == "250 2.0.0 taken after all"
    assert state.claim is None


async def test_sigterm_waits_for_nobody_longer_than_ten_seconds(world):
    """A relay that hangs after the dot and a caller that never ends its request do not keep the process."""
    world.relay.hang_at("DOT", times=None)
    settings = {"RECOVERY_SMTP__TIMEOUT": "30s", "RECOVERY_SCHEDULE__LEASE": "60s"}
    async with world.daemon(**settings) as daemon:
        await world.recovery.checkout(report())
        await world.relay.until(lambda: "DOT" in world.relay.reached, 20)
        _, half_a_request = await asyncio.open_connection("127.0.0.1", daemon.http.base_url.port)
        half_a_request.write(b"POST /checkout HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n")
        await half_a_request.drain()
        assert await daemon.terminate(within=10) == 0
        half_a_request.close()
    assert all(entry["event"].isprintable() and "Traceback" not in entry["event"] for entry in daemon.log)


async def test_kill_9_and_a_restart_lose_nothing(world):
    """Killed in a burst, with mails on their way, and started again: everybody is written to, hardly anybody twice."""
    count = 60
    async with world.daemon() as daemon:
        await asyncio.gather(*(world.recovery.checkout(report(str(n))) for n in range(count)))
        await world.relay.wait_for(10, 20)
        await daemon.kill()
    in_flight = 0
    for n in range(count):
        state = await world.recovery.get("shop.example", str(n))
        in_flight += state.claim is not None
    async with world.daemon():
        for n in range(count):
            await at_rest(world, str(n))
    ids = Counter(message_from_bytes(mail.content)["Message-ID"] for mail in world.relay.mails)
    assert len(ids) == 2 * count
    doubled = sum(number - 1 for number in ids.values())
    assert doubled <= in_flight


async def test_two_daemons_write_once(world):
    """Two daemons on one database share the work, and nobody is written to twice."""
    async with world.daemon(), world.daemon():
        await asyncio.gather(*(world.recovery.checkout(report(str(n))) for n in range(40)))
        for n in range(40):
            await at_rest(world, str(n))
    ids = Counter(message_from_bytes(mail.content)["Message-ID"] for mail in world.relay.mails)
    assert (len(ids), sum(ids.values())) == (80, 80)


async def test_the_house_says_how_it_is(world):
    """Liveness, readiness and metrics are served."""
    async with world.daemon() as daemon:
        await world.recovery.checkout(report())
        await at_rest(world)
        async with asyncio.timeout(60):
            while (ready := await daemon.http.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.05)
        assert set(ready.json()["checks"].values()) == {None}
        assert (await daemon.http.get("/healthz")).status_code == 200
        metrics = (await daemon.http.get("/metrics")).text
    assert 'recovery_attempts_total{outcome="sent",step="reminder-1"} 1.0' in metrics
    assert 'recovery_looks_total{cause="sweep"}' not in metrics, "a healthy system needs no sweep"


async def test_a_relay_that_is_down_is_named_and_waited_for(world):
    """Readiness names the relay; when it is back the mail goes out, and no attempt was burnt."""
    world.relay.refuse_connections()
    async with world.daemon() as daemon:
        await world.recovery.checkout(report())
        async with asyncio.timeout(60):
            while not (fault := (await daemon.http.get("/readyz")).json()["checks"]["relay"]):
                await asyncio.sleep(0.05)
        assert "connection" in fault
        await world.relay.listen()
        await world.relay.wait_for(1, 20)
        state = await at_rest(world)
    assert state.messages["reminder-1"].attempts == 1


async def test_what_shopify_sends_comes_out_as_a_mail(world):
    """Shopify's own sample checkout goes in by the webhook, and a mail with both items and the total comes out."""
    secret = "shared with Shopify"
    checkout = json.loads(collected("shopify", "checkouts.json").read_text())["checkouts"][0]
    order = json.loads(collected("shopify", "order.json").read_text())["order"]
    now = datetime.now(UTC).isoformat()
    checkout |= {"created_at": now, "updated_at": now}  # the sample is of 2012: nobody is written to about that
    order |= {"created_at": now, "processed_at": now}

    async def post(daemon, topic, payload):
        body = json.dumps(payload).encode()
        signature = b64encode(hmac.digest(secret.encode(), body, "sha256")).decode()
        headers = {
            "X-Shopify-Topic": topic,
            "X-Shopify-Shop-Domain": "apple.myshopify.com",
            "X-Shopify-Hmac-Sha256": signature,
            "Content-Type": "application/json",
        }
        return (await daemon.http.post("/webhooks/shopify", content=body, headers=headers)).status_code

    async with world.daemon(RECOVERY_SHOPIFY__WEBHOOK_SECRET=secret) as daemon:
        assert await post(daemon, "checkouts/create", checkout) == 200
        (mail,) = await world.relay.wait_for(1, 20)
        assert await post(daemon, "orders/create", order) == 200
        async with asyncio.timeout(60):
            while (await world.recovery.get("apple.myshopify.com", checkout["token"])).status != "ordered":
                await asyncio.sleep(0.05)
    message = message_from_bytes(mail.content, policy=policy.default)
    assert message["To"].addresses[0].addr_spec == "bob.norman@hostmail.com"
    html = message.get_body(("html",)).get_content()
    for text in ("IPod Nano - 8GB", "Red", "Pink", "$409.94", checkout["abandoned_checkout_url"].split("?")[0]):
        assert text in html


async def test_changed_templates_are_taken_without_a_restart(world, tmp_path):
    """What is changed in the shop's folder is in the next mails; a broken template is logged, and not used."""
    words = tmp_path / "words.toml"
    words.write_text('[confirmation]\nsubject = "First"')
    async with world.daemon(RECOVERY_MAIL__TEMPLATES=str(tmp_path)) as daemon:
        await world.recovery.order(Order(shop="shop.example", order_id="1", customer=Customer(email=ADA)))
        await at_rest(world)
        words.write_text('[confirmation]\nsubject = "{{ nobody }}"')
        await daemon.said("template change refused")
        words.write_text('[confirmation]\nsubject = "Second, and last"')
        async with asyncio.timeout(60):
            number = 1
            while not subjects(world.relay, ADA)["Second, and last"]:
                number += 1
                order = Order(shop="shop.example", order_id=str(number), customer=Customer(email=ADA))
                await world.recovery.order(order)
                await at_rest(world, str(number))
    assert subjects(world.relay, ADA) == {"First": number - 1, "Second, and last": 1}


async def test_a_new_sending_address_sends_few_reminders_and_every_confirmation(world):
    """With a warm-up of three messages on its first day: two confirmations leave one for reminders."""
    first_day = {"RECOVERY_WARMUP__FROM": f"{datetime.now(UTC):%Y-%m-%d}", "RECOVERY_WARMUP__FIRST_DAY": "3"}
    async with world.daemon(**first_day) as daemon:
        for order_id in ("a", "b"):
            await world.recovery.checkout(report(order_id))
            await world.recovery.order(Order(shop="shop.example", order_id=order_id))
        await world.relay.wait_for(2)
        left = [str(number) for number in range(6)]
        await asyncio.gather(*(world.recovery.checkout(report(order_id)) for order_id in left))
        waiting = []
        async with asyncio.timeout(20):
            while len(waiting) < 5:
                states = [await world.recovery.get("shop.example", order_id) for order_id in left]
                waiting = [state for state in states if state.history and "warm-up" in (state.history[-1].reason or "")]
                await asyncio.sleep(0.05)
        await world.recovery.order(ORDER)
        await world.relay.wait_for(4)
        metrics = (await daemon.http.get("/metrics")).text
    assert subjects(world.relay, ADA) == {"Thank you for your order": 3, "One": 1}
    assert all(state.claim is None and not state.messages for state in waiting)
    assert "recovery_warmup_limit 3.0" in metrics
    assert next(entry["limit"] for entry in daemon.log if entry["event"] == "warm-up day") == 3
