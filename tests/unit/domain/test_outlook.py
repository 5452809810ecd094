"""The forecast of a checkout's upcoming messages, and of a replayed dead message."""

from datetime import timedelta

from recovery.domain.outlook import Ahead, outlook, replay
from recovery.domain.recipient import NOTHING_KNOWN, Other, RecipientHistory
from recovery.domain.state import Claim, KeptConsent, Message, MessageState, Past, Status
from recovery.domain.suppression import Suppression, SuppressionReason
from tests.support.builders import NOON, minutes, schedule, state

DAY = timedelta(days=1)
COMPLAINT = Suppression(SuppressionReason.COMPLAINT, NOON)
DEAD = {"reminder-1": Message(state=MessageState.DEAD, attempts=5)}


def test_all_that_is_to_come_is_told_in_its_order():
    """Each reminder of an open checkout, with its time."""
    assert outlook(state(), schedule(), None, NOON) == [
        Ahead("reminder-1", NOON + minutes(30)),
        Ahead("reminder-2", NOON + DAY),
        Ahead("reminder-3", NOON + 3 * DAY),
    ]


def test_what_was_sent_is_not_to_come():
    """Of a message that is being sent it is taken that it will be."""
    sending = state(
        messages={"reminder-1": Message(state=MessageState.SENDING)},
        claim=Claim(token="t", owner="me", until=NOON + minutes(31)),
    )
    assert [each.step for each in outlook(sending, schedule(), None, NOON + minutes(30))] == [
        "reminder-2",
        "reminder-3",
    ]


def test_a_due_message_that_waits_for_its_turn_is_told_with_its_time_and_the_reason():
    """A warm-up, or a mailbox provider that is slowed, holds it back."""
    why = Past(at=NOON + minutes(31), decision="wait", reason="mails to google are slowed")
    waiting = state(next_at=NOON + minutes(40), history=[why])
    ahead = outlook(waiting, schedule(), None, NOON + minutes(32))
    assert ahead[0] == Ahead("reminder-1", NOON + minutes(40), why.reason)
    assert ahead[1] == Ahead("reminder-2", NOON + DAY)
    assert outlook(waiting, schedule(), None, NOON + minutes(41))[0] == Ahead("reminder-1", NOON + minutes(41))


def test_a_suppressed_address_is_told_with_every_reminder():
    """No time is named for what will not be sent, but the reason."""
    ahead = outlook(state(), schedule(), COMPLAINT, NOON)
    assert ahead == [Ahead(f"reminder-{number}", None, "the address is suppressed: complaint") for number in (1, 2, 3)]


def test_a_refused_consent_is_told_with_every_reminder():
    """Who has said no is not reminded, and it says so."""
    refused = KeptConsent(given=False, basis="box", at=NOON, source="checkout")
    ahead = outlook(state(consent=refused), schedule(), None, NOON)
    assert {(each.at, each.why) for each in ahead} == {(None, "the customer has said no")}


def test_a_mail_about_another_checkout_of_the_address_is_waited_for():
    """A reminder keeps its distance from it, and the next one from that."""
    plan = schedule(min_gap_per_address=DAY)
    ahead = outlook(state(), plan, None, NOON, [Other(written_at=NOON - minutes(60))])
    why = "this address had a mail about another checkout"
    assert ahead[0] == Ahead("reminder-1", NOON + DAY - minutes(60), why)
    assert ahead[1] == Ahead("reminder-2", NOON + 2 * DAY - minutes(60))


def test_after_an_order_only_its_confirmation_is_to_come():
    """However many reminders were left."""
    ordered = state(status=Status.ORDERED, ordered_at=NOON)
    assert outlook(ordered, schedule(), None, NOON) == [Ahead("confirmation", NOON)]
    assert outlook(state(status=Status.CANCELLED), schedule(), None, NOON) == []


def test_a_replay_sends():
    """However long ago it was due, a dead message is tried at once."""
    assert replay(state(messages=DEAD), "reminder-1", schedule(), NOTHING_KNOWN, NOON + DAY) == Ahead(
        "reminder-1", NOON + DAY
    )


def test_a_replay_to_a_suppressed_address_is_skipped():
    """The forecast shows it before the daemon finds it."""
    ahead = replay(state(messages=DEAD), "reminder-1", schedule(), RecipientHistory(COMPLAINT), NOON)
    assert ahead == Ahead("reminder-1", None, "the address is suppressed: complaint")


def test_a_replay_waits_for_what_another_checkout_of_the_address_had():
    """The gap between two mails to one address holds for a replay as well."""
    history = RecipientHistory(others=[Other(written_at=NOON)])
    ahead = replay(state(messages=DEAD), "reminder-1", schedule(min_gap_per_address=2 * DAY), history, NOON + DAY)
    assert (ahead.at, ahead.why) == (NOON + 2 * DAY, "this address had a mail about another checkout")


def test_a_replay_waits_for_the_end_of_a_pause():
    """Nobody knows when that is; unlike what is skipped, the message stays due."""
    history = RecipientHistory(paused="shop.example")
    ahead = replay(state(messages=DEAD), "reminder-1", schedule(), history, NOON)
    assert ahead == Ahead("reminder-1", None, "sending for shop.example is paused", waits=True)


def test_a_replay_of_what_is_not_dead_any_more():
    """Somebody else was faster."""
    ahead = replay(state(), "reminder-1", schedule(), NOTHING_KNOWN, NOON)
    assert (ahead.at, ahead.why) == (None, "it is no longer dead, and stays as it is")


def test_a_replay_after_an_order():
    """Who has ordered is not reminded, dead letter or not."""
    ordered = state(status=Status.ORDERED, ordered_at=NOON, confirm=False, messages=DEAD)
    assert replay(ordered, "reminder-1", schedule(), NOTHING_KNOWN, NOON).at is None
