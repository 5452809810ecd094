"""What may differ from shop to shop."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from recovery.domain.checkout import shop_of

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class PerShop(Generic[T]):
    """What every shop has: its own, or that of all shops that have none."""

    default: T
    by_shop: Mapping[str, T] = field(default_factory=dict)

    def of(self, checkout_id: str) -> T:
        """Return what the shop has that a checkout belongs to."""
        return self.of_shop(shop_of(checkout_id)) if self.by_shop else self.default

    def of_shop(self, shop: str) -> T:
        """Return what a shop has."""
        return self.by_shop.get(shop, self.default)

    def map(self, change: Callable[[T], U]) -> "PerShop[U]":
        """Return the results of `change` for each shop's value, by shop."""
        return PerShop(change(self.default), {shop: change(value) for shop, value in self.by_shop.items()})

    def each(self) -> list[T]:
        """Return all that there are, each once."""
        return list(dict.fromkeys([self.default, *self.by_shop.values()]))
