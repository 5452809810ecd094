"""The metrics of the engine."""

from prometheus_client import CollectorRegistry

from recovery.daemon.metrics import Telemetry
from recovery.domain.recipient import Postpone, Skip
from tests.support.builders import NOON


def test_messages_that_are_held_back_are_counted_beside_the_attempts():
    """A skipped and a postponed message each have an outcome of their own in the counter of attempts."""
    registry = CollectorRegistry()
    telemetry = Telemetry(registry)
    telemetry.held_back("reminder-1", Skip("the address is suppressed: unsubscribed"))
    telemetry.held_back("reminder-1", Postpone(NOON, "this address had a mail about another checkout"))
    counted = {
        outcome: registry.get_sample_value("recovery_attempts_total", {"step": "reminder-1", "outcome": outcome})
        for outcome in ("skipped", "postponed")
    }
    assert counted == {"skipped": 1, "postponed": 1}
