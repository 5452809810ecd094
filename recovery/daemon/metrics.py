"""All metrics, for Prometheus. `python -m recovery.daemon > docs/metrics.md` documents them from here.

A new metric is a constant in `METRICS` and one method of `Telemetry` that updates it. No label names a person, and each
label has a bounded number of values.
"""

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from recovery.domain.activity import Tally
from recovery.domain.checkout import shop_of
from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.receivers import OTHERS, PROVIDERS
from recovery.domain.recipient import Postpone, Skip
from recovery.domain.state import Cause, MessageState, Past
from recovery.engine.writes import DeadLetter

RECEIVERS_SHOWN = 50
"""Receivers beside the providers that have a label of their own."""

SKIPPED = f"{MessageState.SKIPPED} "
"""The beginning of a decision that skips a message, whose step follows."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `meaning` is one sentence; `labels` are the values that each label may have, in words."""

    name: str
    kind: type[Counter] | type[Gauge] | type[Histogram]
    meaning: str
    labels: Mapping[str, str] = field(default_factory=dict)
    buckets: tuple[float, ...] = ()

    def counter(self, registry: CollectorRegistry) -> Counter:
        """Register the metric as a counter."""
        return Counter(self.name, self.meaning, tuple(self.labels), registry=registry)

    def gauge(self, registry: CollectorRegistry) -> Gauge:
        """Register the metric as a gauge."""
        return Gauge(self.name, self.meaning, tuple(self.labels), registry=registry)

    def histogram(self, registry: CollectorRegistry) -> Histogram:
        """Register the metric as a histogram."""
        return Histogram(self.name, self.meaning, tuple(self.labels), buckets=self.buckets, registry=registry)


_STEP = "the name of the step, as in the settings"
_SHOP = "the shop's key"

LATENESS = Metric(
    "recovery_lateness_seconds",
    Histogram,
    "Seconds from the due time of a message to the record of the relay's acceptance",
    {"step": _STEP},
    (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 60, 300, 3600, 6 * 3600),
)
ATTEMPTS = Metric(
    "recovery_attempts_total",
    Counter,
    "Attempts to send, by step and outcome",
    {"step": _STEP, "outcome": ", ".join(OutcomeKind)},
)
DEAD_LETTERS = Metric(
    "recovery_dead_letters_total",
    Counter,
    "Messages and documents given up, which `recovery dead` lists",
    {"cause": ", ".join(Cause)},
)
LOOKS = Metric(
    "recovery_looks_total",
    Counter,
    "Checkouts looked at, by cause; in a healthy system the causes are reported, ahead, gone and start alone",
    {"cause": "reported, gone (change streams), ahead (of a stream), start, behind, sweep, late, no shadow (sweeps)"},
)
IN_FLIGHT = Metric("recovery_in_flight", Gauge, "Messages claimed and not yet recorded")
BREAKER_OPEN = Metric("recovery_breaker_open", Gauge, "1 while a circuit breaker is open: no message is claimed")
PACED_RATE = Metric(
    "recovery_paced_rate",
    Gauge,
    "Messages a second that a throttling relay bears, as the sender found; 0 while no relay throttles",
)
WARMUP_LIMIT = Metric(
    "recovery_warmup_limit",
    Gauge,
    "Messages in 24 hours that the warm-up of the sending address allows today; 0 without one, and while it has halted",
)
WARMUP_HALTED = Metric(
    "recovery_warmup_halted",
    Gauge,
    "1 while complaints have halted a warm-up: no reminders are sent",
)
SENDING_PAUSED = Metric(
    "recovery_sending_paused",
    Gauge,
    "Pauses of sending in force, each of one shop or of all: `recovery pauses` lists them; 0 while nothing is paused",
)
RECEIVER_RATE = Metric(
    "recovery_receiver_rate",
    Gauge,
    "Messages a second to a receiver that is slowed, of all daemons together; of others none is shown",
    {"receiver": "the mailbox providers, and 50 groups or domains; others has the lowest rate of all further ones"},
)
REPORTS = Metric(
    "recovery_reports_total",
    Counter,
    "Reports over HTTP, by kind and answer",
    {
        "kind": "checkout, order, bounce, or the name of the webhook's adapter, such as shopify",
        "answer": "accepted, ignored, unmapped (a webhook that was not understood), or the status of the problem",
    },
)
WRONG_KEYS = Metric("recovery_wrong_keys_total", Counter, "Calls to the API without a right key")
BOUNCES = Metric(
    "recovery_bounces_total",
    Counter,
    "Bounces and complaints that mail systems reported",
    {"kind": "hard, soft, complaint, blocked"},
)
BLOCKED = Metric(
    "recovery_blocked_total",
    Counter,
    "Reports that our mail is blocked, by the recipient's domain",
    {"domain": "the first 50 domains reported; then others"},
)
UNSUBSCRIPTIONS = Metric(
    "recovery_unsubscriptions_total",
    Counter,
    "Addresses that were unsubscribed by link, or in one click at their mailbox provider",
    {"shop": _SHOP, "by": "link, one-click"},
)
CLICKS = Metric(
    "recovery_clicks_total",
    Counter,
    "Customers who came back to their checkout from a mail",
    {"shop": _SHOP, "step": _STEP},
)

METRICS = (
    LATENESS,
    ATTEMPTS,
    DEAD_LETTERS,
    LOOKS,
    IN_FLIGHT,
    BREAKER_OPEN,
    PACED_RATE,
    WARMUP_LIMIT,
    WARMUP_HALTED,
    SENDING_PAUSED,
    RECEIVER_RATE,
    REPORTS,
    WRONG_KEYS,
    BOUNCES,
    BLOCKED,
    UNSUBSCRIPTIONS,
    CLICKS,
)


class Telemetry:
    """The engine's `Observer` and the API's `HttpObserver`: counts everything, and logs what the engine does."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.activity = Tally()
        """What is sent, skipped and given up, by shop, to be stored."""
        self._newer_is_logged = False
        # Of what is counted often, each combination of labels is looked up once: that costs more than to count.
        self._looks = cache(LOOKS.counter(registry).labels)
        self._attempts = cache(ATTEMPTS.counter(registry).labels)
        self._lateness = cache(LATENESS.histogram(registry).labels)
        self._reports = cache(REPORTS.counter(registry).labels)
        self._dead_letters = DEAD_LETTERS.counter(registry)
        self._in_flight = IN_FLIGHT.gauge(registry)
        self._paced_rate = PACED_RATE.gauge(registry)
        self._receiver_rate = RECEIVER_RATE.gauge(registry)
        self._receivers_shown: set[str] = set()
        self.on_returned: Callable[[str | None, str, str], None] = lambda *_: None
        """Called with each report of a bounce or complaint, as `returned` is."""
        self._breaker_open = BREAKER_OPEN.gauge(registry)
        self._warmup_limit = WARMUP_LIMIT.gauge(registry)
        self._warmup_halted = WARMUP_HALTED.gauge(registry)
        self._sending_paused = SENDING_PAUSED.gauge(registry)
        self._wrong_keys = WRONG_KEYS.counter(registry)
        self._bounces = BOUNCES.counter(registry)
        self._blocked = BLOCKED.counter(registry)
        self._unsubscriptions = UNSUBSCRIPTIONS.counter(registry)
        self._clicks = CLICKS.counter(registry)

    def watch(
        self,
        *,
        in_flight: Callable[[], int],
        breaker_open: Callable[[], bool],
        paced_rate: Callable[[], float],
        warmup_limit: Callable[[], int],
        warmup_halted: Callable[[], bool],
        pauses: Callable[[], int],
    ) -> None:
        """Read the gauges from these functions whenever the metrics are read."""
        self._in_flight.set_function(in_flight)
        self._paced_rate.set_function(paced_rate)
        self._breaker_open.set_function(breaker_open)
        self._warmup_limit.set_function(warmup_limit)
        self._warmup_halted.set_function(warmup_halted)
        self._sending_paused.set_function(pauses)

    def receiver_rates(self, rates: Mapping[str, float]) -> None:
        """Show the rates of the receivers that are slowed, and of no others."""
        shown: dict[str, float] = {}
        for receiver, rate in rates.items():
            name = self._receiver_label(receiver)
            shown[name] = min(rate, shown.get(name, rate))
        self._receiver_rate.clear()
        for name, rate in shown.items():
            self._receiver_rate.labels(name).set(rate)

    def _receiver_label(self, receiver: str) -> str:
        if receiver not in PROVIDERS and receiver not in self._receivers_shown:
            if len(self._receivers_shown) >= RECEIVERS_SHOWN:
                return OTHERS
            self._receivers_shown.add(receiver)
        return receiver

    # Of the engine

    def looked(self, cause: str, count: int) -> None:
        """Count looks."""
        self._looks(cause).inc(count)
        log.debug("looked", cause=cause, checkouts=count)

    def decided(self, checkout: str, past: Past) -> None:
        """Log a decision, and count a message that it skips."""
        if past.decision.startswith(SKIPPED):
            self.activity.skipped(shop_of(checkout), past.decision.removeprefix(SKIPPED), past.reason)
        log.debug("decided", checkout=checkout, decision=past.decision, reason=past.reason)

    def attempted(self, shop: str, step: str, outcome: Outcome, lateness: timedelta) -> None:
        """Count an attempt and, if the message was sent, its lateness."""
        self._attempts(step, outcome.kind).inc()
        if outcome.kind is OutcomeKind.SENT:
            seconds = lateness.total_seconds()
            self._lateness(step).observe(seconds)
            self.activity.sent(shop, step, seconds)
            log.debug("sent", step=step, message_id=outcome.message_id, reply=outcome.reply)
        elif not outcome.kind.tells_of_relay or outcome.kind.blames_relay:
            log.debug("not sent", step=step, outcome=outcome.kind, reply=outcome.reply)
        else:
            log.warning("not sent", step=step, outcome=outcome.kind, reply=outcome.reply)

    def held_back(self, step: str, why: Skip | Postpone) -> None:
        """Count a message that was skipped or postponed in place of an attempt."""
        outcome = "skipped" if isinstance(why, Skip) else "postponed"
        self._attempts(step, outcome).inc()
        log.debug("not sent", step=step, outcome=outcome, reply=why.reason)

    def newer(self, checkout: str) -> None:
        """Log once that a newer version of Recovery works on this database as well; its checkouts are left alone."""
        if not self._newer_is_logged:
            self._newer_is_logged = True
            log.warning("newer version in this database", checkout=checkout)

    def failed(self, what: str, error: Exception) -> None:
        """Log an unexpected error by its type and place: its message may name a person."""
        place = traceback.extract_tb(error.__traceback__)[-1:]
        where = f"{Path(place[0].filename).name}:{place[0].lineno}" if place else ""
        log.error("unexpected error", doing=what, error=type(error).__name__, at=where)

    def relay(self, fault: str | None) -> None:
        """Log that the relay's circuit breaker opened (nothing is sent until a probe succeeds) or closed."""
        if fault is None:
            log.info("relay recovered")
        else:
            log.error("relay failed", fault=fault)

    def buried(self, letter: DeadLetter) -> None:
        """Count and log a dead letter."""
        self._dead_letters.labels(letter.cause).inc()
        self.activity.dead(shop_of(letter.checkout), letter.step or "", letter.cause)
        log.error("dead letter", checkout=letter.checkout, step=letter.step, cause=letter.cause, error=letter.error)

    def warming(self, day: int, limit: int | None) -> None:
        """Log a day of the warm-up, or its end."""
        if limit is None:
            log.info("warm-up over")
        else:
            log.info("warm-up day", day=day, limit=limit)

    def warmup_halted(self, fault: str | None) -> None:
        """Log that the warm-up has halted, or goes on."""
        if fault is None:
            log.info("warm-up goes on")
        else:
            log.error("warm-up halted", fault=fault)

    def paused(self, what: str) -> None:
        """Log that a shop is paused, or all sending."""
        log.warning("sending paused", shop=what)

    def resumed(self, what: str) -> None:
        """Log that a pause is over."""
        log.info("sending resumed", shop=what)

    # Of the API

    def reported(self, kind: str, answer: str) -> None:
        """Count the answer to a report."""
        self._reports(kind, answer).inc()

    def wrong_key(self) -> None:
        """Count a call without a right key."""
        self._wrong_keys.inc()

    def bounced(self, kind: str) -> None:
        """Count a bounce or complaint."""
        self._bounces.labels(kind).inc()

    def returned(self, shop: str | None, domain: str, kind: str) -> None:
        """Pass on a bounce or complaint to those who count by receiver."""
        self.on_returned(shop, domain, kind)

    def blocked(self, domain: str) -> None:
        """Count a report that our mail is blocked."""
        self._blocked.labels(domain).inc()

    def unsubscribed(self, shop: str, by: str) -> None:
        """Count an unsubscription."""
        self._unsubscriptions.labels(shop, by).inc()

    def clicked(self, shop: str, step: str) -> None:
        """Count a customer who came back from a mail."""
        self._clicks.labels(shop, step).inc()


_HEAD = """\
# Metrics

What `GET /metrics` shows, for Prometheus. No label names a person, and each has a bounded number of values; shops and
steps are those of the settings and reports. Python's and the process's own metrics are not among them.

Written by `python -m recovery.daemon` from `recovery/daemon/metrics.py` (`make metrics`); a test compares.

| metric | type | meaning | labels |
|---|---|---|---|
"""


def document() -> str:
    """Return docs/metrics.md: a table of all metrics."""
    return _HEAD + "".join(_row(metric) for metric in METRICS)


def _row(metric: Metric) -> str:
    labels = "; ".join(f"`{name}`: {values}" for name, values in metric.labels.items())
    buckets = f" (buckets: {', '.join(map(str, metric.buckets))} s)" if metric.buckets else ""
    return f"| `{metric.name}` | {metric.kind.__name__.lower()} | {metric.meaning}{buckets} | {labels} |\n"
