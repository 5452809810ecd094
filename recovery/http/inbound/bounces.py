"""The endpoint for bounces and complaints.

Mail systems report them as messages, a DSN (RFC 3464) or a feedback loop's report (FBL, RFC 5965); providers as events.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recovery.domain.fields import Email, Instant, Key, ShopKey
from recovery.domain.masking import code, masked, private
from recovery.domain.suppression import SuppressionReason
from recovery.engine.brake import IN_A_ROW, Row, alike
from recovery.http.api.description import header
from recovery.http.customer.feedback import Feedback
from recovery.http.observer import HttpObserver
from recovery.http.problems import Problem, ProblemType, answers, invalid_body
from recovery.http.security import signature_fault
from recovery.http.turns import Turns
from recovery.mail.bounce_words import BounceKind, judged, says_full
from recovery.mail.bounces import Bounced, NoReport, read
from recovery.mail.smtp.wording import says_nobody

PATH = "/bounces"
EXAMPLE = {"kind": "hard", "email": "ada@example.com", "at": "2026-03-05T12:00:00Z", "id": "evt_1042"}

KEPT = 200
"""Characters of a server's reply that are stored."""

DIGITS = 16
"""Hexadecimal digits of the hash of a report's id, and of a server's reply."""

NO_SUCH_ADDRESS = "5.1.1"

DOMAINS = 50
"""Domains with a label of their own in the metric of blocked mail."""

_REASONS = {BounceKind.HARD: SuppressionReason.HARD_BOUNCE, BounceKind.COMPLAINT: SuppressionReason.COMPLAINT}
_STRENGTH = list(BounceKind).index

_log = structlog.get_logger()


class BounceEvent(BaseModel):
    """A provider's event about one address.

    A complaint without a shop holds for all shops, as a hard bounce always does. `id` identifies the event: reporting a
    soft bounce is idempotent, and one that is reported twice is counted once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    kind: BounceKind
    email: Email
    shop: ShopKey | None = None
    at: Instant | None = None
    detail: Annotated[str, Field(max_length=2000)] | None = None
    id: Key | None = None


class Taken(BaseModel):
    """The number of addresses in the report, by kind."""

    hard: int = 0
    soft: int = 0
    complaint: int = 0
    blocked: int = 0


class _Finding(BaseModel):
    """A report's statement about one address."""

    kind: BounceKind
    pseudonym: str
    shop: str | None
    report: str
    detail: str
    at: Instant | None
    domain: str = ""
    words: str = ""
    full: bool = False
    delayed: bool = False


def bounces(feedback: Feedback, observer: HttpObserver) -> APIRouter:
    """Return the endpoint for bounces. Their signature is the key; without a secret there is no endpoint."""
    router = APIRouter(tags=["bounces"])
    domains = _Domains()
    row = Row()
    turns = Turns()

    @router.post(
        PATH,
        operation_id="reportBounce",
        summary="Report a bounce or a complaint",
        responses=answers(401, 404, 413, 415, 422, 503),
        openapi_extra=_request_body(),
    )
    async def take(request: Request) -> Taken:
        """Take a delivery report or complaint as it came by mail (`message/rfc822`), or an event in JSON.

        An address that does not exist gets no more mail, one that complained no more reminders. Soft bounces on three
        days stop reminders for 90 days, or for 30 if the mailbox is full. A report that our mail is blocked is logged
        as a warning, and suppresses nobody. Many hard bounces in a row with the same unknown words are about us too,
        and are counted as soft.
        `Recovery-Signature` is `t=<unix seconds>,v1=<HMAC-SHA256>`: of the time, a full stop and the body, in
        hexadecimal digits.
        """
        if not feedback.bounce_secrets:
            raise Problem(
                404, "No secret for bounces is configured: set bounces.secrets.", kind=ProblemType.NOT_CONFIGURED
            )
        body = await request.body()
        header = request.headers.get("recovery-signature", "")
        if fault := signature_fault(feedback.bounce_secrets, header, body, feedback.clock.now()):
            headers = {"WWW-Authenticate": "Recovery-Signature"}
            raise Problem(401, fault, kind=ProblemType.SIGNATURE, headers=headers)
        taken = Taken()
        now = feedback.clock.now().timestamp()
        async with turns.turn():
            findings = _findings(request, body, feedback)
        for found in findings:
            finding = _believed(found, row, now)
            await _keep(finding, feedback)
            observer.bounced(finding.kind.value)
            observer.returned(finding.shop, finding.domain, finding.kind.value)
            if finding.kind is BounceKind.BLOCKED:
                observer.blocked(domains.label(finding.domain))
                _log.warning("mail blocked", domain=finding.domain, detail=finding.detail, words=finding.words)
            else:
                _log.info("bounce", kind=finding.kind.value, detail=finding.detail, report=_hashed(finding.report))
            taken = taken.model_copy(update={finding.kind.value: getattr(taken, finding.kind.value) + 1})
        return taken

    return router


def _findings(request: Request, body: bytes, feedback: Feedback) -> Sequence[_Finding]:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        match media_type:
            case "application/json":
                return [_event(BounceEvent.model_validate_json(body), feedback)]
            case "message/rfc822":
                reported = read(body)
                marks = _marks(reported[0].headers, feedback) if reported else None
                return _weakest([_finding(bounced, marks, feedback) for bounced in reported])
    except ValidationError as exc:
        raise invalid_body(exc) from None
    except NoReport as exc:
        raise Problem(422, str(exc), kind=ProblemType.NO_REPORT) from None
    raise Problem(415, "Send a report as 'message/rfc822', or an event as 'application/json'.")


def _event(event: BounceEvent, feedback: Feedback) -> _Finding:
    detail = masked(event.detail or "", private(event.email, None))[:KEPT]
    kind = _weaker(event.kind, detail)
    return _Finding(
        kind=kind,
        pseudonym=feedback.pseudonyms.of(event.email),
        shop=event.shop,
        report=event.id or (event.at.isoformat() if event.at else "without id"),
        detail=code(detail),
        at=event.at,
        domain=event.email.rpartition("@")[2].lower(),
        words=detail,
        full=kind is BounceKind.SOFT and says_full(detail),
    )


def _weaker(kind: BounceKind, detail: str) -> BounceKind:
    """Return the weaker of the provider's kind and the kind that the server's reply means."""
    if kind is not BounceKind.HARD or not detail:
        return kind
    return min(kind, judged(NO_SUCH_ADDRESS, detail), key=_STRENGTH)


def _believed(finding: _Finding, row: Row, now: float) -> _Finding:
    """Return a finding, as a soft bounce if the same unknown words were said of many addresses: they are about us."""
    if finding.kind is not BounceKind.HARD or not finding.words or says_nobody(finding.words):
        return finding
    if not row.add(finding.pseudonym, finding.words, now):
        return finding
    _log.warning(
        "hard bounces not believed",
        in_a_row=IN_A_ROW,
        words=finding.words,
        undo=f'recovery suppress lift --reply "{_mark(finding)}"',  # the suppressions of the first ones
    )
    return finding.model_copy(update={"kind": BounceKind.SOFT})


@dataclass(frozen=True, slots=True)
class _Marks:
    """The tokens of our message that its report quotes: shop and address of its link, and its return path (VERP)."""

    shop: str | None
    email: str | None
    pseudonym: str | None


def _marks(headers: str, feedback: Feedback) -> _Marks:
    links = feedback.links.default
    shop, email = links.unsubscribe_in(headers) or (None, None)
    return _Marks(shop, email, links.return_path_in(headers))


def _finding(bounced: Bounced, marks: _Marks | None, feedback: Feedback) -> _Finding:
    """Return the finding for one reported address, identified by our encrypted tokens, which survive forwarding.

    The address that the report names is believed only if our mails carry no token: anyone can forge a report. Raises
    `NoReport` if the report is not about a message of ours.
    """
    shop, sealed, pseudonym = (marks.shop, marks.email, marks.pseudonym) if marks else (None, None, None)
    email = sealed or (None if feedback.links.default.marked else bounced.email)
    pseudonym = pseudonym or (feedback.pseudonyms.of(email) if email else None)
    if pseudonym is None:
        raise NoReport("This report is not about a message of ours: it contains neither our return path nor our link.")
    return _Finding(
        kind=bounced.kind,
        pseudonym=pseudonym,
        shop=shop,
        report=bounced.report,
        detail=bounced.detail,
        at=bounced.at,
        domain=(bounced.email or "").rpartition("@")[2].lower()[:253],
        words=masked(bounced.words, private(email or bounced.email or "", None))[:KEPT],
        full=bounced.full,
        delayed=bounced.delayed,
    )


def _weakest(findings: Sequence[_Finding]) -> Sequence[_Finding]:
    """Return one finding per address, the weakest: if the address is a mailing list, only some members may be dead."""
    strongest_first = sorted(findings, key=lambda finding: -_STRENGTH(finding.kind))
    return list({finding.pseudonym: finding for finding in strongest_first}.values())


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


async def _keep(finding: _Finding, feedback: Feedback) -> None:
    reason = _REASONS.get(finding.kind)
    if finding.kind is BounceKind.BLOCKED or finding.delayed:
        return  # the fault is ours, not the address's; or it may still arrive
    if reason is None:
        report = _hashed(finding.report)
        await feedback.suppressions.bounced(finding.pseudonym, report, finding.at, full=finding.full)
        return
    source = ", ".join(filter(None, [finding.detail, _mark(finding), f"report {_hashed(finding.report)}"]))
    await feedback.suppressions.suppress(finding.pseudonym, reason, shop=finding.shop, source=source, at=finding.at)


def _hashed(report: str) -> str:
    """Return a hash that identifies a report: its id may contain the address."""
    return sha256(report.encode()).hexdigest()[:DIGITS]


def _mark(finding: _Finding) -> str:
    """Return the mark that finds all suppressions for the same words. The words themselves may name a person."""
    return f"words {sha256(alike(finding.words).encode()).hexdigest()[:DIGITS]}" if finding.words else ""


def _request_body() -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{BounceEvent.__name__}"}
    content = {
        "application/json": {"schema": schema, "example": EXAMPLE},
        "message/rfc822": {"schema": {"type": "string", "format": "binary"}},
    }
    return {
        "requestBody": {"required": True, "content": content},
        "parameters": [header("Recovery-Signature", "`t=<unix seconds>,v1=<hexadecimal HMAC-SHA256>`", required=True)],
        "security": [],
    }
