"""Experiments in the kit: through the real engine, documents and mails."""

import re
from datetime import timedelta

import pytest

from recovery.domain.state import MessageState
from recovery.errors import Unavailable
from recovery.testing import RecoveryKit
from tests.support.kits import SHOP, checkout, order, steps

QUIET = {"quiet": {"share": 0.5, "until": "2030-01-01"}}
PEOPLE = 12


def person(number):
    return {"email": f"p{number}@example.com", "name": "Ada"}


async def left(kit):
    """Twelve people leave a checkout each."""
    for number in range(PEOPLE):
        await kit.checkout(checkout(str(number), customer=person(number)))


async def states(kit):
    return [await kit.get(SHOP, str(number)) for number in range(PEOPLE)]


async def test_half_of_the_people_get_no_reminder():
    """Each is in an arm; who is held out gets no reminder and has the reason, and the others get all three."""
    kit = RecoveryKit(experiments=QUIET)
    await left(kit)
    await kit.advance(days=4)
    arms = {state.id: next(iter(state.experiments.values())) for state in await states(kit)}
    held = {id_ for id_, arm in arms.items() if arm == "held out"}
    assert 0 < len(held) < PEOPLE
    assert {f"{SHOP}/{mail.order_id}" for mail in kit.mails} == arms.keys() - held
    for state in await states(kit):
        expected = (MessageState.SKIPPED, "held out") if state.id in held else (MessageState.SENT, None)
        assert {(each.state, each.reason) for each in state.messages.values()} == {expected}
        assert list(state.messages) == ["reminder-1", "reminder-2", "reminder-3"]
        assert [name for name in state.experiments if re.fullmatch("quiet-[0-9a-f]{8}", name)]
    assert [past.reason for past in kit.why(SHOP, min(held).partition("/")[2])].count("held out") == 3


async def test_an_order_of_a_held_out_checkout_is_confirmed():
    """The confirmation is no reminder."""
    kit = RecoveryKit(experiments=QUIET)
    await left(kit)
    await kit.advance(minutes=31)
    held = next(state for state in await states(kit) if "held out" in state.experiments.values())
    number = held.id.partition("/")[2]
    await kit.order(order(number, customer=person(number)))
    assert [mail.step for mail in await kit.advance()] == ["confirmation"]


async def test_a_report_changes_no_arm():
    """A checkout that is touched again keeps the arm that it has."""
    kit = RecoveryKit(experiments=QUIET)
    await left(kit)
    await kit.advance(hours=1)
    before = [state.experiments for state in await states(kit)]
    for number in range(PEOPLE):
        await kit.checkout(checkout(str(number), customer=person(number + 100), total="99.00"))
    await kit.advance(days=4)
    assert [state.experiments for state in await states(kit)] == before
    held = [state.id for state in await states(kit) if "held out" in state.experiments.values()]
    assert {f"{SHOP}/{mail.order_id}" for mail in kit.mails}.isdisjoint(held)


@pytest.fixture
def two_words(tmp_path):
    """A folder with another template for the first reminder."""
    for kind in ("txt", "html"):
        (tmp_path / f"short.{kind}.j2").write_text("Short: {{ checkout_url }} {{ unsubscribe_url }}")
    (tmp_path / "words.toml").write_text('[short]\nsubject = "Still here"\n')
    return tmp_path


async def test_some_get_the_other_template(two_words):
    """Arm b has the other words, a its own, and both are the mail of the same step."""
    words = {"words": {"share": 0.5, "until": "2030-01-01", "templates": {"reminder-1": "short"}}}
    kit = RecoveryKit(experiments=words, mail={"templates": str(two_words)})
    await left(kit)
    await kit.advance(minutes=31)
    of = {mail.order_id: "b" if mail.subject == "Still here" else "a" for mail in kit.mails}
    assert of == {state.id.partition("/")[2]: next(iter(state.experiments.values())) for state in await states(kit)}
    assert set(of.values()) == {"a", "b"}
    assert set(steps(kit)) == {"reminder-1"}


async def test_a_template_that_is_missing_is_found_before_anything_is_sent():
    """Both templates are checked at the start."""
    words = {"words": {"share": 0.5, "until": "2030-01-01", "templates": {"reminder-1": "absent"}}}
    with pytest.raises(Exception, match="absent"):
        RecoveryKit(experiments=words)


LATER = {
    "later": {
        "share": 0.5,
        "until": "2030-01-01",
        "steps": [{"name": "reminder-1", "delay": "2h"}, {"name": "reminder-2", "delay": "2d"}],
    }
}
DELAYS = {"a": {"reminder-1": 0.5, "reminder-2": 24, "reminder-3": 72}, "b": {"reminder-1": 2, "reminder-2": 48}}


async def test_each_gets_the_reminders_of_the_schedule_of_their_arm():
    """Every mail at its own time; the arms of all are decided when the first of either would be due."""
    kit = RecoveryKit(experiments=LATER)
    begun = kit.now
    await left(kit)
    await kit.advance(minutes=31)
    of = {str(number): next(iter(state.experiments.values())) for number, state in enumerate(await states(kit))}
    assert set(of.values()) == {"a", "b"}
    await kit.advance(days=4)
    sent = {(mail.order_id, mail.step, mail.at - begun) for mail in kit.mails}
    assert len(kit.mails) == len(sent)
    assert sent == {
        (number, step, timedelta(hours=hours)) for number, arm in of.items() for step, hours in DELAYS[arm].items()
    }


async def test_a_person_keeps_their_arm_across_checkouts():
    """The second checkout of each is in the arm of the first, also in a kit of its own: nothing but the key decides."""
    found = []
    for name in ("first", "second"):
        kit = RecoveryKit(experiments=LATER)
        for number in range(PEOPLE):
            await kit.checkout(checkout(f"{name}-{number}", customer=person(number)))
        await kit.advance(minutes=31)
        found.append([(await kit.get(SHOP, f"{name}-{number}")).experiments for number in range(PEOPLE)])
    assert found[0] == found[1]


async def test_who_orders_before_either_reminder_is_due_takes_no_part():
    """And who orders after that counts in their arm, though b has had no mail yet."""
    kit = RecoveryKit(experiments=LATER)
    await left(kit)
    await kit.advance(minutes=29)
    await kit.order(order("0", customer=person(0)))
    await kit.advance(minutes=2)
    late = next(number for number, each in enumerate(await states(kit)) if "b" in each.experiments.values())
    await kit.order(order(str(late), customer=person(late)))
    await kit.advance(days=4)
    kept = await states(kit)
    assert kept[0].experiments == {}
    assert list(kept[late].experiments.values()) == ["b"]
    assert [mail.step for mail in kit.mails if mail.order_id in ("0", str(late))] == ["confirmation"] * 2


async def test_who_comes_back_is_recorded_once_for_each_mail():
    """The POST of the way back records when, after which step's mail; a GET and a HEAD record nothing, nor a look."""
    kit = RecoveryKit(links={"count_clicks": True})
    await kit.checkout(checkout())
    [first] = await kit.advance(minutes=31)
    path = next(link for link in first.links if "/r/" in link).partition("recovery.example")[2]
    before = await kit.get(SHOP, "1042")
    for method in ("GET", "HEAD"):
        for headers in ({}, {"Purpose": "prefetch", "Sec-Purpose": "prefetch"}):
            assert (await kit.request(method, path, headers=headers)).status == 200
    assert await kit.get(SHOP, "1042") == before
    at = kit.now
    await kit.click(first)
    await kit.advance(hours=1)
    await kit.click(first)
    after = await kit.get(SHOP, "1042")
    assert after.returned == {"reminder-1": at}
    assert after.model_copy(update={"returned": {}}) == before
    [second] = await kit.advance(days=1)
    await kit.click(second)
    assert list((await kit.get(SHOP, "1042")).returned) == ["reminder-1", "reminder-2"]


async def test_a_customer_is_led_on_though_the_record_fails(monkeypatch):
    """The checkout comes first: a database that does not take the record keeps nobody out of it."""

    async def fails(*_):
        raise Unavailable("away")

    monkeypatch.setattr("recovery.mongo.returns.Returns.record", fails)
    kit = RecoveryKit(links={"count_clicks": True})
    await kit.checkout(checkout())
    [mail] = await kit.advance(minutes=31)
    assert await kit.click(mail) == "https://shop.example/checkouts/1042"


async def test_scanners_that_fetch_every_link_of_every_mail_count_nothing():
    """GET, HEAD and prefetch of all links: nobody came back, nobody is unsubscribed."""
    kit = RecoveryKit(links={"count_clicks": True})
    await left(kit)
    await kit.advance(days=4)
    for mail in kit.mails:
        for link in mail.links:
            if link.startswith("https://recovery.example"):
                for method in ("GET", "HEAD"):
                    await kit.request(
                        method, link.partition("recovery.example")[2], headers={"Sec-Purpose": "prefetch"}
                    )
    assert [state.returned for state in await states(kit)] == [{}] * PEOPLE
    await kit.checkout(checkout("again", customer=person(1)))
    assert [mail.to for mail in await kit.advance(days=1)][:1] == ["p1@example.com"]


async def test_the_coupon_of_a_mail_is_stored_with_it():
    """Results are by coupon, and steps change: the message keeps the code that it had."""
    kit = RecoveryKit(schedule={"steps": [{"name": "reminder-1", "delay": "30m", "coupon": "TEN"}]})
    await kit.checkout(checkout())
    await kit.advance(minutes=31)
    assert (await kit.get(SHOP, "1042")).messages["reminder-1"].coupon == "TEN"
