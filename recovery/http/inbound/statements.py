"""Statements of reports about addresses, and what follows from them: suppressions, counters and log lines."""

from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256

import structlog
from pydantic import BaseModel

from recovery.domain.masking import code, masked, private
from recovery.domain.suppression import SuppressionReason
from recovery.engine.brake import IN_A_ROW, Row, alike
from recovery.http.customer.feedback import Feedback
from recovery.http.observer import HttpObserver
from recovery.mail.bounce_words import BounceKind, judged, says_full, strength
from recovery.mail.smtp.wording import says_nobody

KEPT = 200
"""Characters of a server's reply that are stored."""

DIGITS = 16
"""Hexadecimal digits of the hash of a report's id, and of a server's reply."""

NO_SUCH_ADDRESS = "5.1.1"

DOMAINS = 50
"""Domains with a label of their own in the metric of blocked mail."""

_REASONS = {BounceKind.HARD: SuppressionReason.HARD_BOUNCE, BounceKind.COMPLAINT: SuppressionReason.COMPLAINT}

_log = structlog.get_logger()


class Taken(BaseModel):
    """The number of addresses in the report, by kind."""

    hard: int = 0
    soft: int = 0
    complaint: int = 0
    blocked: int = 0


class Statement(BaseModel):
    """A report's statement about one address. `full`: its mailbox is full. `delayed`: the server goes on trying.

    `domain` is that of the address in the report, `wrote_to` that of the address that we wrote to; empty if unknown.
    """

    kind: BounceKind
    pseudonym: str
    shop: str | None
    report: str
    detail: str
    at: datetime | None
    domain: str = ""
    wrote_to: str = ""
    words: str = ""
    full: bool = False
    delayed: bool = False


def of_event(
    feedback: Feedback,
    kind: BounceKind,
    email: str,
    *,
    words: str,
    report: str,
    shop: str | None = None,
    at: datetime | None = None,
    full: bool = False,
    delayed: bool = False,
) -> Statement:
    """Return the statement of a provider's event. `words` is the server's reply: if weaker than `kind`, it counts."""
    words = masked(words, private(email, None))[:KEPT]
    kind = _weaker(kind, words)
    domain = domain_of(email)
    return Statement(
        kind=kind,
        pseudonym=feedback.pseudonyms.of(email),
        shop=shop,
        report=report or (at.isoformat() if at else "without id"),
        detail=code(words),
        at=at,
        domain=domain,
        wrote_to=domain,
        words=words,
        full=kind is BounceKind.SOFT and (full or says_full(words)),
        delayed=delayed,
    )


def domain_of(email: str | None) -> str:
    """Return the domain of an address; empty without one."""
    return (email or "").rpartition("@")[2].lower()[:253]


def _weaker(kind: BounceKind, words: str) -> BounceKind:
    """Return the weaker of the provider's kind and the kind that the server's reply means."""
    if kind is not BounceKind.HARD or not words:
        return kind
    return min(kind, judged(NO_SUCH_ADDRESS, words), key=strength)


def weakest(statements: Iterable[Statement]) -> list[Statement]:
    """Return one statement per address, the weakest: of the members of a mailing list, only some may be dead."""
    strongest_first = sorted(statements, key=lambda statement: -strength(statement.kind))
    return list({statement.pseudonym: statement for statement in strongest_first}.values())


class Taker:
    """Carries out what reports say."""

    def __init__(self, feedback: Feedback, observer: HttpObserver) -> None:
        self._feedback = feedback
        self._observer = observer
        self._row = Row()
        self._domains = _Domains()

    async def take(self, statements: Iterable[Statement]) -> Taken:
        """Store, count and log these statements. Raises `Unavailable`."""
        taken = Taken()
        now = self._feedback.clock.now().timestamp()
        for found in statements:
            statement = self._believed(found, now)
            is_new = await self._keep(statement)
            self._observer.bounced(statement.kind.value)
            if is_new:
                self._observer.returned(statement.shop, statement.wrote_to, statement.kind.value)
            if statement.kind is BounceKind.BLOCKED:
                self._observer.blocked(self._domains.label(statement.domain))
                _log.warning("mail blocked", domain=statement.domain, detail=statement.detail, words=statement.words)
            else:
                _log.info(
                    "bounce", kind=statement.kind.value, detail=statement.detail, report=_hashed(statement.report)
                )
            taken = taken.model_copy(update={statement.kind.value: getattr(taken, statement.kind.value) + 1})
        return taken

    def _believed(self, statement: Statement, now: float) -> Statement:
        """Return a statement; a soft one if the same unknown words were said of many addresses: they are about us."""
        if statement.kind is not BounceKind.HARD or not statement.words or says_nobody(statement.words):
            return statement
        if not self._row.add(statement.pseudonym, statement.words, now):
            return statement
        _log.warning(
            "hard bounces not believed",
            in_a_row=IN_A_ROW,
            words=statement.words,
            undo=f'recovery suppress lift --reply "{_mark(statement)}"',  # the suppressions of the first ones
        )
        return statement.model_copy(update={"kind": BounceKind.SOFT})

    async def _keep(self, statement: Statement) -> bool:
        """Store what follows from a statement; return False if it was known: whoever has our mail may report it."""
        suppressions, report = self._feedback.suppressions, _hashed(statement.report)
        reason = _REASONS.get(statement.kind)
        if statement.kind is BounceKind.BLOCKED or statement.delayed:
            return True  # the fault is ours, not the address's; or it may still arrive
        if reason is None:
            return await suppressions.bounced(statement.pseudonym, report, statement.at, full=statement.full)
        source = ", ".join(filter(None, [statement.detail, _mark(statement), f"report {report}"]))
        return await suppressions.suppress(
            statement.pseudonym, reason, shop=statement.shop, source=source, at=statement.at
        )


class _Domains:
    """The domains with a label of their own: only the first ones, since anyone can write a report."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def label(self, domain: str) -> str:
        """Return the label of a domain."""
        if domain in self._known or (domain and len(self._known) < DOMAINS):
            self._known.add(domain)
            return domain
        return "others"


def _hashed(report: str) -> str:
    """Return a hash that identifies a report: its id may contain the address."""
    return sha256(report.encode()).hexdigest()[:DIGITS]


def _mark(statement: Statement) -> str:
    """Return the mark that finds all suppressions for the same words. The words themselves may name a person."""
    return f"words {sha256(alike(statement.words).encode()).hexdigest()[:DIGITS]}" if statement.words else ""
