"""The addresses of checkouts in the console. An order id may be any text, with slashes, or nothing but dots."""

from urllib.parse import quote

from fastapi import Request

from recovery.console.sessions import PATH
from recovery.console.viewer import Viewer
from recovery.domain.checkout import checkout_id, shop_and_order
from recovery.http.problems import Problem

ROUTE = "/checkouts/{shop}/{order_id:path}"
MAIL_ROUTE = "/checkout-mails/{step}/{shop}/{order_id:path}"

_DOTS = (".", "..")
"""What a browser takes out of an address: such an id is written with a slash after it."""


def path_of(id_: str) -> str:
    """Return the path of a checkout's page."""
    return f"{PATH}/checkouts/{_quoted(id_)}"


def mail_path_of(id_: str, step: str) -> str:
    """Return the path of one of its mails, in a frame."""
    return f"{PATH}/checkout-mails/{quote(step, safe='')}/{_quoted(id_)}"


def asked_for(request: Request, viewer: Viewer) -> str:
    """Return the key of the checkout that a request names. Raises `Problem` (404) if the viewer does not see its shop.

    That it is another shop's is not told: the answer is that for what does not exist.
    """
    shop, order_id = request.path_params["shop"], request.path_params["order_id"]
    if not viewer.sees(shop):
        raise unknown()
    return checkout_id(shop, order_id[:-1] if order_id[:-1] in _DOTS and order_id.endswith("/") else order_id)


def unknown() -> Problem:
    """Return the problem of a checkout that does not exist."""
    return Problem(404, "There is no such checkout: it was never reported, or is deleted already.")


def _quoted(id_: str) -> str:
    shop, order_id = shop_and_order(id_)
    return f"{quote(shop, safe='')}/{quote(order_id + '/' if order_id in _DOTS else order_id, safe='')}"
