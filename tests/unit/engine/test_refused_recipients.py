"""Recipients that the relay refuses as if the fault were ours, while it takes the others."""

from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.state import MessageState
from recovery.engine.setbacks import FREE_SETBACKS
from tests.support.builders import state
from tests.support.engine_in_memory import DUE, EngineInMemory

BLOCKED = Outcome(OutcomeKind.OUR_FAULT, "550 5.7.1 <…>: Recipient address rejected: Access denied")
TAKEN = Outcome(OutcomeKind.SENT, "250 2.0.0 taken")


async def refused_among_others(times, *, others=True):
    """Let one message be refused so often, with another that is taken after each time; return the engine."""
    scene = EngineInMemory(state("bad"), *(state(f"good-{number}") for number in range(times)))
    async with scene.running():
        scene.clock.time = DUE
        for number in range(times):
            scene.relay.outcomes = [BLOCKED]
            await scene.look("shop.example/bad")
            if others:
                scene.relay.outcomes = [TAKEN]
                await scene.look(f"shop.example/good-{number}")
            scene.clock.time = scene.store.kept["shop.example/bad"].messages["reminder-1"].retry_at or scene.clock.time
    return scene


async def test_a_message_that_is_refused_while_others_are_taken_is_at_fault_itself():
    scene = await refused_among_others(FREE_SETBACKS + 2)
    message = scene.store.kept["shop.example/bad"].messages["reminder-1"]
    assert (message.state, message.attempts) == (MessageState.WAITING, 2)


async def test_it_holds_up_nobody_once_it_is_known():
    scene = await refused_among_others(FREE_SETBACKS + 3)
    assert scene.engine.sender.breaker.fault is None
    assert len([id_ for id_, _ in scene.relay.taken if "good" in id_]) == FREE_SETBACKS + 3


async def test_where_nobody_is_taken_the_fault_stays_ours():
    scene = await refused_among_others(FREE_SETBACKS + 3, others=False)
    assert scene.store.kept["shop.example/bad"].messages["reminder-1"].attempts == 0
    assert scene.engine.sender.breaker.fault is not None
