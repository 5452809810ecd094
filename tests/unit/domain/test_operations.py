"""What an operator may do with one checkout."""

from datetime import timedelta

import pytest

from recovery.domain.decision import Rest, Send, Wait, decide
from recovery.domain.operations import Change, NotPossible, Operator, pause, postpone, resume, send_now, skip
from recovery.domain.state import CheckoutState, Claim, Message, MessageState, Pause, Status
from tests.support.builders import NOON, minutes, schedule, state

OLGA = Operator("olga", "in the console")
DAY = timedelta(days=1)
SENT = {"reminder-1": Message(state=MessageState.SENT, sent_at=NOON + minutes(30))}
PLAN = schedule()
SENDING = state(
    messages={"reminder-1": Message(state=MessageState.SENDING, attempts=1)},
    claim=Claim(token="t", owner="me", until=NOON + minutes(1)),
)
ORPHAN = SENDING.model_copy(update={"claim": None})


def _after(seen: CheckoutState, change: Change) -> CheckoutState:
    return change.applied(seen, NOON + minutes(1))


def test_the_next_message_is_sent_now():
    """The decision that follows is to send it."""
    change = send_now(state(), PLAN, "reminder-1", NOON + minutes(1))
    decision = decide(_after(state(), change), PLAN, NOON + minutes(1))
    assert isinstance(decision, Send)
    assert decision.step.name == "reminder-1"
    assert change.decision == "send reminder-1 now"


def test_sending_now_keeps_the_gap_between_mails():
    """The rules of the schedule hold for it."""
    seen = state(messages=SENT)
    after = _after(seen, send_now(seen, PLAN, None, NOON + minutes(31)))
    assert decide(after, PLAN, NOON + minutes(31)) == Wait(
        NOON + minutes(30) + timedelta(hours=6), "reminder-2 is due then"
    )


def test_sending_now_ends_a_postponement_and_keeps_what_is_known_of_earlier_attempts():
    """That the relay may have the message already is not forgotten."""
    waiting = Message(attempts=2, ambiguous=1, retry_at=NOON + DAY, deferred_to=NOON + DAY)
    seen = state(messages={"reminder-1": waiting})
    message = send_now(seen, PLAN, None, NOON + minutes(1)).messages["reminder-1"]
    assert (message.attempts, message.ambiguous) == (2, 1)
    assert isinstance(decide(_after(seen, send_now(seen, PLAN, None, NOON)), PLAN, NOON + minutes(1)), Send)


def test_a_message_that_was_asked_about_is_not_replaced_by_the_next():
    """While the question was open, it was sent."""
    with pytest.raises(NotPossible, match="reminder-1 is sent already"):
        send_now(state(messages=SENT), PLAN, "reminder-1", NOON + minutes(31))
    with pytest.raises(NotPossible, match="reminder-2 comes after reminder-1"):
        send_now(state(), PLAN, "reminder-2", NOON)


def test_a_skipped_message_is_never_sent_and_says_who_skipped_it():
    """The next one is decided on."""
    change = skip(state(), PLAN, None, OLGA, NOON)
    assert change.messages["reminder-1"].state is MessageState.SKIPPED
    assert change.messages["reminder-1"].reason == "skipped by olga"
    decision = decide(_after(state(), change), PLAN, NOON + minutes(31))
    assert isinstance(decision, Wait)
    assert decision.until == NOON + DAY


def test_any_message_that_is_left_can_be_skipped():
    """Not only the next one."""
    assert list(skip(state(), PLAN, "reminder-3", OLGA, NOON).messages) == ["reminder-3"]
    with pytest.raises(NotPossible, match="confirmation is not to come"):
        skip(state(), PLAN, "confirmation", OLGA, NOON)


def test_a_postponed_message_waits_and_is_not_late():
    """However long it is postponed."""
    until = NOON + 5 * DAY
    change = postpone(state(), PLAN, None, until, OLGA, NOON)
    after = _after(state(), change)
    decision = decide(after, PLAN, NOON + minutes(31))
    assert isinstance(decision, Wait)
    assert decision.until == until
    assert isinstance(decide(after, PLAN, until), Send)


@pytest.mark.parametrize(
    ("until", "why"),
    [
        (NOON, "still to come"),
        (NOON + minutes(20), "is not due before"),
        (NOON + timedelta(days=400), "by a year at most"),
    ],
    ids=["past", "not-later", "too-far"],
)
def test_a_message_is_postponed_to_a_later_time(until, why):
    """What would change nothing is refused."""
    with pytest.raises(NotPossible, match=why):
        postpone(state(), PLAN, None, until, OLGA, NOON + minutes(1))


@pytest.mark.parametrize("seen", [SENDING, ORPHAN], ids=["claimed", "sender-died"])
def test_a_message_that_is_being_sent_is_left_alone(seen):
    """Neither can another one be moved meanwhile."""
    for operation in (
        lambda: send_now(seen, PLAN, None, NOON),
        lambda: skip(seen, PLAN, "reminder-2", OLGA, NOON),
        lambda: postpone(seen, PLAN, None, NOON + DAY, OLGA, NOON),
    ):
        with pytest.raises(NotPossible, match="reminder-1 is being sent at this moment"):
            operation()


@pytest.mark.parametrize("status", [Status.CANCELLED, Status.FINISHED])
def test_where_nothing_is_left_nothing_is_sent(status):
    """It says why."""
    done = {f"reminder-{number}": Message(state=MessageState.SENT, sent_at=NOON) for number in (1, 2, 3)}
    with pytest.raises(NotPossible, match="Nothing is left to send: "):
        send_now(state(status=status, messages=done), PLAN, None, NOON)


def test_a_paused_checkout_rests_until_it_is_resumed():
    """The reason says who paused it."""
    paused = _after(state(), pause(state(), OLGA, NOON))
    assert decide(paused, PLAN, NOON + minutes(31)) == Rest(Status.FINISHED, "paused: by olga")
    resumed = _after(paused, resume(paused))
    assert isinstance(decide(resumed, PLAN, NOON + minutes(31)), Send)


def test_a_pause_holds_though_the_customers_clock_is_ahead():
    """It is not older than the last activity."""
    seen = state(touched_at=NOON + minutes(1))
    assert _after(seen, pause(seen, OLGA, NOON)).pause is not None


def test_what_is_not_so_cannot_be_ended():
    """Pausing twice, resuming what is not paused, pausing what is ordered."""
    paused = state(paused=Pause(at=NOON, reason="by olga"))
    with pytest.raises(NotPossible, match="paused already: by olga"):
        pause(paused, OLGA, NOON)
    with pytest.raises(NotPossible, match="not paused"):
        resume(state())
    with pytest.raises(NotPossible, match="It is ordered"):
        pause(state(status=Status.ORDERED), OLGA, NOON)


def test_the_history_says_who_and_where():
    """A name alone would not tell."""
    assert OLGA.reason == "requested by olga in the console"
