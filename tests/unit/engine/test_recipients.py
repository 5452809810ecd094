"""The recipient's other checkouts and suppressions."""

from datetime import timedelta

from recovery.domain.checkout import Item
from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.recipient import RIVALS_TURN, Other, RecipientHistory, Skip
from recovery.domain.schedule import StopOn
from recovery.domain.state import MessageState
from recovery.domain.suppression import Suppression, SuppressionReason
from tests.support.builders import NOON, minutes, report, schedule, state
from tests.support.engine_in_memory import DUE, EngineInMemory

CAPPED = {"min_gap_per_address": timedelta(hours=12)}


async def test_a_suppressed_address_is_skipped_with_that_reason():
    """Nothing is sent, no attempt is counted, the history says why, and the next step has its turn."""
    async with EngineInMemory(state()).running() as scene:
        scene.clock.time = DUE
        scene.addresses.known = {scene.only.id: RecipientHistory(Suppression(SuppressionReason.UNSUBSCRIBED, NOON))}
        await scene.look()
    message = scene.only.messages["reminder-1"]
    assert scene.relay.taken == []
    assert (message.state, message.attempts) == (MessageState.SKIPPED, 0)
    assert message.reason == scene.only.history[-1].reason == "the address is suppressed: unsubscribed"
    assert scene.only.history[-1].decision == "skipped reminder-1"
    assert scene.witness.held == [("reminder-1", Skip("the address is suppressed: unsubscribed"))]
    assert scene.witness.attempts == []
    assert scene.only.next_at == NOON + timedelta(days=1)


async def test_addresses_are_asked_after_when_the_claim_is_made():
    """A suppression stored before the claim counts: the lookup starts no earlier than the claim."""
    async with EngineInMemory(state()).running() as scene:
        await scene.look()
        assert scene.addresses.asked == []
        scene.clock.time = DUE
        await scene.look()
    assert [ids for ids, _ in scene.addresses.asked] == [[scene.only.id]]


async def test_a_database_that_does_not_tell_of_addresses_sends_nothing():
    """Without an answer the message goes back, uncounted and still due; with one it is sent."""
    async with EngineInMemory(state()).running() as scene:
        scene.clock.time = DUE
        scene.addresses.unavailable = 1
        await scene.look()
        assert scene.relay.taken == []
        assert scene.only.messages["reminder-1"].attempts == 0
        await scene.look_until_quiet()
    assert scene.relay.taken == [(scene.only.id, "reminder-1")]


async def test_of_two_checkouts_of_one_address_one_is_written_about():
    """Due together, one is sent and the other postponed, in one daemon: the second waits for the gap to end."""
    async with EngineInMemory(state("1"), state("2"), plan=schedule(**CAPPED)).running() as scene:
        scene.clock.time = DUE
        await scene.look()
        assert len(scene.relay.taken) == 1
        (sent, _), *_ = scene.relay.taken
        (other,) = set(scene.store.kept) - {sent}
        scene.addresses.known = {other: RecipientHistory(others=[Other(written_at=DUE)])}
        await scene.look(other)
    assert len(scene.relay.taken) == 1
    kept = scene.store.kept[other]
    assert kept.next_at == scene.store.alarms[other] == DUE + timedelta(hours=12)
    assert (kept.messages["reminder-1"].state, kept.messages["reminder-1"].attempts) == (MessageState.WAITING, 0)


async def test_a_postponed_message_is_sent_at_its_new_time():
    """The gap over, the message goes out, and is not late although it was due twelve hours before."""
    async with EngineInMemory(state(), plan=schedule(**CAPPED)).running() as scene:
        scene.clock.time = DUE
        scene.addresses.known = {scene.only.id: RecipientHistory(others=[Other(written_at=DUE)])}
        await scene.look()
        assert scene.only.history[-1].decision == "postponed reminder-1"
        scene.addresses.known = {}
        scene.clock.time = DUE + timedelta(hours=12)
        await scene.look()
    assert scene.relay.taken == [(scene.only.id, "reminder-1")]
    assert scene.witness.attempts[-1][2] == timedelta(0)


async def test_who_may_have_a_rival_looks_again_after_the_claim():
    """Where another checkout may be claimed at the same moment, it is seen in a second look, after one's own claim."""
    async with EngineInMemory(state(), plan=schedule(**CAPPED)).running() as scene:
        scene.clock.time = DUE
        scene.addresses.known = {scene.only.id: RecipientHistory(others=[Other(imminent=True)])}
        scene.addresses.later = [{scene.only.id: RecipientHistory(others=[Other(claimed=True, imminent=True)])}]
        await scene.look()
    assert len(scene.addresses.asked) == 2
    assert scene.relay.taken == []
    assert scene.only.messages["reminder-1"].deferred_to == DUE + RIVALS_TURN


async def test_who_had_a_rival_only_in_sight_goes_ahead():
    """A checkout does not step back for one that was only due soon and was not claimed."""
    async with EngineInMemory(state(), plan=schedule(**CAPPED)).running() as scene:
        scene.clock.time = DUE
        scene.addresses.known = {scene.only.id: RecipientHistory(others=[Other(imminent=True)])}
        scene.addresses.later = [{}]
        await scene.look()
    assert scene.relay.taken == [(scene.only.id, "reminder-1")]


async def test_a_mail_shows_only_what_was_not_bought_elsewhere():
    """With `stop_on` customer the mail shows the remaining items; the stored checkout is unchanged."""
    bulb = Item(name="Bulb", price="3.00")
    both = state(facts=report(items=(*report().items, bulb)).facts())
    async with EngineInMemory(both, plan=schedule(stop_on=StopOn.CUSTOMER)).running() as scene:
        scene.clock.time = DUE
        bought = Other(ordered_at=NOON + minutes(1), bought=report().items)
        scene.addresses.known = {scene.only.id: RecipientHistory(others=[bought])}
        await scene.look()
    assert scene.relay.seen[-1].facts.items == (bulb,)
    assert len(scene.only.facts.items) == 2


async def test_an_address_that_the_relay_calls_dead_is_suppressed():
    """It gets no mail again: it is suppressed before the outcome is recorded."""
    async with EngineInMemory(state()).running() as scene:
        scene.clock.time = DUE
        scene.relay.outcomes = [Outcome(OutcomeKind.DEAD_ADDRESS, "550 5.1.1 no such user")]
        await scene.look()
    assert scene.addresses.dead == ["ada@example.com"]
