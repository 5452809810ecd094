"""The endpoint that shop platforms call: one for all adapters. The adapter verifies and reads; the rest is here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog
from fastapi import APIRouter, Request
from pydantic import TypeAdapter, ValidationError

from recovery.domain.checkout import Order, checkout_id
from recovery.domain.fields import ShopKey
from recovery.domain.per_shop import PerShop
from recovery.http.api.description import header
from recovery.http.api.ingestion import Ingestion
from recovery.http.problems import Problem, ProblemType, answers
from recovery.shops.adapter import Adapter, WebhookRequest, header_of, unmapped
from recovery.shops.events import (
    Cancelled,
    Consented,
    DataRequest,
    Event,
    Found,
    Ignored,
    Left,
    Redact,
    Reported,
    Unmapped,
)

_PREFIX = "/webhooks/"
_BODY = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
_SHOP: TypeAdapter[str] = TypeAdapter(ShopKey)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class WebhookAccess:
    """One shop's settings for one platform: the secrets that may sign, and whether its orders are confirmed by us."""

    secrets: Sequence[str] = ()
    confirm_orders: bool = False


Accesses = PerShop[Mapping[str, WebhookAccess]]
"""The access to each shop's webhooks, by the name of the adapter."""


def adapter_in(path: str, adapters: Iterable[Adapter]) -> str | None:
    """Return the name of the adapter that a path leads to, or None."""
    if not path.startswith(_PREFIX):
        return None
    name, _, shop = path.removeprefix(_PREFIX).partition("/")
    return next((each.name for each in adapters if each.name == name and (shop or each.names_shop)), None)


def shop_webhooks(ingestion: Ingestion, accesses: Accesses, adapters: Sequence[Adapter]) -> APIRouter:
    """Return the endpoint for shop platforms' webhooks. Their signature is the key; without a secret there is none.

    Platforms wait a few seconds only (Shopify: five), so the event is stored and nothing more is done.
    """
    router = APIRouter(tags=["shops"])
    by_name = {adapter.name: adapter for adapter in adapters}
    for adapter in adapters:
        if adapter.names_shop:
            _serve_without_shop(router, adapter, ingestion, accesses)

    @router.post(
        f"{_PREFIX}{{adapter}}/{{shop}}",
        operation_id="takeWebhook",
        summary="Take a webhook of a shop platform",
        responses=answers(401, 404, 413, 503),
        openapi_extra={"requestBody": _BODY, "security": []},
    )
    async def take(adapter: str, shop: str, request: Request) -> dict[str, str]:
        """Take what a platform reports of a shop: `adapter` is the platform's name, `shop` the shop's key.

        The body must be signed as the platform does, by a configured secret. Answers with the `id` of the checkout, or
        with the reason why the webhook was `ignored`: everything that is signed is answered with 200, since platforms
        repeat what fails and then drop the subscription.
        """
        if (known := by_name.get(adapter)) is None:
            raise Problem(404, f"There is no adapter of this name. Use one of: {', '.join(sorted(by_name))}.")
        return await _take(request, known, known.shop_of(request.headers, _checked(shop)), ingestion, accesses)

    return router


def _serve_without_shop(router: APIRouter, adapter: Adapter, ingestion: Ingestion, accesses: Accesses) -> None:
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
        return await _take(request, adapter, adapter.shop_of(request.headers, ""), ingestion, accesses)


def _checked(shop: str) -> str:
    try:
        return _SHOP.validate_python(shop)
    except ValidationError:
        raise Problem(404, "The last part of this address is not a valid shop.") from None


async def _take(
    request: Request, adapter: Adapter, shop: str, ingestion: Ingestion, accesses: Accesses
) -> dict[str, str]:
    request.state.shop = shop
    access = await _verified(request, adapter, shop, accesses)
    found = _read(adapter, WebhookRequest(shop, await request.body(), request.headers, access.confirm_orders))
    if isinstance(found, Ignored | Unmapped):
        topic = header_of(request.headers, adapter.topic_header) if adapter.topic_header else ""
        return _ignored(request, found, adapter=adapter.name, shop=shop, topic=topic)
    if not shop:
        # Only the body names the shop, which may have a secret of its own: that for all shops must not reach it.
        await _verified(request, adapter, found.shop, accesses)
    return {"id": await _carry_out(found, ingestion)}


async def _verified(request: Request, adapter: Adapter, shop: str, accesses: Accesses) -> WebhookAccess:
    """Return the shop's access. Raises `Problem`: 404 if it has no secret, 401 if none of its secrets signed."""
    access = accesses.of_shop(shop).get(adapter.name, WebhookAccess())
    secrets = [secret for secret in access.secrets if secret]
    if not secrets:
        raise Problem(
            404,
            f"No secret for {adapter.title}'s webhooks is configured: set one in the settings.",
            kind=ProblemType.NOT_CONFIGURED,
        )
    # Without a signature the body is not even read: a caller without a secret must not make us take megabytes.
    signed = header_of(request.headers, adapter.signature_header)
    if not signed or not adapter.verify(await request.body(), request.headers, secrets):
        detail = f"{adapter.signature_header} is not the signature of this body by the configured secret."
        scheme = {"WWW-Authenticate": adapter.signature_header.removeprefix("X-")}
        raise Problem(401, detail, kind=ProblemType.SIGNATURE, headers=scheme)
    return access


def _read(adapter: Adapter, request: WebhookRequest) -> Found:
    try:
        found = adapter.read(request)
    except ValidationError as exc:
        return unmapped(exc)
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
        case Left(shop):
            _log.warning("shop disconnected", shop=shop, cancelled=await ingestion.cancel_shop(shop))
            return shop
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
