"""Webhooks of shop platforms: secrets and addresses of each. `recovery.shops` knows which platforms there are."""

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr

from recovery.domain.fields import web_address
from recovery.domain.hosts import is_loopback
from recovery.settings.fields import Section, from_json, from_lines, like, setting


def _some(value: object) -> object:
    """Take a single secret for a list of one."""
    return (value,) if isinstance(value, str | SecretStr) else value


def _template(value: str) -> str:
    web_address(value)
    if any(sign in value.replace("{id}", "") for sign in "{}"):
        raise ValueError("must be an address with {id} in the place of the checkout's id, and no other { or }")
    return value


def _address(value: str) -> str:
    parts = urlsplit(web_address(value))
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ValueError("must be an https:// address: what signs is fetched from it")
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError("must be an address with at most a path, such as https://lamps.saleor.cloud")
    return value.rstrip("/")


Platform = Annotated[
    str, like(r"[a-z][a-z0-9_-]{0,49}", "must be the name of a platform: small letters, digits, _ and -")
]
OneOrMore = Annotated[tuple[SecretStr, ...], BeforeValidator(_some)]
Address = Annotated[str, AfterValidator(_address)]
CheckoutUrl = Annotated[str, AfterValidator(_template)]


class WebhooksSettings(Section):
    """Webhooks from shop platforms other than Shopify, at /webhooks/<platform>/<shop>. See docs/shops.md."""

    secrets: Annotated[Mapping[Platform, OneOrMore], BeforeValidator(from_json)] = setting(
        {},
        'The secret that each platform signs its webhooks with, as in { woocommerce = "..." }, or several while it is'
        ' changed, as in { woocommerce = ["new", "old"] }. A platform without one has no endpoint, since it would not'
        " be safe. In the environment, or in the file that RECOVERY_WEBHOOKS__SECRETS_FILE names: JSON.",
    )
    addresses: Annotated[Mapping[Platform, Address], BeforeValidator(from_json)] = setting(
        {},
        "The address of the shop's server on each platform that signs with keys of its own, as in { saleor ="
        ' "https://lamps.saleor.cloud" }: its keys are fetched from there, and from nowhere else. In the environment:'
        " JSON.",
    )
    checkout_urls: Annotated[Mapping[Platform, CheckoutUrl], BeforeValidator(from_json)] = setting(
        {},
        "The address at which a customer finds their checkout again, on platforms whose webhooks do not say it, as in"
        ' { saleor = "https://lamps.example/checkout?checkout={id}" }. {id} stands for the id of the checkout. In the'
        " environment: JSON.",
    )
    confirm_orders: Annotated[tuple[Platform, ...], BeforeValidator(from_lines)] = setting(
        (),
        "The platforms whose orders are confirmed by a mail of ours, where confirmations are on. None by default, since"
        " platforms confirm orders themselves. In the environment: separated by commas, or JSON.",
    )
