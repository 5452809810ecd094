"""Recovery reminds people of the checkouts they left, on time and only until they order."""

from recovery.checkout import Checkout, Customer, Item, Order

__all__ = ["Checkout", "Customer", "Item", "Order"]
