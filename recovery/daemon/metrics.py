"""What the engine does, as metrics for Prometheus and as log lines."""

import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.recipient import Postpone, Skip
from recovery.domain.state import Past
from recovery.engine.writes import DeadLetter

LATENESS_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 60, 300, 3600, 6 * 3600)

log = structlog.get_logger()


class Telemetry:
    """The port `Observer`. Nothing of it names a person."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._told_of_newer = False
        self._looks = Counter(
            "recovery_looks_total",
            "Checkouts looked at, by cause: a healthy system knows reported, gone and start alone",
            ["cause"],
            registry=registry,
        )
        self._attempts = Counter(
            "recovery_attempts_total", "Attempts to send, by step and outcome", ["step", "outcome"], registry=registry
        )
        self._lateness = Histogram(
            "recovery_lateness_seconds",
            "From the due time of a message to the record of the relay's acceptance",
            ["step"],
            buckets=LATENESS_BUCKETS,
            registry=registry,
        )
        self._dead = Counter("recovery_dead_letters_total", "Messages given up, by cause", ["cause"], registry=registry)

    def gauge(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """Show a value that is read whenever it is asked for."""
        Gauge(name, meaning, registry=self._registry).set_function(read)

    def looked(self, cause: str, count: int) -> None:
        """Count looks."""
        self._looks.labels(cause).inc(count)
        log.debug("looked", cause=cause, checkouts=count)

    def decided(self, checkout: str, past: Past) -> None:
        """Log a decision."""
        log.debug("decided", checkout=checkout, decision=past.decision, reason=past.reason)

    def attempted(self, step: str, outcome: Outcome, lateness: timedelta) -> None:
        """Count an attempt and, if it was sent, how late."""
        self._attempts.labels(step, outcome.kind).inc()
        if outcome.kind is OutcomeKind.SENT:
            self._lateness.labels(step).observe(lateness.total_seconds())
            log.debug("sent", step=step, message_id=outcome.message_id, reply=outcome.reply)
        elif not outcome.kind.tells_of_relay or outcome.kind.blames_relay:
            log.debug("not sent", step=step, outcome=outcome.kind, reply=outcome.reply)
        else:
            log.warning("not sent", step=step, outcome=outcome.kind, reply=outcome.reply)

    def held_back(self, step: str, why: Skip | Postpone) -> None:
        """Count a message that was skipped or postponed in place of an attempt."""
        outcome = "skipped" if isinstance(why, Skip) else "postponed"
        self._attempts.labels(step, outcome).inc()
        log.debug("not sent", step=step, outcome=outcome, reply=why.reason)

    def newer(self, checkout: str) -> None:
        """Log once that a newer version of Recovery works on this database, too."""
        if not self._told_of_newer:
            self._told_of_newer = True
            log.warning(
                "a newer version of Recovery writes to this database: its checkouts are left alone", checkout=checkout
            )

    def failed(self, what: str, error: Exception) -> None:
        """Log an error that nobody expected, by its type and place: its words may name a person."""
        place = traceback.extract_tb(error.__traceback__)[-1:]
        where = f"{Path(place[0].filename).name}:{place[0].lineno}" if place else ""
        log.error("unexpected error", doing=what, error=type(error).__name__, at=where)

    def relay(self, fault: str | None) -> None:
        """Log that the relay is at fault, or is no more."""
        if fault is None:
            log.info("the relay is well again: sending goes on")
        else:
            log.error("the relay is at fault: nothing is sent until a probe gets through", fault=fault)

    def buried(self, letter: DeadLetter) -> None:
        """Count a dead letter and say where it lies."""
        self._dead.labels(letter.cause).inc()
        log.error("dead letter", checkout=letter.checkout, step=letter.step, cause=letter.cause, error=letter.error)
