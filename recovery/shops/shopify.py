"""What Shopify sends, read as the words of Recovery.

Pure: bytes and headers in, words out. Shopify repeats what is not answered with a 2xx eight times in four hours, and
may then drop the subscription; so what can be mended is mended (a long title is cut), and only a report that would
make no reminder at all is refused. An order is never refused for its facts: what it says first of all is "stop".
"""

import base64
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from recovery.checkout import Checkout, Customer, Facts, Instant, Order

Model = TypeVar("Model", bound=BaseModel)

LONGEST_NAME = 300
MOST_ITEMS = 200
NO_VARIANT = "Default Title"
"""What Shopify calls the one variant of a product that has none."""

_TIME: TypeAdapter[datetime] = TypeAdapter(Instant)
_SOURCES = {
    "shop": "X-Shopify-Shop-Domain",
    "order_id": "id",
    "items": "line_items",
    "name": "title",
    "variant": "variant_title",
    "total": "total_price",
    "checkout_url": "abandoned_checkout_url",
    "touched_at": "updated_at",
}


class Unmapped(ValueError):
    """What Shopify sent cannot be read as a report. `field` is Shopify's name for what is wrong."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


@dataclass(frozen=True, slots=True)
class Ignored:
    """What Shopify sent is in order, and nothing follows from it."""

    reason: str


def verify(secret: str, body: bytes, signature: str | None) -> bool:
    """Return whether `signature` (X-Shopify-Hmac-Sha256) is base64 of the HMAC-SHA256 of the raw body."""
    expected = base64.b64encode(hmac.digest(secret.encode(), body, "sha256"))
    return hmac.compare_digest(expected, (signature or "").encode())


def read(topic: str, shop: str, payload: Mapping[str, Any]) -> Checkout | Order | Ignored:
    """Return what a webhook reports.

    `topic` and `shop` are the headers X-Shopify-Topic and X-Shopify-Shop-Domain. A checkout and its order share the
    key: a checkout's `id` is its order's `checkout_id`. An order without one (a draft, a point of sale) stands alone.
    Raises `Unmapped`.
    """
    match topic:
        case "checkouts/create" | "checkouts/update" if payload.get("completed_at"):
            return _order(shop, _key(payload, "id"), payload, ("completed_at",), _checkout_money(payload))
        case "checkouts/create" | "checkouts/update":
            return _checkout(shop, payload)
        case "orders/create":
            key = _key(payload, "checkout_id") if payload.get("checkout_id") else f"order-{_key(payload, 'id')}"
            return _order(shop, key, payload, ("processed_at", "created_at"), _order_money(payload))
        case _:
            return Ignored("this topic says nothing of a checkout")


def _checkout(shop: str, payload: Mapping[str, Any]) -> Checkout | Ignored:
    customer = _customer(payload)
    if customer is None:
        return Ignored("no address to write to is known yet")
    money = _checkout_money(payload)
    if not money["items"]:
        return Ignored("nothing is in it")
    try:
        return Checkout.model_validate(
            {
                **_fact("locale", payload.get("customer_locale")),
                **money,
                "shop": shop,
                "order_id": _key(payload, "id"),
                "customer": customer,
                "checkout_url": payload.get("abandoned_checkout_url"),
                "touched_at": payload.get("updated_at") or payload.get("created_at"),
            }
        )
    except ValidationError as exc:
        raise _unmapped(exc) from None


def _order(shop: str, key: str, payload: Mapping[str, Any], times: Sequence[str], money: Mapping[str, Any]) -> Order:
    facts = _fact("items", money["items"]) | _fact("locale", payload.get("customer_locale"))
    amount = _fact("total", money["total"]) | _fact("currency", money["currency"])
    if len(amount) == 2:  # half of it would be told in the currency of the checkout
        facts |= amount
    ordered_at = next(filter(None, (_time(payload.get(name)) for name in times)), None)
    try:
        return Order(shop=shop, order_id=key, ordered_at=ordered_at, customer=_customer(payload), **facts)
    except ValidationError as exc:
        raise _unmapped(exc) from None


def _checkout_money(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return items, total and currency of a checkout: its amounts are in the customer's currency, not the shop's."""
    return {
        "items": [_item(line, line.get("price")) for line in _lines(payload)],
        "total": payload.get("total_price"),
        "currency": payload.get("presentment_currency") or payload.get("currency"),
    }


def _order_money(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return items, total and currency of an order: as the customer saw them where every amount says that."""
    lines = _lines(payload)
    total = _presented(payload, "total_price")
    prices = [_presented(line, "price") for line in lines]
    currency = total.get("currency_code")
    if currency and all(price.get("currency_code") == currency for price in prices):
        items = [_item(line, price.get("amount")) for line, price in zip(lines, prices, strict=True)]
        return {"items": items, "total": total.get("amount"), "currency": currency}
    return {
        "items": [_item(line, line.get("price")) for line in lines],
        "total": payload.get("total_price"),
        "currency": payload.get("currency"),
    }


def _presented(holder: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    return _object(_object(holder.get(f"{field}_set")).get("presentment_money"))


def _item(line: Mapping[str, Any], price: object) -> dict[str, Any]:
    variant = _text(line.get("presentment_variant_title"), line.get("variant_title"))
    return {
        "name": _text(line.get("presentment_title"), line.get("title"), line.get("name")),
        "variant": None if variant == NO_VARIANT else variant,
        "price": price,
        "quantity": line.get("quantity", 1),
    }


def _lines(payload: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the lines that stand for something; of more than a mail can show, the first."""
    lines = payload.get("line_items")
    if not isinstance(lines, list):
        return []
    return [_object(line) for line in lines if _object(line).get("quantity") != 0][:MOST_ITEMS]


def _customer(payload: Mapping[str, Any]) -> Customer | None:
    """Return whom to write to: the first address given that is one."""
    customer = _object(payload.get("customer"))
    name = _name(customer, _object(payload.get("billing_address")), _object(payload.get("shipping_address")))
    for email in (payload.get("email"), customer.get("email"), payload.get("contact_email")):
        if accepted := _accepted(Customer, {"email": email, "name": name}):
            return accepted
    return None


def _name(*people: Mapping[str, Any]) -> str | None:
    for person in people:
        if name := _text(person.get("name")) or _text(
            " ".join(filter(None, (_text(person.get("first_name")), _text(person.get("last_name")))))
        ):
            return name
    return None


def _key(payload: Mapping[str, Any], field: str) -> str:
    """Return Shopify's number for something as our key."""
    number = payload.get(field)
    if isinstance(number, bool) or not isinstance(number, int | str) or not str(number).strip():
        raise Unmapped(field, "must be a number")
    return str(number)


def _fact(field: str, value: object) -> dict[str, Any]:
    """Return one fact if it is one, else nothing: it is not worth a refusal."""
    accepted = _accepted(Facts, {field: value})
    return {} if accepted is None or value is None else {field: getattr(accepted, field)}


def _time(value: object) -> datetime | None:
    try:
        return _TIME.validate_python(value)
    except ValidationError:
        return None


def _accepted(model: type[Model], values: Mapping[str, object]) -> Model | None:
    try:
        return model.model_validate(values)
    except ValidationError:
        return None


def _object(value: object) -> Mapping[str, Any]:
    """Return an object as it is, and anything else as an empty one: Shopify writes null, and `[]` for no address."""
    return value if isinstance(value, Mapping) else {}


def _text(*values: object) -> str | None:
    """Return the first text that says something, on one line and no longer than a mail can show."""
    for value in values:
        if isinstance(value, str) and (text := " ".join(value.split())):
            return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1].rstrip()}…"
    return None


def _unmapped(exc: ValidationError) -> Unmapped:
    error = exc.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(_SOURCES.get(str(part), str(part)) for part in error["loc"])
    return Unmapped(field, error["msg"].removeprefix("Value error, "))
