"""The endpoint that mail systems and providers report bounces and complaints to."""

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
from recovery.mail.bounces import Bounced, BounceKind, NoReport, judged, read
from recovery.mail.smtp.wording import says_nobody

EXAMPLE = {"kind": "hard", "email": "ada@example.com", "at": "2026-03-05T12:00:00Z", "id": "evt_1042"}

KEPT = 200
"""Characters of a server's words that are kept."""

DIGITS = 16
"""Hexadecimal digits of the hash of a report's id, and of a server's words."""

NO_SUCH_ADDRESS = "5.1.1"

DOMAINS = 50
"""Domains that reports of blocked mail are counted by."""

_REASONS = {BounceKind.HARD: SuppressionReason.HARD_BOUNCE, BounceKind.COMPLAINT: SuppressionReason.COMPLAINT}
_STRENGTH = list(BounceKind).index

_log = structlog.get_logger()


class BounceEvent(BaseModel):
    """What a provider says of an address, in the words of Recovery.

    A complaint without a shop holds for all of them, as a hard bounce always does. `id` names the event, so that a soft
    bounce that is reported twice is counted once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    kind: BounceKind
    email: Email
    shop: ShopKey | None = None
    at: Instant | None = None
    detail: Annotated[str, Field(max_length=2000)] | None = None
    id: Key | None = None


class Taken(BaseModel):
    """How many addresses the report was about, by what it said of them."""

    hard: int = 0
    soft: int = 0
    complaint: int = 0
    blocked: int = 0


class _Finding(BaseModel):
    """What is known now of one address."""

    kind: BounceKind
    pseudonym: str
    shop: str | None
    report: str
    detail: str
    at: Instant | None
    domain: str = ""
    words: str = ""


def bounces(feedback: Feedback, observer: HttpObserver) -> APIRouter:
    """Return the endpoint for bounces. Their signature is the key; without a secret it is not there."""
    router = APIRouter(tags=["bounces"])
    domains = _Domains()
    row = Row()
    turns = Turns()

    @router.post(
        "/bounces",
        operation_id="reportBounce",
        summary="Report a bounce or a complaint",
        responses=answers(401, 404, 413, 415, 422, 503),
        openapi_extra=_request_body(),
    )
    async def take(request: Request) -> Taken:
        """Take a delivery report or complaint as it came by mail (`message/rfc822`), or an event in JSON.

        An address that does not exist is written to no more, and one that complained is not reminded any more; what may
        pass is only counted. That our mail is blocked is logged as a warning, and suppresses nobody. Nor is it believed
        that many addresses in a row do not exist, all in the same strange words.
        `Recovery-Signature` is `t=<unix seconds>,v1=<HMAC-SHA256>`: of the time, a full stop and the body, in
        hexadecimal digits.
        """
        if not feedback.bounce_secrets:
            raise Problem(404, "No secret for bounces is configured.", kind=ProblemType.NOT_CONFIGURED)
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
            if finding.kind is BounceKind.BLOCKED:
                observer.blocked(domains.label(finding.domain))
                _log.warning("our mail is blocked", domain=finding.domain, detail=finding.detail, words=finding.words)
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
    return _Finding(
        kind=_weaker(event.kind, detail),
        pseudonym=feedback.pseudonyms.of(event.email),
        shop=event.shop,
        report=event.id or (event.at.isoformat() if event.at else "without id"),
        detail=code(detail),
        at=event.at,
        words=detail,
    )


def _weaker(kind: BounceKind, detail: str) -> BounceKind:
    """Return the weaker of what a provider calls an event and what the words beside it mean."""
    if kind is not BounceKind.HARD or not detail:
        return kind
    return min(kind, judged(NO_SUCH_ADDRESS, detail), key=_STRENGTH)


def _believed(finding: _Finding, row: Row, now: float) -> _Finding:
    """Return a finding as it is to be believed: what is said of everybody is about us, if its words are not known."""
    if finding.kind is not BounceKind.HARD or not finding.words or says_nobody(finding.words):
        return finding
    if not row.add(finding.pseudonym, finding.words, now):
        return finding
    _log.warning(
        f"{IN_A_ROW} addresses in a row are said not to exist in the same words, so that nobody is suppressed for them"
        " any more; if they are about something else, lift the first by"
        f' `recovery suppress lift --reply "{_mark(finding)}"`',
        words=finding.words,
    )
    return finding.model_copy(update={"kind": BounceKind.SOFT})


@dataclass(frozen=True, slots=True)
class _Marks:
    """What we sealed into a message, as its report shows it: shop and address of its link, and its return path."""

    shop: str | None
    email: str | None
    pseudonym: str | None


def _marks(headers: str, feedback: Feedback) -> _Marks:
    links = feedback.links.default
    shop, email = links.unsubscribe_in(headers) or (None, None)
    return _Marks(shop, email, links.return_path_in(headers))


def _finding(bounced: Bounced, marks: _Marks | None, feedback: Feedback) -> _Finding:
    """Find out whose a report is: by what we sealed, which survives forwarding.

    Only where mails carry no such mark is the address believed that the report names: anybody may write a report.
    """
    shop, sealed, pseudonym = (marks.shop, marks.email, marks.pseudonym) if marks else (None, None, None)
    email = sealed or (None if feedback.links.default.marked else bounced.email)
    pseudonym = pseudonym or (feedback.pseudonyms.of(email) if email else None)
    if pseudonym is None:
        raise NoReport("This report is about no message of ours: it has neither our return path nor our link in it.")
    return _Finding(
        kind=bounced.kind,
        pseudonym=pseudonym,
        shop=shop,
        report=bounced.report,
        detail=bounced.detail,
        at=bounced.at,
        domain=(bounced.email or "").rpartition("@")[2].lower()[:253],
        words=masked(bounced.words, private(email or bounced.email or "", None))[:KEPT],
    )


def _weakest(findings: Sequence[_Finding]) -> Sequence[_Finding]:
    """Keep one finding for each address, the weakest: of a list that it stands for, only a part may be dead."""
    strongest_first = sorted(findings, key=lambda finding: -_STRENGTH(finding.kind))
    return list({finding.pseudonym: finding for finding in strongest_first}.values())


class _Domains:
    """The domains that have a label of their own: the first that come, for anybody may write a report."""

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
    if finding.kind is BounceKind.BLOCKED:
        return  # it is not about the address
    if reason is None:
        await feedback.suppressions.bounced(finding.pseudonym, _hashed(finding.report), finding.at)
        return
    source = ", ".join(filter(None, [finding.detail, _mark(finding), f"report {_hashed(finding.report)}"]))
    await feedback.suppressions.suppress(finding.pseudonym, reason, shop=finding.shop, source=source, at=finding.at)


def _hashed(report: str) -> str:
    """Return what tells two reports apart; their ids may hold the address that they are about."""
    return sha256(report.encode()).hexdigest()[:DIGITS]


def _mark(finding: _Finding) -> str:
    """Return what all suppressions for the same words are found by. The words themselves may name somebody."""
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
