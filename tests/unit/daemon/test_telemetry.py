"""The metrics of the engine."""

from datetime import timedelta

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from structlog.testing import capture_logs

from recovery.daemon.metrics import Telemetry
from recovery.domain.activity import Fate
from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.recipient import Postpone, Skip
from recovery.domain.state import Cause, Past
from recovery.engine.writes import DeadLetter
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
        telemetry.attempted("shop.example", kind, Outcome(OutcomeKind.SENT, "250 ok"), timedelta(seconds=2))
        telemetry.looked(kind, 7)
    assert len(looked_up) == 4 * 2  # four metrics, each of two kinds
    value = registry.get_sample_value
    assert value("recovery_reports_total", {"kind": "checkout", "answer": "accepted"}) == 2
    assert value("recovery_attempts_total", {"step": "checkout", "outcome": "sent"}) == 2
    assert value("recovery_lateness_seconds_count", {"step": "checkout"}) == 2
    assert value("recovery_looks_total", {"cause": "order"}) == 7


def test_a_warm_up_that_halts_is_an_error_and_one_that_goes_on_is_not():
    telemetry = Telemetry(CollectorRegistry())
    with capture_logs() as logged:
        telemetry.warming(2, 75)
        telemetry.warmup_halted("3 complaints")
        telemetry.warmup_halted(None)
        telemetry.warming(19, None)
    assert logged == [
        {"event": "warm-up day", "log_level": "info", "day": 2, "limit": 75},
        {"event": "warm-up halted", "log_level": "error", "fault": "3 complaints"},
        {"event": "warm-up goes on", "log_level": "info"},
        {"event": "warm-up over", "log_level": "info"},
    ]


def test_what_became_of_messages_is_counted_by_shop():
    """What was sent with its lateness, what was skipped and given up with the reason; nothing else."""
    telemetry = Telemetry(CollectorRegistry())
    telemetry.activity.turn(NOON)
    sent = Outcome(OutcomeKind.SENT, "250 ok")
    telemetry.attempted("shop.example", "reminder-1", sent, timedelta(seconds=2))
    telemetry.attempted("shop.example", "reminder-1", Outcome(OutcomeKind.LATER, "451 later"), timedelta(seconds=2))
    telemetry.decided("shop.example/1", Past(at=NOON, decision="sent reminder-1", reason="250 ok"))
    telemetry.decided("shop.example/1", Past(at=NOON, decision="skipped reminder-2", reason="no consent is known"))
    telemetry.buried(DeadLetter("shop.example/2", "reminder-1", Cause.ATTEMPTS, "451 later", NOON))
    telemetry.buried(DeadLetter("shop.example/3", None, Cause.INVALID, "odd", NOON))
    (entry,) = telemetry.activity.taken(10)
    assert entry.shop == "shop.example"
    assert entry.of.counts == {
        ("reminder-1", Fate.SENT, ""): 1,
        ("reminder-2", Fate.SKIPPED, "no consent is known"): 1,
        ("reminder-1", Fate.DEAD, Cause.ATTEMPTS.value): 1,
        ("", Fate.DEAD, Cause.INVALID.value): 1,
    }
    assert entry.of.lateness["reminder-1"].total == 1
