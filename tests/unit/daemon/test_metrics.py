"""The metrics: each is defined once, documented, and updated."""

from datetime import timedelta

from prometheus_client import CollectorRegistry

from recovery.daemon.metrics import METRICS, Telemetry, document
from recovery.domain.outcome import Outcome, OutcomeKind
from tests.support.paths import ROOT


def test_the_document_is_up_to_date():
    """docs/metrics.md is what the metrics say of themselves: `make metrics` writes it."""
    assert (ROOT / "docs/metrics.md").read_text() == document()


def test_every_metric_is_registered():
    """What the document lists is what GET /metrics shows, with the same sentence."""
    registry = CollectorRegistry()
    Telemetry(registry)
    shown = {(family.name, family.type, family.documentation) for family in registry.collect()}
    named = {(metric.name.removesuffix("_total"), metric.kind.__name__.lower(), metric.meaning) for metric in METRICS}
    assert shown == named


def test_no_metric_is_defined_elsewhere():
    """Only recovery/daemon/metrics.py makes counters, gauges and histograms."""
    sources = {path: path.read_text() for path in (ROOT / "recovery").rglob("*.py")}
    makers = {"import Counter", "Counter,", "Gauge", "Histogram"}
    found = [
        path.name for path, text in sources.items() if "prometheus_client" in text and any(m in text for m in makers)
    ]
    assert found == ["metrics.py"]


def test_an_attempt_is_counted_and_its_lateness_observed():
    """Lateness is that of messages that were sent; other attempts are only counted."""
    registry = CollectorRegistry()
    telemetry = Telemetry(registry)
    telemetry.attempted("shop.example", "first", Outcome(OutcomeKind.SENT, "250 ok"), timedelta(seconds=2))
    telemetry.attempted("shop.example", "first", Outcome(OutcomeKind.LATER, "451 later"), timedelta(seconds=9))
    value = registry.get_sample_value
    assert value("recovery_attempts_total", {"step": "first", "outcome": "sent"}) == 1
    assert value("recovery_attempts_total", {"step": "first", "outcome": "later"}) == 1
    assert value("recovery_lateness_seconds_sum", {"step": "first"}) == 2
    assert value("recovery_lateness_seconds_count", {"step": "first"}) == 1


def test_gauges_are_read_when_they_are_asked_for():
    """They are never out of date."""
    registry, state = CollectorRegistry(), {"in_flight": 1, "open": False, "paced": 0.0, "limit": 0, "halted": False}
    state["pauses"] = 0
    Telemetry(registry).watch(
        in_flight=lambda: state["in_flight"],
        breaker_open=lambda: state["open"],
        paced_rate=lambda: state["paced"],
        warmup_limit=lambda: state["limit"],
        warmup_halted=lambda: state["halted"],
        pauses=lambda: state["pauses"],
    )
    state.update(in_flight=7, open=True, paced=4.5, limit=75, halted=True, pauses=2)
    assert registry.get_sample_value("recovery_in_flight") == 7
    assert registry.get_sample_value("recovery_breaker_open") == 1
    assert registry.get_sample_value("recovery_paced_rate") == 4.5
    assert registry.get_sample_value("recovery_warmup_limit") == 75
    assert registry.get_sample_value("recovery_warmup_halted") == 1
    assert registry.get_sample_value("recovery_sending_paused") == 2


def test_the_rates_of_slowed_receivers_are_shown_with_a_bound():
    """A receiver that is not slowed is not shown; of too many, the lowest rate is that of all others."""
    registry = CollectorRegistry()
    telemetry = Telemetry(registry)
    value = registry.get_sample_value
    telemetry.receiver_rates({"google": 3.0})
    assert value("recovery_receiver_rate", {"receiver": "google"}) == 3
    telemetry.receiver_rates({f"d{number}.example": float(number) for number in range(100)})
    assert value("recovery_receiver_rate", {"receiver": "google"}) is None
    (family,) = (each for each in registry.collect() if each.name == "recovery_receiver_rate")
    assert len(family.samples) == 51
    assert value("recovery_receiver_rate", {"receiver": "others"}) == 50
