"""Webhooks of shop platforms: a secret each. Which platforms there are is the business of `recovery.shops`."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, SecretStr

from recovery.settings.fields import Section, from_json, from_lines, like, setting

Platform = Annotated[
    str, like(r"[a-z][a-z0-9_-]{0,49}", "must be the name of a platform: small letters, digits, _ and -")
]


class WebhooksSettings(Section):
    """Webhooks from shop platforms other than Shopify, at /webhooks/<platform>/<shop>."""

    secrets: Annotated[Mapping[Platform, SecretStr], BeforeValidator(from_json)] = setting(
        {},
        'The secret that each platform signs its webhooks with, as in { woocommerce = "..." }. A platform without one'
        " has no endpoint, since it would not be safe. In the environment, or in the file that"
        " RECOVERY_WEBHOOKS__SECRETS_FILE names: JSON.",
    )
    confirm_orders: Annotated[tuple[Platform, ...], BeforeValidator(from_lines)] = setting(
        (),
        "The platforms whose orders are confirmed by a mail of ours, where confirmations are on. None by default, since"
        " platforms confirm orders themselves. In the environment: separated by commas, or JSON.",
    )
