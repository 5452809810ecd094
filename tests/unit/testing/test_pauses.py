"""Pauses of sending, in the kit for tests."""

from recovery.domain.state import MessageState
from recovery.testing import RecoveryKit
from tests.support.builders import report


async def test_nothing_goes_out_while_sending_is_paused():
    """What is due meanwhile goes out once sending is resumed, once."""
    kit = RecoveryKit()
    kit.pause_sending()
    await kit.checkout(report())
    assert await kit.advance(hours=1) == []
    kit.resume_sending()
    assert [mail.step for mail in await kit.advance()] == ["reminder-1"]
    assert await kit.advance(hours=1) == []


async def test_a_pause_of_one_shop_is_no_other_s():
    """The reminder of another shop goes out at its time."""
    kit = RecoveryKit()
    kit.pause_sending("shop.example")
    await kit.checkout(report())
    await kit.checkout(report(shop="other.example"))
    assert [mail.shop for mail in await kit.advance(hours=1)] == ["other.example"]


async def test_a_reminder_that_came_too_late_is_skipped():
    """A long pause costs nobody a reminder about what is long over; and it costs the kit no time."""
    kit = RecoveryKit()
    await kit.checkout(report())
    kit.pause_sending()
    await kit.advance(days=2)
    kit.resume_sending()
    await kit.advance()
    state = await kit.get("shop.example", "1")
    assert state is not None
    assert state.messages["reminder-1"].state is MessageState.SKIPPED


async def test_what_is_reported_during_a_pause_is_planned():
    """The history says what was decided, as without a pause."""
    kit = RecoveryKit()
    kit.pause_sending()
    await kit.checkout(report())
    await kit.advance()
    assert kit.why("shop.example", "1")[-1].reason == "reminder-1 is due then"
