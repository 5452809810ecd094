"""A value with overrides by shop."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from recovery.domain.checkout import shop_of

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class PerShop(Generic[T]):
    """A value for every shop: its own, or the default."""

    default: T
    by_shop: Mapping[str, T] = field(default_factory=dict)

    def of(self, checkout_id: str) -> T:
        """Return the value of a checkout's shop."""
        return self.of_shop(shop_of(checkout_id)) if self.by_shop else self.default

    def of_shop(self, shop: str) -> T:
        """Return the value of a shop."""
        return self.by_shop.get(shop, self.default)

    def map(self, change: Callable[[T], U]) -> "PerShop[U]":
        """Return the results of `change` for each shop's value, by shop."""
        return PerShop(change(self.default), {shop: change(value) for shop, value in self.by_shop.items()})

    def each(self) -> list[T]:
        """Return all values, without duplicates; the default is first."""
        return list(dict.fromkeys([self.default, *self.by_shop.values()]))
