"""Lookup of checkouts by any of their names: their own id, an alias, or the cart that they were created from."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from recovery.domain.checkout import Checkout, Order, checkout_id, shop_and_order
from recovery.mongo.collections import Document, of_shop
from recovery.mongo.drivers import settled


class Name(NamedTuple):
    """The id under which a checkout is stored, and its status."""

    order_id: str
    status: str
    ordered_at: datetime | None

    def ordered_since(self, touched_at: datetime | None) -> bool:
        """Return True if it was ordered after another checkout of the same cart was touched."""
        return self.ordered_at is not None and touched_at is not None and self.ordered_at >= touched_at


class Namesakes(NamedTuple):
    """The stored checkouts with one of the names, the one to use first, and others of the same cart."""

    own: list[Name]
    of_cart: list[Name]


_FIELDS = ["_id", "known_as", "status", "ordered_at"]


def called(shop: str, names: Sequence[str]) -> Document:
    """Match the checkouts of a shop with one of these names."""
    ids = [checkout_id(shop, name) for name in names]
    return {"$or": [{"_id": {"$in": ids}}, {"known_as": {"$in": list(names)}, "_id": of_shop(shop)}]}


def all_names(names: Sequence[str], cart: str | None) -> list[str]:
    """Return all names of a checkout, its cart last; none if it has no names but the cart."""
    return [*names, cart] if cart and names else list(names)


async def namesakes(checkouts: Any, report: Checkout | Order, names: Sequence[str], cart: str | None) -> Namesakes:
    """Find the checkouts stored under any of these names, and others of the cart. Raises PyMongo's errors.

    Older versions stored no names, but a link that contains one.
    """
    every = all_names(names, cart)
    either = [called(report.shop, every)]
    if report.customer is not None:
        links = "|".join(map(re.escape, every))
        of_person = {"address": report.customer.address, "_id": of_shop(report.shop)}
        in_link = {"facts.checkout_url": {"$regex": rf"/(?:{links})(?:[/?#]|$)"}, "known_as": {"$exists": False}}
        either.append(of_person | in_link)
    own: list[Name] = []
    of_cart: list[Name] = []
    for each in await settled(checkouts.find({"$or": either}, _FIELDS).to_list(None)):
        name = Name(shop_and_order(each["_id"])[1], each["status"], each.get("ordered_at"))
        known = {name.order_id, *each.get("known_as", names)}
        (of_cart if known.isdisjoint(names) else own).append(name)
    own.sort(key=lambda name: (_place(name.order_id, names), name.order_id))
    return Namesakes(own, of_cart)


def _place(name: str, names: Sequence[str]) -> int:
    return names.index(name) if name in names else len(names)
