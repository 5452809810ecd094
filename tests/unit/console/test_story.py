"""The story of a checkout, as its page tells it."""

from recovery.console.story import Event, stops, story
from recovery.domain.schedule import StopOn
from recovery.domain.state import KeptConsent, Message, MessageState, Past, Pause, Status
from tests.support.builders import NOON, minutes, schedule, state


def test_events_are_told_in_their_order():
    """Whatever they come from."""
    kept = state(
        opened_at=NOON,
        touched_at=NOON + minutes(2),
        active_at=NOON + minutes(3),
        consent=KeptConsent(given=False, basis="box", at=NOON + minutes(1), source="checkout"),
        paused=Pause(at=NOON + minutes(4), reason="by olga"),
        returned={"reminder-1": NOON + minutes(6)},
        history=(Past(at=NOON + minutes(5), decision="skipped reminder-1", reason="said no"),),
    )
    assert [(each.what, each.why) for each in story(kept)] == [
        ("Opened by its customer", ""),
        ("Reminders refused", "box (checkout)"),
        ("Last reported activity in the checkout", ""),
        ("Last activity in its cart", ""),
        ("Paused", "by olga"),
        ("Skipped reminder-1", "said no"),
        ("Came back by the link of reminder-1", ""),
    ]


def test_a_wait_has_its_end_as_a_time():
    """So that it can be shown in the reader's zone; what is not a time stays a text."""
    waits = [
        Past(at=NOON, decision="wait until 2026-03-05 12:30:00 UTC", reason="due then"),
        Past(at=NOON, decision="wait until whenever", reason=""),
    ]
    told = story(state(opened_at=NOON, touched_at=NOON, history=waits))
    assert (told[1].what, told[1].until.isoformat()) == ("Waits until", "2026-03-05T12:30:00+00:00")
    assert told[2] == Event(NOON, "Wait until whenever")


def test_a_mail_is_told_once_although_the_history_forgets():
    """Only the newest decisions are kept; the message says when it was sent."""
    sent = Message(state=MessageState.SENT, sent_at=NOON + minutes(30), reply="250 ok")
    past = Past(at=NOON + minutes(30), decision="sent reminder-1", reason="250 ok")
    for history in ((), (past,)):
        told = story(state(messages={"reminder-1": sent}, history=history))
        assert [each for each in told if each.kind == "sent"] == [
            Event(NOON + minutes(30), "Sent reminder-1", "250 ok", kind="sent")
        ]


def test_what_would_stop_it_is_that_of_the_schedule():
    """An order elsewhere counts only where the shop says so."""
    assert "same customer" not in stops(state(), schedule())[0]
    assert "same customer" in stops(state(), schedule(stop_on=StopOn.CUSTOMER))[0]
    assert len(stops(state(status=Status.ORDERED), schedule())) == 1
