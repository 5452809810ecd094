"""Checkouts by whatever they are called: their own id, an alias, or the cart that they were made of."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from recovery.domain.checkout import Checkout, Order, checkout_id
from recovery.domain.fields import normalised
from recovery.mongo.collections import Document, of_shop
from recovery.mongo.drivers import settled


class Name(NamedTuple):
    """What a checkout is kept under, and where it stands."""

    order_id: str
    status: str
    ordered_at: datetime | None

    def ordered_since(self, touched_at: datetime | None) -> bool:
        """Return whether it has been ordered since another of the same cart was touched."""
        return self.ordered_at is not None and touched_at is not None and self.ordered_at >= touched_at


class Namesakes(NamedTuple):
    """What is kept of a checkout, the name to go on with first, and of others of the same cart."""

    own: list[Name]
    of_cart: list[Name]


_FIELDS = ["_id", "known_as", "status", "ordered_at"]


def called(shop: str, names: Sequence[str]) -> Document:
    """Match the checkouts of a shop that have one of these names."""
    ids = [checkout_id(shop, name) for name in names]
    return {"$or": [{"_id": {"$in": ids}}, {"known_as": {"$in": list(names)}, "_id": of_shop(shop)}]}


def all_names(names: Sequence[str], cart: str | None) -> list[str]:
    """Return all that a checkout is called, its cart last. Without any name the cart is none either."""
    return [*names, cart] if cart and names else list(names)


async def namesakes(checkouts: Any, report: Checkout | Order, names: Sequence[str], cart: str | None) -> Namesakes:
    """Return what is kept under any of a checkout's names, and others of its cart. Raises what PyMongo raises.

    Older versions kept no names, but a link that has one in it.
    """
    every = all_names(names, cart)
    either = [called(report.shop, every)]
    if report.customer is not None:
        links = "|".join(map(re.escape, every))
        of_person = {"address": normalised(report.customer.email), "_id": of_shop(report.shop)}
        in_link = {"facts.checkout_url": {"$regex": rf"/(?:{links})(?:[/?#]|$)"}, "known_as": {"$exists": False}}
        either.append(of_person | in_link)
    own: list[Name] = []
    of_cart: list[Name] = []
    for each in await settled(checkouts.find({"$or": either}, _FIELDS).to_list(None)):
        name = Name(each["_id"].partition("/")[2], each["status"], each.get("ordered_at"))
        known = {name.order_id, *each.get("known_as", names)}
        (of_cart if known.isdisjoint(names) else own).append(name)
    own.sort(key=lambda name: (_place(name.order_id, names), name.order_id))
    return Namesakes(own, of_cart)


def _place(name: str, names: Sequence[str]) -> int:
    return names.index(name) if name in names else len(names)
