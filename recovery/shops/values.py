"""Values in payloads of shop platforms, read so that one that is unusable spoils no other."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from recovery.domain.checkout import Facts
from recovery.domain.fields import Instant, ShopKey

Model = TypeVar("Model", bound=BaseModel)

LONGEST_NAME = 300
"""Characters of a text that a mail can show."""

LONGEST_KEY = 190

MOST_ITEMS = 200
"""Lines of a checkout or order that a mail can show."""

_TIME: TypeAdapter[datetime] = TypeAdapter(Instant)
_SHOP: TypeAdapter[str] = TypeAdapter(ShopKey)


def is_shop(name: str) -> bool:
    """Return whether this can be the key of a shop."""
    try:
        _SHOP.validate_python(name)
    except ValidationError:
        return False
    return True


def keys_of(payload: Mapping[str, Any], *fields: str, prefix: str = "") -> tuple[str, ...]:
    """Return the ids in these fields: the first is the one to store it under, the others are aliases."""
    values = (payload.get(field) for field in fields)
    known = [str(each).strip() for each in values if isinstance(each, int | str) and not isinstance(each, bool)]
    return tuple(f"{prefix}{each}" for each in known if each and len(each) <= LONGEST_KEY and each.isprintable())


def fact_of(field: str, value: object) -> dict[str, Any]:
    """Return one fact if it is valid, else an empty dict: it is not worth a refusal."""
    accepted = valid(Facts, {field: value})
    return {} if accepted is None or value is None else {field: getattr(accepted, field)}


def parts_of(discount: object = None, shipping: object = None, tax: object = None) -> dict[str, Any]:
    """Return those parts of a total that are valid amounts."""
    return fact_of("discount", discount) | fact_of("shipping", shipping) | fact_of("tax", tax)


def amounts_of(money: Mapping[str, Any]) -> dict[str, Any]:
    """Return an order's total with its currency and parts; none of them if either of the two is unusable.

    One alone would be combined with the currency, or the total, of the checkout.
    """
    total, currency = (fact_of(field, money.get(field)) for field in ("total", "currency"))
    if not total or not currency:
        return {}
    parts = (fact_of(field, money.get(field)) for field in ("discount", "discount_code", "shipping", "tax"))
    return total | currency | {name: value for part in parts for name, value in part.items()}


def time_of(value: object) -> datetime | None:
    """Return a time, or None if it is not a valid one."""
    try:
        return _TIME.validate_python(value)
    except ValidationError:
        return None


def valid(model: type[Model], values: Mapping[str, object]) -> Model | None:
    """Return a model of these values, or None if they are not valid."""
    try:
        return model.model_validate(values)
    except ValidationError:
        return None


def object_of(value: object) -> Mapping[str, Any]:
    """Return an object, or an empty one for anything else: platforms send null, and `[]` for no address."""
    return value if isinstance(value, Mapping) else {}


def text_of(*values: object) -> str | None:
    """Return the first text that is not empty, on one line and no longer than a mail can show."""
    for value in values:
        if isinstance(value, str) and (text := " ".join(value.split())):
            return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1].rstrip()}…"
    return None
