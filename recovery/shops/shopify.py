"""Shopify's webhooks: the adapter that verifies them and translates them into events.

Pure: bytes and headers in, events out. Shopify repeats a webhook that is not answered with a 2xx eight times in four
hours, and may then drop the subscription. So faults are repaired where possible (a long title is cut, a line without a
price is left out), and a webhook that cannot be read becomes `Unmapped`, which is answered with 200 too. An order is
an order even if its facts are unusable: first of all it means "stop".

A checkout is identified by its token. Since API version 2026-04 an order names it by the token alone; before, there was
a number as well, under which older versions of Recovery stored it: that number is an alias. Links to a checkout (its
address and those in its reminders) contain neither, only its cart, and several checkouts may share a cart.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from recovery.domain.checkout import Checkout, Consent, Customer, Facts, Item, Order
from recovery.domain.fields import Email, Instant, ShopKey
from recovery.shops.adapter import Adapter, WebhookRequest, is_signed, unmapped
from recovery.shops.events import Cancelled, Consented, DataRequest, Found, Ignored, Left, Redact, Reported, Unmapped
from recovery.shops.shopify_topics import misfit

Model = TypeVar("Model", bound=BaseModel)

LONGEST_NAME = 300
LONGEST_KEY = 190
MOST_ITEMS = 200
NO_VARIANT = "Default Title"
"""Shopify's title for the only variant of a product without variants."""

_TIME: TypeAdapter[datetime] = TypeAdapter(Instant)
_EMAIL: TypeAdapter[str] = TypeAdapter(Email)
_SHOP: TypeAdapter[str] = TypeAdapter(ShopKey)
_SOURCES = {
    "shop": "X-Shopify-Shop-Domain",
    "order_id": "token",
    "items": "line_items",
    "name": "title",
    "variant": "variant_title",
    "total": "total_price",
    "checkout_url": "abandoned_checkout_url",
    "touched_at": "updated_at",
}
_PAID = ("paid", "authorized", "partially_refunded", "refunded")
"""Financial states of an order that is paid or authorised."""

_UNCONFIRMED_SOURCES = ("pos", "iphone", "android", "129785", "shopify_draft_order")
"""Sources of orders that Recovery never confirms: the apps of a till, and drafts, which the merchant sends."""

_EAST_ASIAN = re.compile(r"[\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff ]+")
"""Kana, Han and Hangul: the scripts of Japanese, Chinese and Korean names."""

_HANGUL = re.compile(r"[\uac00-\ud7af]")

_GIVEN, _REFUSED = ("subscribed",), ("unsubscribed", "redacted", "invalid")

_ABOUT_SHOPS = ("app/uninstalled", "customers/redact", "shop/redact", "customers/data_request")
"""Topics whose bodies name the shop."""

_ON_ARRIVAL = datetime(9999, 1, 1, tzinfo=UTC)
"""The time of a consent that comes without one: future times are replaced by the database's time on arrival."""


class Shopify(Adapter):
    """Shopify. The headers are not signed, only the body; so `read` checks that they fit it."""

    name = "shopify"
    title = "Shopify"
    signature_header = "X-Shopify-Hmac-Sha256"
    topic_header = "X-Shopify-Topic"
    names_shop = True
    headers: ClassVar[Mapping[str, tuple[str, bool]]] = {
        "X-Shopify-Topic": ("The topic of the body, such as `checkouts/update`", True),
        "X-Shopify-Shop-Domain": ("The shop, such as `lamps.myshopify.com`", False),
        "X-Shopify-Hmac-Sha256": ("base64 of the HMAC-SHA256 of the body, by the configured secret", True),
        "X-Shopify-Test": ("`true` for a sample, which is ignored", False),
    }
    description = """\
Take checkouts, orders, consent, and the erasure and data requests that Shopify's privacy rules demand.

`X-Shopify-Hmac-Sha256` must be the signature of the body; `X-Shopify-Topic` and `X-Shopify-Shop-Domain` say what it
is. Their names without `X-` are accepted as well. Answers with the `id` of the checkout, or with the reason why the
webhook was `ignored`: everything that is signed is answered with 200, since Shopify drops subscriptions that fail."""

    def verify(self, body: bytes, headers: Mapping[str, str], secrets: Sequence[str]) -> bool:
        """Return whether the signature is base64 of the HMAC-SHA256 of the raw body."""
        return is_signed(body, _headers(headers).get("hmac-sha256"), secrets)

    def shop_of(self, headers: Mapping[str, str], given: str) -> str:
        """Return the shop's domain in lower case."""
        return (given or _headers(headers).get("shop-domain", "")).strip().lower()

    def read(self, request: WebhookRequest) -> Found:
        """Return the event that a webhook reports."""
        headers = _headers(request.headers)
        if headers.get("test") == "true":
            return Ignored("a sample, sent by the test button of Shopify's admin")
        if self.shop_of(request.headers, "") not in ("", request.shop):
            return Unmapped("X-Shopify-Shop-Domain", "is not the shop that the address names")
        return read(headers.get("topic", ""), request.shop, request.json(), confirms=request.confirm_orders)


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return Shopify's headers of both families, without the prefix of their names; `X-Shopify-` wins."""
    found: dict[str, str] = {}
    for prefix in ("shopify-", "x-shopify-"):
        found |= {name.removeprefix(prefix): value for name, value in headers.items() if name.startswith(prefix)}
    return found


def read(topic: str, shop: str, payload: Mapping[str, Any], *, confirms: bool = False) -> Found:
    """Return the event in a payload. `confirms` is whether orders are confirmed by a mail of ours.

    A checkout and its order share the token. An order without one (a draft, a point of sale) stands alone.
    """
    named = _text(payload.get("shop_domain"), payload.get("myshopify_domain")) if topic in _ABOUT_SHOPS else None
    shop = shop or (named or "").lower()
    if not _is_shop(shop):
        return Unmapped("X-Shopify-Shop-Domain", "names no shop")
    if named and named.lower() != shop:
        return Unmapped("shop_domain", "is not the shop that X-Shopify-Shop-Domain names, which is not signed")
    if field := misfit(topic, payload):
        return Unmapped(field, "does not fit X-Shopify-Topic, which is not signed: this is the body of another topic")
    match topic:
        case "checkouts/create" | "checkouts/update" if payload.get("completed_at"):
            # The order says whether it is paid; it may arrive before or after this.
            return _order(shop, _keys(payload, "token", "id"), payload, _checkout_money(payload), confirms=None)
        case "checkouts/create" | "checkouts/update":
            return _checkout(shop, payload)
        case "checkouts/delete":
            keys = _keys(payload, "token", "id") or _keys(payload, "cart_token")
            return Cancelled(shop, keys, _cart(payload)) if keys else Unmapped("token", "names no checkout")
        case "orders/create" | "orders/paid" | "orders/cancelled":
            keys = _keys(payload, "checkout_token", "checkout_id") or _keys(payload, "id", prefix="order-")
            confirms = confirms and _is_to_be_confirmed(payload)
            return _order(shop, keys, payload, _order_money(payload), confirms=confirms)
        case _:
            return _of_people(topic, shop, payload)


def _of_people(topic: str, shop: str, payload: Mapping[str, Any]) -> Found:
    """Read a topic about a customer or the shop, not about one checkout."""
    match topic:
        case "customers_email_marketing_consent/update" | "customers/update":
            return _consented(shop, payload)
        case "app/uninstalled":
            return Left(shop)
        case "customers/redact":
            email = _address(payload)
            return Redact(shop, email) if email else Ignored("names nobody by an address, and no other name is kept")
        case "shop/redact":
            return Redact(shop)
        case "customers/data_request":
            return _data_request(shop, payload)
        case _:
            return Ignored("this topic says nothing of a checkout")


def _checkout(shop: str, payload: Mapping[str, Any]) -> Found:
    customer = _customer(payload)
    if customer is None:
        return Ignored("no address to write to is known yet")
    money = _checkout_money(payload)
    if not money["items"]:
        return Ignored("nothing is in it")
    keys = _keys(payload, "token", "id")
    if not keys:
        return Unmapped("token", "names no checkout")
    try:
        checkout = Checkout.model_validate(
            {
                **_fact("locale", payload.get("customer_locale")),
                **money,
                "shop": shop,
                "order_id": keys[0],
                "customer": customer,
                "checkout_url": payload.get("abandoned_checkout_url"),
                "touched_at": payload.get("updated_at") or payload.get("created_at"),
                "consent": _consent(payload),
            }
        )
    except ValidationError as exc:
        return unmapped(exc, _SOURCES)
    return Reported(checkout, keys[1:], _cart(payload))


def _order(
    shop: str, keys: tuple[str, ...], payload: Mapping[str, Any], money: Mapping[str, Any], *, confirms: bool | None
) -> Found:
    if not keys:
        return Unmapped("id", "names no order")
    facts = _fact("items", money["items"]) | _fact("locale", payload.get("customer_locale"))
    amount = _fact("total", money["total"]) | _fact("currency", money["currency"])
    if len(amount) == 2:  # one alone would be combined with the currency or total of the checkout
        facts |= amount
    times = ("completed_at", "processed_at", "created_at")
    ordered_at = next(filter(None, (_time(payload.get(name)) for name in times)), None)
    try:
        order = Order(
            shop=shop, order_id=keys[0], ordered_at=ordered_at, customer=_customer(payload), confirm=confirms, **facts
        )
    except ValidationError as exc:
        return unmapped(exc, _SOURCES)
    return Reported(order, keys[1:], _cart(payload), confirm_default=False)


def _is_to_be_confirmed(payload: Mapping[str, Any]) -> bool:
    """Return True if the customer expects a confirmation: the order is real, paid, and was made in a checkout."""
    paid = payload.get("financial_status")
    return (
        bool(_keys(payload, "checkout_token", "checkout_id"))
        and payload.get("source_name") not in _UNCONFIRMED_SOURCES
        and not payload.get("test")
        and not payload.get("cancelled_at")
        and (paid is None or paid in _PAID)
    )


def _consent(payload: Mapping[str, Any]) -> Consent | None:
    """Return the consent to marketing with its time, or None if the payload says nothing about it.

    The customer's own consent takes precedence over the checkbox at the checkout. An unticked box is not a refusal:
    `schedule.require_consent` decides whether it stops reminders. But it revokes an earlier tick.
    """
    customer = _object(payload.get("customer"))
    stated = _object(customer.get("email_marketing_consent")) or _object(payload.get("email_marketing_consent"))
    state = stated.get("state")
    box = payload.get("buyer_accepts_marketing")
    own = (stated.get("consent_updated_at"), customer.get("accepts_marketing_updated_at"))
    times = (payload.get("updated_at"), payload.get("created_at"))
    if state in _GIVEN or state in _REFUSED:
        return _as_consent(state in _GIVEN, stated, *own, *times)
    if state == "pending":  # double opt-in is not confirmed yet, whatever box was ticked
        return _as_consent(None, stated, *times)
    if box is True:
        return _as_consent(True, stated, *times)
    if customer.get("accepts_marketing") is True and state is None:
        return _as_consent(True, stated, *own, *times)
    return _as_consent(None, stated, *times) if box is False or state == "not_subscribed" else None


def _as_consent(given: bool | None, stated: Mapping[str, Any], *times: object) -> Consent | None:
    level = (_text(stated.get("opt_in_level")) or "opt-in").replace("_", " ")
    at = next(filter(None, map(_time, times)), _ON_ARRIVAL)
    basis = {True: level, False: "refused", None: "neither yes nor no"}[given]
    return _accepted(Consent, {"given": given, "basis": basis, "at": at, "source": "Shopify"})


def _consented(shop: str, payload: Mapping[str, Any]) -> Found:
    """Read a customer (with `email`) or a customer's consent (with `email_address`)."""
    email = _address({"customer": {"email": payload.get("email") or payload.get("email_address")}})
    if email is None:
        return Ignored("names nobody by an address, and no other name is kept")
    consent = _consent(payload)
    return Consented(shop, email, consent) if consent else Ignored("says nothing of consent")


def _data_request(shop: str, payload: Mapping[str, Any]) -> Found:
    email = _address(payload)
    if email is None:
        return Ignored("names nobody by an address, and no other name is kept")
    orders = payload.get("orders_requested")
    named = tuple(str(each) for each in orders if isinstance(each, int | str)) if isinstance(orders, list) else ()
    return DataRequest(shop, str(_object(payload.get("data_request")).get("id") or email), email, named[:MOST_ITEMS])


def _address(payload: Mapping[str, Any]) -> str | None:
    try:
        return _EMAIL.validate_python(_object(payload.get("customer")).get("email"))
    except ValidationError:
        return None


def _checkout_money(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return items, total and currency of a checkout. Amounts are in the customer's currency, not the shop's."""
    return {
        "items": _acceptable(_item(line, line.get("price")) for line in _lines(payload)),
        "total": payload.get("total_price"),
        "currency": payload.get("presentment_currency") or payload.get("currency"),
    }


def _order_money(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return items, total and currency of an order: in the customer's currency if every amount has one."""
    lines = _lines(payload)
    total = _presented(payload, "total_price")
    prices = [_presented(line, "price") for line in lines]
    currency = total.get("currency_code")
    if currency and all(price.get("currency_code") == currency for price in prices):
        items = (_item(line, price.get("amount")) for line, price in zip(lines, prices, strict=True))
        return {"items": _acceptable(items), "total": total.get("amount"), "currency": currency}
    return {
        "items": _acceptable(_item(line, line.get("price")) for line in lines),
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


def _acceptable(items: Iterable[Mapping[str, Any]]) -> list[Item]:
    """Return the lines that can be shown: one without a title or a price spoils no other."""
    return [item for item in (_accepted(Item, each) for each in items) if item is not None]


def _lines(payload: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the lines with a quantity, and at most as many as a mail can show."""
    lines = payload.get("line_items")
    if not isinstance(lines, list):
        return []
    return [_object(line) for line in lines if _object(line).get("quantity") != 0][:MOST_ITEMS]


def _customer(payload: Mapping[str, Any]) -> Customer | None:
    """Return the customer with the first valid e-mail address, or None."""
    customer = _object(payload.get("customer"))
    locale = _text(payload.get("customer_locale")) or ""
    name = _name(locale, customer, _object(payload.get("billing_address")), _object(payload.get("shipping_address")))
    for email in (payload.get("email"), customer.get("email"), payload.get("contact_email")):
        if accepted := _accepted(Customer, {"email": email, "name": name}):
            return accepted
    return None


def _name(locale: str, *people: Mapping[str, Any]) -> str | None:
    for person in people:
        given, family = _text(person.get("first_name")), _text(person.get("last_name"))
        if given and family and (together := _family_first(given, family, locale)):
            return _text(together)
        if name := _text(person.get("name")) or _text(" ".join(filter(None, (given, family)))):
            return name
    return None


def _family_first(given: str, family: str, locale: str) -> str | None:
    """Return a name with the family name first, or None if that is not its order.

    Shopify's own `name` has the given name first in every language. Chinese, Japanese and Korean names are recognised
    by their script, since in Latin letters their order is reversed; Hungarian ones by the locale. Chinese and Korean
    names are written without a space.
    """
    language = locale[:2].lower()
    if language == "hu":
        return f"{family} {given}"
    if not (_EAST_ASIAN.fullmatch(given) and _EAST_ASIAN.fullmatch(family)):
        return None
    return f"{family}{given}" if language in ("zh", "ko") or _HANGUL.search(given) else f"{family} {given}"


def _keys(payload: Mapping[str, Any], *fields: str, prefix: str = "") -> tuple[str, ...]:
    """Return the ids in these fields: the first is the one to store it under, the others are aliases."""
    values = (payload.get(field) for field in fields)
    known = [str(each).strip() for each in values if isinstance(each, int | str) and not isinstance(each, bool)]
    return tuple(f"{prefix}{each}" for each in known if each and len(each) <= LONGEST_KEY and each.isprintable())


def _cart(payload: Mapping[str, Any]) -> str | None:
    return next(iter(_keys(payload, "cart_token")), None)


def _is_shop(name: str) -> bool:
    try:
        _SHOP.validate_python(name)
    except ValidationError:
        return False
    return True


def _fact(field: str, value: object) -> dict[str, Any]:
    """Return one fact if it is valid, else an empty dict: it is not worth a refusal."""
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
    """Return an object, or an empty one for anything else: Shopify sends null, and `[]` for no address."""
    return value if isinstance(value, Mapping) else {}


def _text(*values: object) -> str | None:
    """Return the first text that is not empty, on one line and no longer than a mail can show."""
    for value in values:
        if isinstance(value, str) and (text := " ".join(value.split())):
            return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1].rstrip()}…"
    return None
