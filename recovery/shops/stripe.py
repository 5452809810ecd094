"""Stripe Checkout's webhooks: the adapter that verifies them and translates them into events.

Stripe reports nothing when a session is created. A checkout is reported when its session expires, a day after it was
opened (30 minutes at the least), and the event has the customer's address only if they agreed to promotions. Amounts
are in the smallest unit of their currency. An event never has the items: a shop may put them into the session's
metadata, else one line stands for all of them.

The link back, `after_expiration.recovery.url`, opens a copy of the session, which names the session that it was made
from: both are one checkout, under either name.
"""

import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from recovery.domain.checkout import Checkout, Consent, Customer, Item, Order
from recovery.shops.adapter import NOT_SIGNED, Adapter, Trust, WebhookRequest, header_of, is_one_of, unmapped
from recovery.shops.events import Found, Ignored, Reported, Unmapped
from recovery.shops.values import MOST_ITEMS, amounts_of, fact_of, keys_of, object_of, parts_of, text_of, valid

TOLERANCE = 300
"""Seconds that a signature is valid, as in Stripe's own libraries. Each attempt to deliver is signed anew."""

NO_DECIMALS = frozenset(
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"]
)
THREE_DECIMALS = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])
"""Currencies whose amounts at Stripe have no or three decimals; all others have two.

After https://docs.stripe.com/currencies, which differs from ISO 4217: amounts in ISK and UGX have two decimals for
historical reasons, always 00, and in MGA none. HUF and TWD are without decimals in payouts alone.
"""

ITEMS = "recovery_items"
"""The key of a session's metadata under which a shop may put its items, as a JSON list of at most 500 characters."""

CONSENT = "recovery_consent"
"""The key of a session's metadata with "true" if the customer agreed to reminders before the session was created."""

ALL_ITEMS = "Your order"
"""The name of the one line that stands for all items."""

_SESSION = "checkout.session."
_SOURCES = {
    "order_id": "data.object.id",
    "total": "data.object.amount_total",
    "currency": "data.object.currency",
    "checkout_url": "data.object.after_expiration.recovery.url",
}


class Stripe(Adapter):
    """Stripe Checkout."""

    name = "stripe"
    title = "Stripe Checkout"
    signature_header = "Stripe-Signature"

    def signature_fault(self, body: bytes, headers: Mapping[str, str], trust: Trust) -> str | None:
        """Return None if a `v1` is the HMAC-SHA256 of time and body by one of the secrets, and the time is not over.

        There may be several: while a secret is rolled, Stripe signs with the old and the new one.
        """
        parts = [part.strip().partition("=") for part in header_of(headers, self.signature_header).split(",")]
        times = [value for key, _, value in parts if key == "t"]
        if len(times) != 1 or not (times[0].isascii() and times[0].isdigit() and len(times[0]) < 12):
            return "must be like t=<unix seconds>,v1=<signature>"
        signed = f"{times[0]}.".encode() + body
        expected = [hmac.digest(secret.encode(), signed, "sha256").hex().encode() for secret in trust.secrets]
        given = [value for key, _, value in parts if key == "v1"]
        if not sum(is_one_of(each, expected) for each in given):  # all of them: it must not end at the first
            return NOT_SIGNED
        if trust.now.timestamp() - int(times[0]) > TOLERANCE:
            return f"is older than {TOLERANCE} seconds: a recorded request, or the database's clock is wrong"
        return None

    def read(self, request: WebhookRequest) -> Sequence[Found]:
        """Return the event that a webhook reports."""
        return [_read(request, request.json())]


def _read(request: WebhookRequest, event: Mapping[str, Any]) -> Found:
    if event.get("object") == "v2.core.event":
        return Unmapped("object", "is a thin event, without a session: have the endpoint send snapshot events")
    kind = event.get("type")
    if not isinstance(kind, str):
        return Unmapped("type", "names no event")
    if not kind.startswith(_SESSION):
        return Ignored("this event is not about a checkout session")
    session = object_of(object_of(event.get("data")).get("object"))
    if session.get("object") != "checkout.session":
        return Unmapped("data.object", "is not a checkout session")
    at = _time_of(event.get("created"))
    match kind.removeprefix(_SESSION):
        case "expired":
            return _expired(request, session, at)
        case "completed" | "async_payment_succeeded":
            return _ordered(request, session, at)
        case "async_payment_failed":
            return Ignored("the payment failed after the customer had ordered: Stripe tells them")
        case _:
            return Ignored("this event says neither that a session expired nor that it was completed")


def _expired(request: WebhookRequest, session: Mapping[str, Any], at: datetime | None) -> Found:
    if session.get("mode") == "setup" or session.get("amount_total") is None:
        return Ignored("a session without an amount sells nothing")
    if not _agreed_by(session):
        return Ignored("the customer has not agreed to promotions, so Stripe's rules allow no reminder")
    customer = _customer_of(session)
    if customer is None:
        return Ignored("no address to write to is known")
    if at is None:
        return Unmapped("created", "is not a time")
    money = _money_of(session)
    if not money["items"]:
        return Unmapped("data.object.amount_total", "is not an amount in the smallest unit of data.object.currency")
    id_ = session.get("id")
    link = object_of(object_of(session.get("after_expiration")).get("recovery")).get("url")
    try:
        checkout = Checkout.model_validate(
            {
                **money,
                **fact_of("locale", session.get("locale")),
                "shop": request.shop,
                "order_id": id_,
                "customer": customer,
                "checkout_url": link or request.link(str(id_)),
                "consent": Consent(basis="opt-in", at=at, source=f"Stripe Checkout, {_agreed_by(session)}"),
                "touched_at": at,
                "opened_at": _time_of(session.get("created")),
            }
        )
    except ValidationError as exc:
        return unmapped(exc, _SOURCES)
    return Reported(checkout, keys_of(session, "recovered_from"))


def _ordered(request: WebhookRequest, session: Mapping[str, Any], at: datetime | None) -> Found:
    """Read a completed session. With a delayed method it is unpaid at first: ordered, but not to be confirmed yet."""
    if session.get("mode") in ("setup", "subscription") and session.get("amount_total") is None:
        return Ignored("a session without an amount sells nothing")
    money = _money_of(session)
    facts = fact_of("items", money["items"]) | fact_of("locale", session.get("locale")) | amounts_of(money)
    paid = session.get("payment_status") in ("paid", "no_payment_required")
    try:
        order = Order.model_validate(
            {
                **facts,
                "shop": request.shop,
                "order_id": session.get("id"),
                "ordered_at": at,
                "customer": _customer_of(session),
                "confirm": True if paid and request.confirm_orders else None,
            }
        )
    except ValidationError as exc:
        return unmapped(exc, _SOURCES)
    return Reported(order, keys_of(session, "recovered_from"), confirm_default=False)


def _agreed_by(session: Mapping[str, Any]) -> str | None:
    """Return where the customer agreed to promotions: Stripe's box, or without one the shop's; None if nowhere.

    Stripe shows its box to customers of shops in the United States alone.
    """
    promotions = object_of(session.get("consent")).get("promotions")
    if promotions is None and object_of(session.get("metadata")).get(CONSENT) == "true":
        return f"metadata {CONSENT}"
    return "consent_collection" if promotions == "opt_in" else None


def _customer_of(session: Mapping[str, Any]) -> Customer | None:
    details = object_of(session.get("customer_details"))
    name = text_of(details.get("name"), details.get("individual_name"), details.get("business_name"))
    for email in (details.get("email"), session.get("customer_email")):
        if accepted := valid(Customer, {"email": email, "name": name}):
            return accepted
    return None


def _money_of(session: Mapping[str, Any]) -> dict[str, Any]:
    """Return items, total with its parts, and currency. Without items in the metadata, one line stands for all."""
    currency = text_of(session.get("currency"))
    total = _amount_of(session.get("amount_total"), currency)
    items = _items_of(object_of(session.get("metadata")).get(ITEMS))
    goods, parts = _parts_of(session, total, currency)
    everything = valid(Item, {"name": ALL_ITEMS, "price": goods})
    return {
        **parts,
        "items": items or ([everything] if everything else []),
        "total": total,
        "currency": currency and currency.upper(),
    }


def _parts_of(
    session: Mapping[str, Any], total: Decimal | None, currency: str | None
) -> tuple[Decimal | None, dict[str, Any]]:
    """Return the amount of the goods, and the other parts of the total; the total and none if they do not add up.

    Stripe does not say whether prices include the tax, so the sum does. Amounts of a session with several currencies,
    or with parts that are not named here, do not add up.
    """
    details = object_of(session.get("total_details"))
    named = [_amount_of(details.get(f"amount_{each}"), currency) for each in ("discount", "shipping", "tax")]
    discount, shipping, tax = (each or Decimal(0) for each in named)
    goods = _amount_of(session.get("amount_subtotal"), currency)
    if goods is None or total is None:
        return total, {}
    before_tax = goods - discount + shipping
    if before_tax == total:
        return goods, parts_of(named[0], named[1])
    return (goods, parts_of(*named)) if before_tax + tax == total else (total, {})


def _amount_of(value: object, currency: str | None) -> Decimal | None:
    """Return an amount in the main unit of its currency, or None if it is invalid."""
    if not isinstance(value, int) or isinstance(value, bool) or currency is None:
        return None
    code = currency.upper()
    decimals = 0 if code in NO_DECIMALS else 3 if code in THREE_DECIMALS else 2
    return Decimal(value).scaleb(-decimals) if abs(value) < 10**18 else None


def _items_of(text: object) -> list[Item]:
    """Return the items in the metadata that a mail can show; none if there are none that can be read."""
    try:
        listed = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return []
    found = [valid(Item, each) for each in listed] if isinstance(listed, list) else []
    return [each for each in found if each is not None][:MOST_ITEMS]


def _time_of(value: object) -> datetime | None:
    """Return a time in Unix seconds as a time, or None."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 10**11:
        return None
    return datetime.fromtimestamp(value, UTC)
