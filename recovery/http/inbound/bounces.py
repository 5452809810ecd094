"""The endpoint for bounces and complaints.

Mail systems report them as messages, a DSN (RFC 3464) or a feedback loop's report (FBL, RFC 5965); providers as events.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recovery.domain.fields import Email, Instant, Key, ShopKey
from recovery.domain.masking import masked, private
from recovery.http.api.description import header
from recovery.http.customer.feedback import Feedback
from recovery.http.inbound.provider_events import add_provider_events
from recovery.http.inbound.statements import KEPT, Statement, Taken, Taker, domain_of, of_event, weakest
from recovery.http.observer import HttpObserver
from recovery.http.problems import Problem, ProblemType, answers, invalid_body
from recovery.http.security import signature_fault
from recovery.http.turns import Turns
from recovery.mail.bounce_words import BounceKind
from recovery.mail.bounces import Bounced, NoReport, read

PATH = "/bounces"
EXAMPLE = {"kind": "hard", "email": "ada@example.com", "at": "2026-03-05T12:00:00Z", "id": "evt_1042"}


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


def bounces(feedback: Feedback, observer: HttpObserver) -> APIRouter:
    """Return the endpoint for bounces. Their signature is the key; without a secret there is no endpoint."""
    router = APIRouter(tags=["bounces"])
    taker = Taker(feedback, observer)
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
        async with turns.turn():
            statements = _statements(request, body, feedback)
        return await taker.take(statements)

    add_provider_events(router, taker, feedback)
    return router


def _statements(request: Request, body: bytes, feedback: Feedback) -> Sequence[Statement]:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        match media_type:
            case "application/json":
                return [_event(BounceEvent.model_validate_json(body), feedback)]
            case "message/rfc822":
                reported = read(body)
                marks = _marks(reported[0].headers, feedback) if reported else None
                return weakest([_statement(bounced, marks, feedback) for bounced in reported])
    except ValidationError as exc:
        raise invalid_body(exc) from None
    except NoReport as exc:
        raise Problem(422, str(exc), kind=ProblemType.NO_REPORT) from None
    raise Problem(415, "Send a report as 'message/rfc822', or an event as 'application/json'.")


@dataclass(frozen=True, slots=True)
class _Marks:
    """The tokens of our message that its report quotes: shop and address of its link, and its return path (VERP)."""

    shop: str | None
    email: str | None
    pseudonym: str | None


def _event(event: BounceEvent, feedback: Feedback) -> Statement:
    return of_event(
        feedback,
        event.kind,
        event.email,
        words=event.detail or "",
        report=event.id or "",
        shop=event.shop,
        at=event.at,
    )


def _marks(headers: str, feedback: Feedback) -> _Marks:
    links = feedback.links.default
    shop, email = links.unsubscribe_in(headers) or (None, None)
    return _Marks(shop, email, links.return_path_in(headers))


def _statement(bounced: Bounced, marks: _Marks | None, feedback: Feedback) -> Statement:
    """Return the statement for one reported address, identified by our encrypted tokens, which survive forwarding.

    The address that the report names is believed only if our mails carry no token: anyone can forge a report. Raises
    `NoReport` if the report is not about a message of ours.
    """
    shop, sealed, pseudonym = (marks.shop, marks.email, marks.pseudonym) if marks else (None, None, None)
    email = sealed or (None if feedback.links.default.marked else bounced.email)
    pseudonym = pseudonym or (feedback.pseudonyms.of(email) if email else None)
    if pseudonym is None:
        raise NoReport("This report is not about a message of ours: it contains neither our return path nor our link.")
    return Statement(
        kind=bounced.kind,
        pseudonym=pseudonym,
        shop=shop,
        report=bounced.report,
        detail=bounced.detail,
        at=bounced.at,
        domain=domain_of(bounced.email),
        wrote_to=domain_of(email or _ours(bounced.email, pseudonym, feedback)),
        words=masked(bounced.words, private(email or bounced.email or "", None))[:KEPT],
        full=bounced.full,
        delayed=bounced.delayed,
    )


def _ours(email: str | None, pseudonym: str, feedback: Feedback) -> str | None:
    """Return the address that a report names if it is that of its return path: we wrote to no other."""
    return email if email is not None and pseudonym in feedback.pseudonyms.all(email) else None


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
