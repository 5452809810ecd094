"""The metrics of the engine."""

from datetime import timedelta

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from recovery.daemon.metrics import Telemetry
from recovery.domain.outcome import Outcome, OutcomeKind
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


def test_the_labels_of_what_is_counted_often_are_looked_up_once(monkeypatch):
    """To look up a metric's labels costs more than to count: it is done once for each combination of labels."""
    looked_up = []
    look_up = MetricWrapperBase.labels

    def labels(self, *values):
        looked_up.append(values)
        return look_up(self, *values)

    monkeypatch.setattr(MetricWrapperBase, "labels", labels)
    registry = CollectorRegistry()
    telemetry = Telemetry(registry)
    for kind in ("checkout", "order", "checkout"):
        telemetry.reported(kind, "accepted")
        telemetry.attempted(kind, Outcome(OutcomeKind.SENT, "250 ok"), timedelta(seconds=2))
        telemetry.looked(kind, 7)
    assert len(looked_up) == 4 * 2  # four metrics, each of two kinds
    value = registry.get_sample_value
    assert value("recovery_reports_total", {"kind": "checkout", "answer": "accepted"}) == 2
    assert value("recovery_attempts_total", {"step": "checkout", "outcome": "sent"}) == 2
    assert value("recovery_lateness_seconds_count", {"step": "checkout"}) == 2
    assert value("recovery_looks_total", {"cause": "order"}) == 7
