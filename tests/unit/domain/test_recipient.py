"""The last check of a recipient: messages are sent, skipped, postponed or called off."""

from datetime import timedelta

import pytest

from recovery.domain.checkout import Item
from recovery.domain.recipient import UNKNOWN, CallOff, Other, Postpone, RecipientHistory, Skip, held_back, still_wanted
from recovery.domain.schedule import CONFIRMATION, StopOn
from recovery.domain.suppression import Suppression, SuppressionReason
from tests.support.builders import NOON, minutes, report, schedule, state, step

REMINDER = step("reminder-1", minutes(30))
CONFIRM = step(CONFIRMATION, minutes(0))
CAPPED = schedule(min_gap_per_address=timedelta(hours=12))
LAMP = Item(name="Lamp", price="12.50", quantity=2)
BULB = Item(name="Bulb", price="3.00")


def judged(history, *, plan=CAPPED, message=REMINDER, checkout=None):
    return held_back(checkout or state(), message, history, plan, NOON, 0.0)


def suppressed(reason):
    return RecipientHistory(suppression=Suppression(reason, NOON))


@pytest.mark.parametrize("reason", list(SuppressionReason))
def test_a_suppressed_address_gets_no_reminder(reason):
    """Whatever the reason, a reminder is skipped and says so."""
    assert judged(suppressed(reason)) == Skip(f"the address is suppressed: {reason}")


@pytest.mark.parametrize("reason", list(SuppressionReason))
def test_an_order_is_confirmed_but_to_a_dead_address(reason):
    """A customer who wants no reminders still gets confirmations; an address that does not exist gets nothing."""
    held = judged(suppressed(reason), message=CONFIRM)
    assert (held is None) == (reason is not SuppressionReason.HARD_BOUNCE)


def test_what_cannot_be_known_is_not_sent():
    """If the suppression lookup fails, the message goes back and stays due."""
    assert isinstance(judged(UNKNOWN), CallOff)
    assert isinstance(judged(UNKNOWN, message=CONFIRM), CallOff)


def test_a_mail_about_another_checkout_postpones_to_the_end_of_the_gap():
    """An address that was written to is written to again when the gap is over, and not before."""
    history = RecipientHistory(
        others=[Other(written_at=NOON - minutes(90)), Other(written_at=NOON - timedelta(hours=11))]
    )
    why = "this address had a mail about another checkout"
    assert judged(history) == Postpone(NOON - minutes(90) + timedelta(hours=12), why)
    assert judged(history, message=CONFIRM) is None
    assert judged(history, plan=schedule()) is None
    assert judged(RecipientHistory(others=[Other(written_at=NOON - timedelta(hours=12))])) is None


def test_a_rival_that_is_being_sent_makes_one_step_back():
    """While a message of another checkout of the address is being sent, this one waits for a moment."""
    held = judged(RecipientHistory(others=[Other(claimed=True)]))
    assert isinstance(held, Postpone)
    assert NOON < held.until < NOON + minutes(1)
    assert judged(RecipientHistory(others=[Other(imminent=True)])) is None


def test_lines_that_were_bought_under_another_checkout_are_not_reminded_of():
    """With `stop_on` customer, only items that were not bought are left; if all were, the reminder is skipped."""
    plan = schedule(stop_on=StopOn.CUSTOMER)
    both = state(facts=report(items=(LAMP, BULB)).facts())
    bought_lamp = RecipientHistory(others=[Other(ordered_at=NOON + minutes(5), bought=(LAMP,))])
    assert still_wanted(both, bought_lamp, plan).items == (BULB,)
    assert still_wanted(both, bought_lamp, plan).total is None
    assert judged(bought_lamp, plan=plan, checkout=both) is None
    bought_both = RecipientHistory(others=[*bought_lamp.others, Other(ordered_at=NOON + minutes(6), bought=(BULB,))])
    assert isinstance(judged(bought_both, plan=plan, checkout=both), Skip)


def test_orders_of_the_customer_do_not_matter_where_only_the_checkout_counts():
    """With `stop_on` checkout the reminder is as it was, with all its items and its total."""
    bought = RecipientHistory(others=[Other(ordered_at=NOON + minutes(5), bought=(LAMP,))])
    assert still_wanted(state(), bought, schedule()) == state().facts
    assert judged(bought, plan=schedule()) is None


def test_what_was_bought_before_is_wanted_again():
    """An order from before this checkout was opened does not count."""
    plan = schedule(stop_on=StopOn.CUSTOMER)
    before = RecipientHistory(others=[Other(ordered_at=NOON - minutes(5), bought=(LAMP,))])
    assert judged(before, plan=plan) is None
    assert still_wanted(state(), before, plan) == state().facts


def test_another_variant_is_another_line():
    """A customer who bought the lamp in black may still want it in white."""
    plan = schedule(stop_on=StopOn.CUSTOMER)
    white = state(facts=report(items=(LAMP.model_copy(update={"variant": "white"}),)).facts())
    bought = RecipientHistory(
        others=[Other(ordered_at=NOON + minutes(5), bought=(LAMP.model_copy(update={"variant": "black"}),))]
    )
    assert judged(bought, plan=plan, checkout=white) is None
