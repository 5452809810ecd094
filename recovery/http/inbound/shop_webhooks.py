"""The endpoint that shop platforms call: one for all adapters. The adapter verifies and reads; the rest is here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import structlog
from fastapi import APIRouter, Request
from pydantic import TypeAdapter, ValidationError

from recovery.domain.checkout import Order, checkout_id
from recovery.domain.fields import ShopKey
from recovery.engine.ports import Clock
from recovery.http.api.description import header
from recovery.http.api.ingestion import Ingestion
from recovery.http.inbound.accesses import Accesses, WebhookAccess
from recovery.http.inbound.key_sets import KeySets, KeySetUnavailable
from recovery.http.problems import Problem, ProblemType, answers
from recovery.shops.adapter import NOT_SIGNED, Adapter, Trust, WebhookRequest, header_of, unmapped
from recovery.shops.events import (
    Cancelled,
    Consented,
    DataRequest,
    Emptied,
    Event,
    Found,
    Ignored,
    Left,
    Redact,
    Reported,
    Touched,
    Unmapped,
)
from recovery.shops.key_sets import PublicKeys

_PREFIX = "/webhooks/"
_BODY = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
_SHOP: TypeAdapter[str] = TypeAdapter(ShopKey)

_log = structlog.get_logger()


LONGEST_PING = 1024
"""Bytes of an unsigned request that is read at all."""


def adapter_in(path: str, adapters: Iterable[Adapter]) -> str | None:
    """Return the name of the adapter that a path leads to, or None."""
    if not path.startswith(_PREFIX):
        return None
    name, _, shop = path.removeprefix(_PREFIX).partition("/")
    return next((each.name for each in adapters if each.name == name and (shop or each.names_shop)), None)


def shop_webhooks(
    ingestion: Ingestion, accesses: Accesses, adapters: Sequence[Adapter], clock: Clock, key_sets: KeySets
) -> APIRouter:
    """Return the endpoint for shop platforms' webhooks. Their signature is the key; without a secret there is none.

    Platforms wait a few seconds only (Shopify: five), so the events are stored and nothing more is done.
    """
    router = APIRouter(tags=["shops"])
    by_name = {adapter.name: adapter for adapter in adapters}
    receiver = _Receiver(ingestion, accesses, clock, key_sets)
    for adapter in adapters:
        if adapter.names_shop:
            _serve_without_shop(router, adapter, receiver)

    @router.post(
        f"{_PREFIX}{{platform}}/{{shop}}",
        operation_id="takeWebhook",
        summary="Take a webhook of a shop platform",
        responses=answers(401, 404, 413, 503),
        openapi_extra={"requestBody": _BODY, "security": []},
    )
    async def take(platform: str, shop: str, request: Request) -> dict[str, str]:
        """Take what a platform reports of a shop: `platform` is its name, `shop` the shop's key.

        The body must be signed as the platform does, by a configured secret or a key that the shop publishes. Answers
        with the `id` of the checkout, of the first if there are several, or with the reason why the webhook was
        `ignored`: everything that is signed is answered with 200, since platforms repeat what fails and then drop the
        subscription.
        """
        if (known := by_name.get(platform)) is None:
            raise Problem(404, f"There is no platform of this name. Use one of: {', '.join(sorted(by_name))}.")
        return await receiver.take(request, known, known.shop_of(request.headers, _checked(shop)))

    return router


def _serve_without_shop(router: APIRouter, adapter: Adapter, receiver: "_Receiver") -> None:
    """Add the endpoint of a platform whose requests name their shop."""
    parameters = [header(name, text, required=required) for name, (text, required) in adapter.headers.items()]

    @router.post(
        f"{_PREFIX}{adapter.name}",
        operation_id=f"take{adapter.name.title()}Webhook",
        summary=f"Take a webhook of {adapter.title}",
        description=adapter.description,
        responses=answers(401, 404, 413, 503),
        openapi_extra={"requestBody": _BODY, "parameters": parameters, "security": []},
    )
    async def take_without_shop(request: Request) -> dict[str, str]:
        return await receiver.take(request, adapter, adapter.shop_of(request.headers, ""))


def _checked(shop: str) -> str:
    try:
        return _SHOP.validate_python(shop)
    except ValidationError:
        raise Problem(404, "The last part of this address is not a valid shop.") from None


@dataclass(frozen=True, slots=True)
class _Receiver:
    """Takes a webhook: verifies it, has it read, and carries out what it reports."""

    ingestion: Ingestion
    accesses: Accesses
    clock: Clock
    key_sets: KeySets

    async def take(self, request: Request, adapter: Adapter, shop: str) -> dict[str, str]:
        """Return the answer to a webhook. Raises `Problem`: 401, 404, or 503."""
        request.state.shop = shop
        access = self._access(adapter, shop)
        if await _is_ping(request, adapter):
            request.state.answer = "ignored"
            return {"ignored": f"a question of {adapter.title} whether this address works"}
        await self._verify(request, adapter, access)
        body = await request.body()
        found = _read(adapter, WebhookRequest(shop, body, request.headers, access.confirm_orders, access.checkout_url))
        events = [each for each in found if not isinstance(each, Ignored | Unmapped)]
        if not shop:
            # Only the body names the shop, which may have a secret of its own: that for all shops must not reach it.
            for named in {event.shop for event in events}:
                await self._verify(request, adapter, self._access(adapter, named))
        ids = [await _carry_out(event, self.ingestion) for event in events]
        nothing = [each for each in found if isinstance(each, Ignored | Unmapped)]
        topic = header_of(request.headers, adapter.topic_header) if adapter.topic_header else ""
        answer = [_ignored(request, each, adapter=adapter.name, shop=shop, topic=topic) for each in nothing]
        return {"id": ids[0]} if ids else answer[0]

    def _access(self, adapter: Adapter, shop: str) -> WebhookAccess:
        """Return the shop's access. Raises `Problem`: 404 if it has no secret, or no address where that is needed."""
        access = self.accesses.of_shop(shop).get(adapter.name, WebhookAccess())
        if adapter.key_set_path:
            if not access.address:
                detail = f"The address of this shop's {adapter.title} is not configured: set webhooks.addresses."
                raise Problem(404, detail, kind=ProblemType.NOT_CONFIGURED)
        elif not any(access.secrets):
            detail = f"No secret for {adapter.title}'s webhooks is configured: set {adapter.configured_by}."
            raise Problem(404, detail, kind=ProblemType.NOT_CONFIGURED)
        return access

    async def _verify(self, request: Request, adapter: Adapter, access: WebhookAccess) -> None:
        """Check the signature. Raises `Problem`: 401 if it is not accepted, 503 if the keys cannot be fetched."""
        if not header_of(request.headers, adapter.signature_header):
            # The body is not even read: a caller without a secret must not make us take megabytes.
            raise _refused(adapter, "is missing: send the signature of the body")
        trust = Trust(
            self.clock.now(),
            [secret for secret in access.secrets if secret],
            await self._keys(request, adapter, access),
        )
        if fault := adapter.signature_fault(await request.body(), request.headers, trust):
            raise _refused(adapter, fault)

    async def _keys(self, request: Request, adapter: Adapter, access: WebhookAccess) -> PublicKeys:
        if not adapter.key_set_path or not access.address:
            return {}
        try:
            return await self.key_sets.of(access.address + adapter.key_set_path, adapter.key_id(request.headers))
        except KeySetUnavailable as exc:
            raise Problem(503, str(exc), headers={"Retry-After": str(exc.retry_after)}) from exc


def _refused(adapter: Adapter, fault: str) -> Problem:
    if fault == NOT_SIGNED:
        fault = f"{fault}: check {adapter.configured_by}"
    scheme = {"WWW-Authenticate": adapter.signature_header.removeprefix("X-")}
    return Problem(401, f"{adapter.signature_header} {fault}.", kind=ProblemType.SIGNATURE, headers=scheme)


async def _is_ping(request: Request, adapter: Adapter) -> bool:
    """Return whether a request is the platform's unsigned question; only a short body with a Content-Length is read."""
    length = request.headers.get("content-length", "")
    if header_of(request.headers, adapter.signature_header) or not (length.isascii() and length.isdigit()):
        return False
    return int(length[:10]) <= LONGEST_PING and adapter.is_ping(await request.body(), request.headers)


def _read(adapter: Adapter, request: WebhookRequest) -> Sequence[Found]:
    try:
        found = adapter.read(request)
    except ValidationError as exc:
        return [unmapped(exc)]
    return [_checked_event(each, request) for each in found] or [Ignored("nothing follows from it")]


def _checked_event(found: Found, request: WebhookRequest) -> Found:
    if not isinstance(found, Ignored | Unmapped) and request.shop and found.shop != request.shop:
        return Unmapped("shop", "is not the shop that the signature was verified for")
    if isinstance(found, Reported) and not request.confirm_orders:
        return replace(found, confirm_default=False)
    return found


def _ignored(request: Request, found: Ignored | Unmapped, **context: str) -> dict[str, str]:
    """Answer with the reason; a webhook that could not be read is counted and logged as a fault."""
    request.state.reason = found.reason if isinstance(found, Ignored) else f"{found.field}: {found.reason}"
    if isinstance(found, Unmapped):
        _log.warning("webhook not understood", field=found.field, reason=found.reason, **context)
        request.state.answer = "unmapped"
        return {"ignored": f"{found.field}: {found.reason}"}
    _log.info("webhook ignored", reason=found.reason, **context)
    request.state.answer = "ignored"
    return {"ignored": found.reason}


async def _carry_out(event: Event, ingestion: Ingestion) -> str:
    """Store an event; return the key of the checkout, shop or request that it is about."""
    match event:
        case Reported(Order() as order, aliases, cart, confirm_default):
            await ingestion.order(order, aliases=aliases, cart=cart, confirm_default=confirm_default)
            return order.id
        case Reported(checkout, aliases, cart):
            await ingestion.checkout(checkout, aliases=aliases, cart=cart)  # type: ignore[arg-type]
            return checkout.id
        case Cancelled(shop, order_ids, cart):
            await ingestion.cancel(shop, order_ids[0], aliases=order_ids[1:], cart=cart)
            return checkout_id(shop, order_ids[0])
        case Touched() | Emptied() | Left():
            return await _put_off(event, ingestion)
        case Consented(shop, email, consent):
            await ingestion.consent(shop, email, consent)
            return shop
        case Redact(shop, None):
            await ingestion.erase_shop(shop)
            return shop
        case Redact(shop, str(email)):
            await ingestion.erase(email, shop=shop)
            return shop
        case DataRequest(shop, id_, email, orders):
            await ingestion.request_data(shop, id_, email, orders)
            return f"{shop}/{id_}"
    raise AssertionError(f"no case for {type(event).__name__}")


async def _put_off(event: Touched | Emptied | Left, ingestion: Ingestion) -> str:
    """Store an event that postpones or pauses reminders of known checkouts, and creates none; return its key."""
    match event:
        case Touched(shop, cart, at):
            await ingestion.touch(shop, [cart], at=at)
            return checkout_id(shop, cart)
        case Emptied(shop, names, at):
            await ingestion.pause(shop, names, reason="its customer has emptied it", at=at)
            return checkout_id(shop, names[0])
        case Left(shop):
            paused = await ingestion.pause(shop, reason="its shop has disconnected, and reports no orders")
            _log.warning("shop disconnected", shop=shop, paused=paused)
            return shop
