"""The endpoint that Shopify calls."""

from typing import Any

import structlog
from fastapi import APIRouter, Request
from pydantic import TypeAdapter, ValidationError

from recovery.checkout import Checkout, Order
from recovery.http.ingestion import Ingestion
from recovery.http.problems import FieldError, Problem, answers, invalid_body
from recovery.per_shop import PerShop
from recovery.shops import shopify

_log = structlog.get_logger()
_PAYLOAD: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


def webhooks(ingestion: Ingestion, secrets: PerShop[str | None]) -> APIRouter:
    """Return the endpoint for Shopify's webhooks. Their signature is the key.

    Without a secret, of the shop or for all, it is not there. Shopify gives five seconds, so nothing is done here but
    to keep the report.
    """
    router = APIRouter(tags=["shops"])

    @router.post(
        "/webhooks/shopify",
        summary="Take a webhook of Shopify",
        responses=answers(401, 404, 413, 422, 503),
        openapi_extra={
            "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
        },
    )
    async def take(request: Request) -> dict[str, str]:
        """Take `checkouts/create`, `checkouts/update` and `orders/create`; other topics are ignored.

        `X-Shopify-Hmac-Sha256` must be the signature of the body, `X-Shopify-Topic` and `X-Shopify-Shop-Domain` tell
        what it is. Answers with the `id` of the checkout, or with what it was `ignored` for.
        """
        shopify_secret = secrets.of_shop(request.headers.get("x-shopify-shop-domain", ""))
        if not shopify_secret:
            raise Problem(404, "No secret for Shopify's webhooks is configured.")
        body = await request.body()
        if not shopify.verify(shopify_secret, body, request.headers.get("x-shopify-hmac-sha256")):
            detail = "X-Shopify-Hmac-Sha256 is not the signature of this body by the configured secret."
            raise Problem(401, detail, headers={"WWW-Authenticate": "Shopify-Hmac-Sha256"})
        report = _read(request, body)
        match report:
            case Checkout():
                await ingestion.checkout(report)
            case Order():
                await ingestion.order(report)
            case shopify.Ignored(reason):
                _log.info("webhook ignored", shop=request.headers.get("x-shopify-shop-domain"), reason=reason)
                request.state.answer = "ignored"
                return {"ignored": reason}
        return {"id": report.id}

    return router


def _read(request: Request, body: bytes) -> Checkout | Order | shopify.Ignored:
    if request.headers.get("x-shopify-test") == "true":
        return shopify.Ignored("a sample, sent by the test button of Shopify's admin")
    topic = request.headers.get("x-shopify-topic", "")
    shop = request.headers.get("x-shopify-shop-domain", "")
    try:
        return shopify.read(topic, shop, _PAYLOAD.validate_json(body))
    except ValidationError as exc:
        raise invalid_body(exc) from None
    except shopify.Unmapped as exc:
        _log.warning("webhook refused", shop=shop, topic=topic, field=exc.field)
        raise Problem(422, str(exc), errors=[FieldError(field=exc.field, message=exc.message)]) from None
