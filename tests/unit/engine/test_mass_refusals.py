"""A relay that refuses every address at once: the brake."""

from datetime import timedelta

import pytest

from recovery.domain.outcome import Outcome, OutcomeKind
from tests.support.builders import minutes, report, state
from tests.support.engine_in_memory import DUE, EngineInMemory

QUOTA = "550 Domain shop.example has exceeded the max emails per fortnight ({}/200)"


def of_several(count):
    """Return checkouts of as many addresses."""
    customer = report().customer
    each = [customer.model_copy(update={"email": f"p{number}@example.com"}) for number in range(count)]
    return [state(str(number), facts=report(customer=one).facts()) for number, one in enumerate(each)]


@pytest.mark.parametrize(
    ("kind", "reply", "fault"),
    [
        (OutcomeKind.DEAD_ADDRESS, QUOTA, "addresses in a row were called dead in the same words"),
        (OutcomeKind.DEAD_MESSAGE, "554 Versandkontingent von {}", "messages in a row were refused in the same words"),
    ],
)
async def test_a_relay_that_refuses_everybody_for_good_kills_nobody(kind, reply, fault):
    """Five in a row with the same wording, whatever the numbers in it: none is suppressed, and all wait."""
    async with EngineInMemory(*of_several(8)).running() as scene:
        scene.clock.time = DUE
        scene.relay.outcomes = [Outcome(kind, reply.format(200 + n)) for n in range(8)]
        await scene.look()
        assert scene.addresses.dead == []
        assert scene.store.letters == []
        assert all(kept.messages["reminder-1"].attempts == 0 for kept in scene.store.kept.values())
        assert fault in scene.engine.sender.brake.fault
        assert scene.engine.sender.breaker.fault is not None
        scene.clock.time = DUE + minutes(10)
        scene.monotonic = lambda: 10**9
        await scene.look_until_quiet()
    assert len(scene.relay.taken) == 8
    assert scene.engine.sender.brake.fault is None


async def test_what_we_find_ourselves_is_no_word_of_the_relay():
    """Addresses that this relay cannot accept are given up one by one, however many there are."""
    async with EngineInMemory(*of_several(8)).running() as scene:
        scene.clock.time = DUE
        scene.relay.outcomes = [Outcome(OutcomeKind.DEAD_MESSAGE, "the relay does not offer SMTPUTF8")] * 8
        await scene.look()
    assert len(scene.store.letters) == 8
    assert scene.engine.sender.brake.fault is None


async def test_what_goes_back_unsent_leaves_no_line_of_history():
    """It may go back many times, and would push other entries out of the history."""
    async with EngineInMemory(state()).running() as scene:
        scene.clock.time = DUE
        scene.relay.outcomes = [Outcome(OutcomeKind.UNSENT, "no connection"), Outcome(OutcomeKind.CALLED_OFF, "a stop")]
        await scene.look()
        await scene.look()
        assert [past.decision for past in scene.only.history] == []
        scene.clock.time += timedelta(seconds=1)
        await scene.look()
    assert [past.decision for past in scene.only.history] == ["sent reminder-1"]


async def test_answers_of_several_connections_come_in_any_order():
    """One that was taken just before the relay turned may be reported after the first that were called dead."""
    async with EngineInMemory(*of_several(9)).running() as scene:
        scene.clock.time = DUE
        scene.relay.outcomes = [Outcome(OutcomeKind.DEAD_ADDRESS, QUOTA.format(200 + n)) for n in range(8)]
        scene.relay.outcomes.insert(3, Outcome(OutcomeKind.SENT, "250 2.0.0 taken"))
        await scene.look()
        assert scene.addresses.dead == []
        assert scene.store.letters == []


async def test_those_that_were_believed_before_the_brake_knew_better_are_given_back():
    """One each minute is believed, until the fifth shows that it was not them."""
    async with EngineInMemory(*of_several(5)).running() as scene:
        scene.clock.time = DUE
        dead = []
        for number in range(5):
            scene.relay.outcomes = [Outcome(OutcomeKind.DEAD_ADDRESS, QUOTA.format(number))]
            await scene.look(f"shop.example/{number}")
            dead.append(len(scene.addresses.dead))
    assert dead == [1, 2, 3, 4, 0]
    assert len(scene.store.letters) == 4, "their messages can be replayed"


async def test_dead_addresses_among_living_ones_are_believed():
    """A few dead addresses with the same wording, between accepted messages, are believed."""
    async with EngineInMemory(*of_several(40)).running() as scene:
        scene.clock.time = DUE
        for number in range(40):
            if number % 13 == 5:
                scene.relay.outcomes = [Outcome(OutcomeKind.DEAD_ADDRESS, "550 5.1.1 no such user")]
            await scene.look(f"shop.example/{number}")
    assert sorted(scene.addresses.dead) == ["p18@example.com", "p31@example.com", "p5@example.com"]
    assert scene.engine.sender.brake.fault is None
