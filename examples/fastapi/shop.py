"""A shop on FastAPI that reports checkouts and orders to Recovery. Run it with `uvicorn --factory shop:production`."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from pydantic import BaseModel, EmailStr

from recovery import Checkout, Customer, Item, Order, Recovery, Unavailable

SHOP = "lamps.example"
PRICES = {"Arc floor lamp": "189.00", "Reading lamp": "49.00"}

log = logging.getLogger("shop")


class Cart(BaseModel):
    """What a customer has typed into the checkout."""

    email: EmailStr
    name: str
    lamp: str


def create_app(recovery: Recovery) -> FastAPI:
    """Return the shop. `recovery` is the client in production, and the kit in tests."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with recovery:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.put("/checkouts/{number}")
    async def begin(number: str, cart: Cart) -> dict[str, str]:
        """Keep a checkout, and report it."""
        price = PRICES[cart.lamp]
        report = Checkout(
            shop=SHOP,
            order_id=number,
            customer=Customer(email=cart.email, name=cart.name),
            items=[Item(name=cart.lamp, price=price)],
            total=price,
            currency="EUR",
            checkout_url=f"https://{SHOP}/checkouts/{number}",
        )
        try:
            await recovery.checkout(report)
        except Unavailable:
            log.warning("checkout %s was not reported", number)  # the customer can buy all the same
        return {"pay": f"/checkouts/{number}/pay"}

    @app.post("/checkouts/{number}/pay")
    async def pay(number: str) -> dict[str, str]:
        """Take the money, and report the order: no reminder is sent from now on."""
        await recovery.order(Order(shop=SHOP, order_id=number))
        return {"order": number}

    return app


def production() -> FastAPI:
    """Return the shop as it runs in production. The outbox keeps reports that the database does not take."""
    return create_app(Recovery(os.environ["MONGODB_URI"], outbox="recovery.outbox"))
