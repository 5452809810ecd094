"""The endpoint that providers call: one for all. The provider's file verifies and reads; the rest is here."""

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlsplit

import structlog
from fastapi import APIRouter, Request
from pydantic import ValidationError

from recovery.domain.suppression import SuppressionReason
from recovery.http.customer.feedback import Feedback
from recovery.http.fetching import CannotFetch
from recovery.http.inbound.statements import Statement, Taken, Taker, of_event
from recovery.http.problems import Problem, ProblemType, answers, invalid_body
from recovery.mail.providers import PROVIDERS
from recovery.mail.providers.provider import EventType, Provider, ProviderEvent, SignedRequest

PREFIX = "/bounces/"

LONGEST = 1024 * 1024
"""Bytes of a body: SendGrid's have up to 768 KB."""

MOST_EVENTS = 5000

RETRY_AFTER = "30"
"""Seconds."""

_BODY = {"required": True, "content": {"application/json": {"schema": {}}}}
_NAMES = ", ".join(each.name for each in PROVIDERS)

_log = structlog.get_logger()


class TakenEvents(Taken):
    """The number of a provider's events, by what they say of their address.

    `ignored`: they say nothing against it, such as a delivery. `unread`: they could not be read, the log says why.
    """

    unsubscribed: int = 0
    ignored: int = 0
    unread: int = 0


def add_provider_events(router: APIRouter, taker: Taker, feedback: Feedback) -> None:
    """Add the endpoint for providers' webhooks to a router. A provider without a secret has none."""
    by_name = {provider.name: provider for provider in PROVIDERS}

    @router.post(
        f"{PREFIX}{{provider}}",
        operation_id="takeProviderEvents",
        summary="Take a webhook of a provider that sends our mails",
        responses=answers(401, 404, 413, 422, 503),
        openapi_extra={"requestBody": _BODY, "security": []},
        description=(
            f"Takes what a provider reports of our mails: `provider` is one of {_NAMES}. It must be verified as the"
            " provider does it: by its signature, or by a secret as the password (Basic), token (Bearer) or parameter"
            " `secret` of the address. Bounces and complaints have the same effect as those at `/bounces`;"
            " unsubscriptions hold for all shops; all else is ignored."
        ),
    )
    async def take(provider: str, request: Request) -> TakenEvents:
        if (known := by_name.get(provider)) is None:
            raise Problem(404, f"There is no provider of this name. Use one of: {_NAMES}.")
        verified = await _verified(known, request, feedback)
        if (url := known.confirmation_url(verified)) is not None:
            await _fetched(url, feedback)
            _log.info("bounce subscription confirmed", provider=known.name)
        events = _read(known, verified)
        return await _take(known, events, taker, feedback)


async def _verified(provider: Provider, request: Request, feedback: Feedback) -> SignedRequest:
    """Return the request, verified. Raises `Problem`: 404 without a secret, 401 if the provider did not send this."""
    if not (secrets := feedback.provider_secrets.get(provider.name, ())):
        raise Problem(
            404,
            f"No secret for {provider.title} is configured: set providers.{provider.name}.",
            kind=ProblemType.NOT_CONFIGURED,
        )
    secret = request.query_params.get("secret", "")
    given = SignedRequest(await request.body(), request.headers, feedback.clock.now(), secret)
    if (url := provider.certificate_url(given, secrets)) is not None:
        given = replace(given, certificate=await _fetched(url, feedback))
    if not provider.verify(given, secrets):
        detail = f"{provider.signs} does not prove that {provider.title} sent this: check providers.{provider.name}."
        scheme = {"WWW-Authenticate": f'Basic realm="{provider.name}"'}
        raise Problem(401, detail, kind=ProblemType.SIGNATURE, headers=scheme)
    return given


async def _fetched(url: str, feedback: Feedback) -> bytes:
    try:
        return await feedback.fetch(url)
    except CannotFetch as exc:
        _log.warning("could not fetch certificate", host=urlsplit(url).hostname, error=str(exc))
        raise Problem(
            503, f"A file of {urlsplit(url).hostname}: {exc}. Send this again.", headers={"Retry-After": RETRY_AFTER}
        ) from exc


def _read(provider: Provider, request: SignedRequest) -> Sequence[ProviderEvent | ValidationError]:
    """Return the events. Raises `Problem` (422) if none can be read."""
    try:
        events = provider.read(request)
    except ValidationError as exc:
        raise invalid_body(exc) from None
    if len(events) > MOST_EVENTS:
        raise Problem(422, f"There are more than {MOST_EVENTS} events in this body.", kind=ProblemType.INVALID)
    faults = [each for each in events if isinstance(each, ValidationError)]
    if faults and len(faults) == len(events):
        raise invalid_body(faults[0])
    return events


async def _take(
    provider: Provider, events: Sequence[ProviderEvent | ValidationError], taker: Taker, feedback: Feedback
) -> TakenEvents:
    found, unsubscribed, ignored, unread = list[Statement](), 0, 0, 0
    for event in events:
        if isinstance(event, ValidationError):
            unread += 1
            _log.warning("bounce event not understood", provider=provider.name, field=_field(event))
        elif event.type is EventType.UNSUBSCRIBED and event.email is not None:
            unsubscribed += 1
            pseudonym = feedback.pseudonyms.of(event.email)
            source = f"unsubscribed at {provider.title}"
            await feedback.suppressions.suppress(pseudonym, SuppressionReason.UNSUBSCRIBED, source=source, at=event.at)
        elif event.kind is None or event.email is None:
            ignored += 1
        else:
            found.append(_statement(event, event.email, feedback))
    taken = await taker.take(found)
    return TakenEvents(**taken.model_dump(), unsubscribed=unsubscribed, ignored=ignored, unread=unread)


def _statement(event: ProviderEvent, email: str, feedback: Feedback) -> Statement:
    assert event.kind is not None  # noqa: S101 - as `_take` has seen
    return of_event(
        feedback,
        event.kind,
        email,
        words=event.words,
        report=event.id,
        at=event.at,
        full=event.full,
        delayed=event.type is EventType.DEFERRED,
    )


def _field(exc: ValidationError) -> str:
    return ".".join(map(str, exc.errors(include_url=False, include_input=False, include_context=False)[0]["loc"]))[:100]
