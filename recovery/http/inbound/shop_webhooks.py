"""The endpoint that Shopify calls."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from fastapi import APIRouter, Request
from pydantic import TypeAdapter, ValidationError

from recovery.domain.checkout import Order
from recovery.domain.per_shop import PerShop
from recovery.http.api.description import header
from recovery.http.api.ingestion import Ingestion
from recovery.http.problems import Problem, ProblemType, answers
from recovery.shops import (
    Cancelled,
    Consented,
    DataRequest,
    Found,
    Ignored,
    Left,
    Redact,
    Reported,
    Unmapped,
    shopify,
)

_log = structlog.get_logger()
_PAYLOAD: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


_DESCRIBED = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
    "parameters": [
        header("X-Shopify-Topic", "What the body is, as `checkouts/update`", required=True),
        header("X-Shopify-Shop-Domain", "The shop, as `lamps.myshopify.com`"),
        header(
            "X-Shopify-Hmac-Sha256", "base64 of the HMAC-SHA256 of the body, by the configured secret", required=True
        ),
        header("X-Shopify-Test", "`true` for a sample, which is ignored"),
    ],
    "security": [],
}


@dataclass(frozen=True, slots=True)
class ShopifyShop:
    """What a shop has settled with Shopify. `confirm_orders` is whether its orders are confirmed here."""

    secret: str | None = None
    confirm_orders: bool = False


def webhooks(ingestion: Ingestion, shops: PerShop[ShopifyShop]) -> APIRouter:
    """Return the endpoint for Shopify's webhooks. Their signature is the key.

    Without a secret, of the shop or for all, it is not there. Shopify gives five seconds, so nothing is done here but
    to keep the report.
    """
    router = APIRouter(tags=["shops"])

    @router.post(
        "/webhooks/shopify",
        operation_id="takeShopifyWebhook",
        summary="Take a webhook of Shopify",
        responses=answers(401, 404, 413, 503),
        openapi_extra=_DESCRIBED,
    )
    async def take(request: Request) -> dict[str, str]:
        """Take checkouts, orders, consent, and what Shopify demands of those who keep personal data, and no more.

        `X-Shopify-Hmac-Sha256` must be the signature of the body, `X-Shopify-Topic` and `X-Shopify-Shop-Domain` tell
        what it is; without their `X-` they are taken as well. Answers with the `id` of the checkout, or with what it
        was `ignored` for: whatever is signed is answered with 200, since Shopify drops subscriptions that fail.
        """
        headers = _shopify_headers(request.headers)
        name, topic = headers.get("shop-domain", "").strip().lower(), headers.get("topic", "")
        request.state.shop = name
        shop = shops.of_shop(name)
        if not shop.secret:
            detail = "No secret for Shopify's webhooks is configured."
            raise Problem(404, detail, kind=ProblemType.NOT_CONFIGURED)
        signature = headers.get("hmac-sha256")
        if not signature or not shopify.verify(shop.secret, await request.body(), signature):
            detail = "X-Shopify-Hmac-Sha256 is not the signature of this body by the configured secret."
            headers_of_answer = {"WWW-Authenticate": "Shopify-Hmac-Sha256"}
            raise Problem(401, detail, kind=ProblemType.SIGNATURE, headers=headers_of_answer)
        if headers.get("test") == "true":
            found: Found = Ignored("a sample, sent by the test button of Shopify's admin")
        else:
            found = _read(topic, name, await request.body(), confirms=shop.confirm_orders)
        if isinstance(found, Ignored | Unmapped):
            return _passed_over(request, found, shop=name, topic=topic)
        return {"id": await _carry_out(found, ingestion)}

    return router


def _shopify_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return Shopify's headers of either family, without what their names begin with."""
    found: dict[str, str] = {}
    for prefix in ("shopify-", "x-shopify-"):
        found |= {name.removeprefix(prefix): value for name, value in headers.items() if name.startswith(prefix)}
    return found


def _read(topic: str, shop: str, body: bytes, *, confirms: bool) -> Found:
    try:
        payload = _PAYLOAD.validate_json(_whole(body))
    except ValidationError:
        return Unmapped("body", "is no JSON object")
    return shopify.read(topic, shop, payload, confirms=confirms)


def _whole(body: bytes) -> bytes:
    """Return JSON without halves of characters, as a text has that was cut in the middle of one; else as it is."""
    if not _HALF.search(body):
        return body
    try:
        return json.dumps(json.loads(body), ensure_ascii=False).encode(errors="replace")
    except (ValueError, RecursionError):
        return body


def _passed_over(request: Request, found: Ignored | Unmapped, *, shop: str, topic: str) -> dict[str, str]:
    """Say why nothing follows; what ought to have been understood is counted and logged as such."""
    if isinstance(found, Unmapped):
        _log.warning("webhook not understood", shop=shop, topic=topic, field=found.field, reason=found.reason)
        request.state.answer = "unmapped"
        return {"ignored": f"{found.field}: {found.reason}"}
    _log.info("webhook ignored", shop=shop, topic=topic, reason=found.reason)
    request.state.answer = "ignored"
    return {"ignored": found.reason}


async def _carry_out(
    found: Reported | Cancelled | Left | Consented | Redact | DataRequest, ingestion: Ingestion
) -> str:
    """Keep what a webhook says; return the key of what it was about."""
    match found:
        case Reported(Order() as order, aliases, cart, confirm_default):
            await ingestion.order(order, aliases=aliases, cart=cart, confirm_default=confirm_default)
            return order.id
        case Reported(checkout, aliases, cart):
            await ingestion.checkout(checkout, aliases=aliases, cart=cart)  # type: ignore[arg-type]
            return checkout.id
        case Cancelled(shop, order_ids, cart):
            await ingestion.cancel(shop, order_ids[0], aliases=order_ids[1:], cart=cart)
            return f"{shop}/{order_ids[0]}"
        case Left(shop):
            _log.warning(
                "this shop tells of no orders any more", shop=shop, cancelled=await ingestion.cancel_shop(shop)
            )
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
    raise AssertionError(f"nobody carries out {type(found).__name__}")
