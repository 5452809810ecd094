"""The kit for synchronous services."""

import pytest

from recovery import SyncRecovery, Unavailable
from recovery.testing import SyncRecoveryKit
from tests.support.kits import SHOP, checkout, order, steps


@pytest.fixture
def kit():
    with SyncRecoveryKit() as kit:
        yield kit


def test_a_service_takes_it_for_the_client(kit):
    """It is a `SyncRecovery`, and what it reports is stored."""
    assert isinstance(kit, SyncRecovery)
    kit.checkout(checkout())
    assert kit.get(SHOP, "1042").facts.customer.email == "ada@example.com"


def test_time_passes_without_an_event_loop(kit):
    """The same story as with the asynchronous kit gives the same mails."""
    kit.checkout(checkout())
    kit.advance(minutes=31)
    kit.order(order())
    kit.advance(days=4)
    assert steps(kit) == ["reminder-1", "confirmation"]
    assert kit.why(SHOP, "1042")[-1].decision == "sent confirmation"


def test_faults_are_the_same(kit):
    """Faults to order work without an event loop, and the state of the relay lasts from call to call."""
    kit.checkout(checkout())
    with kit.database_unavailable(), pytest.raises(Unavailable):
        kit.cancel(SHOP, "1042")
    kit.refuse_mail("451 4.3.0 later", times=1)
    with kit.relay_gone():
        kit.advance(minutes=31)
    kit.crash_at_next_mail()
    [mail] = kit.advance(hours=1)
    assert kit.click(mail) == "https://shop.example/checkouts/1042"
    kit.bounce(mail, "complaint")
    kit.advance(days=4)
    assert steps(kit) == ["reminder-1"]


async def test_a_coroutine_is_told_to_use_the_asynchronous_kit():
    """In a running event loop the synchronous form cannot work, and says what can."""
    kit = SyncRecoveryKit()
    with pytest.raises(RuntimeError, match="await the methods of"):
        kit.advance()
    kit.close()
