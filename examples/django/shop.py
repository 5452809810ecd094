"""A shop on Django that reports checkouts and orders to Recovery. Run it with `python shop.py runserver`."""

import json
import logging
import os
import sys
from functools import cache

import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from recovery import Checkout, Customer, Item, Order, SyncRecovery, Unavailable

SHOP = "lamps.example"
PRICES = {"Arc floor lamp": "189.00", "Reading lamp": "49.00"}

log = logging.getLogger("shop")


@cache
def production() -> SyncRecovery:
    """Return the client in production. The outbox keeps reports that the database does not take."""
    return SyncRecovery(os.environ["MONGODB_URI"], outbox="recovery.outbox")


@csrf_exempt
@require_http_methods(["PUT"])
def begin(request: HttpRequest, number: str) -> JsonResponse:
    """Keep a checkout, and report it."""
    cart = json.loads(request.body)
    price = PRICES[cart["lamp"]]
    report = Checkout(
        shop=SHOP,
        order_id=number,
        customer=Customer(email=cart["email"], name=cart["name"]),
        items=[Item(name=cart["lamp"], price=price)],
        total=price,
        currency="EUR",
        checkout_url=f"https://{SHOP}/checkouts/{number}",
    )
    try:
        settings.RECOVERY().checkout(report)
    except Unavailable:
        log.warning("checkout %s was not reported", number)  # the customer can buy all the same
    return JsonResponse({"pay": f"/checkouts/{number}/pay"})


@csrf_exempt
@require_http_methods(["POST"])
def pay(_: HttpRequest, number: str) -> JsonResponse:
    """Take the money, and report the order: no reminder is sent from now on."""
    settings.RECOVERY().order(Order(shop=SHOP, order_id=number))
    return JsonResponse({"order": number})


urlpatterns = [path("checkouts/<number>", begin), path("checkouts/<number>/pay", pay)]

if not settings.configured:
    settings.configure(
        ROOT_URLCONF=__name__, ALLOWED_HOSTS=[SHOP, "localhost"], SECRET_KEY=os.urandom(32), RECOVERY=production
    )
    django.setup()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
