"""Settings of shop platforms' webhooks."""

import pytest

from recovery.settings import load_settings
from tests.support.settings_files import refused


def secrets(platform):
    return [secret.get_secret_value() for secret in load_settings().webhooks.secrets[platform]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{ stripe = "whsec_1,a" }', ["whsec_1,a"]),
        ('{ stripe = ["new", "old"] }', ["new", "old"]),
    ],
)
def test_a_platform_has_one_secret_or_several(config, text, expected):
    """A secret is changed without a gap while both are there; a single one is taken as it is, commas and all."""
    config(f"[webhooks]\nsecrets = {text}")
    assert secrets("stripe") == expected


def test_the_environment_has_json(environ):
    """In the environment all of them are JSON."""
    environ(
        RECOVERY_WEBHOOKS__SECRETS='{"stripe": ["new", "old"], "woocommerce": "one"}',
        RECOVERY_WEBHOOKS__ADDRESSES='{"saleor": "https://lamps.saleor.cloud/"}',
        RECOVERY_WEBHOOKS__CHECKOUT_URLS='{"saleor": "https://lamps.example/c?id={id}"}',
    )
    assert (secrets("stripe"), secrets("woocommerce")) == (["new", "old"], ["one"])
    assert load_settings().webhooks.addresses == {"saleor": "https://lamps.saleor.cloud"}
    assert load_settings().webhooks.checkout_urls == {"saleor": "https://lamps.example/c?id={id}"}


def test_shopify_has_one_secret_or_several(environ):
    """Its section of its own has a list as well: separated by commas in the environment."""
    environ(RECOVERY_SHOPIFY__WEBHOOK_SECRET="new, old")
    assert [each.get_secret_value() for each in load_settings().shopify.webhook_secret] == ["new", "old"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('addresses = { saleor = "http://lamps.example" }', "https://"),
        ('addresses = { saleor = "https://lamps.example/?a=b" }', "at most a path"),
        ('addresses = { saleor = "https://u:p@lamps.example" }', "at most a path"),
        ('addresses = { saleor = "lamps.example" }', "http:// or https:// address"),
        ('checkout_urls = { saleor = "javascript:alert(1)" }', "http:// or https:// address"),
        ('checkout_urls = { saleor = "https://lamps.example/{order}" }', "{id}"),
        ('secrets = { stripe = [["hush-hush"]] }', "webhooks.secrets"),
        ('secrets = { "a b" = "hush-hush" }', "name of a platform"),
    ],
)
def test_what_is_wrong_is_told(config, text, told):
    """The problem names the setting, and no secret."""
    config(f"[webhooks]\n{text}")
    [problem] = refused()
    assert told in problem
    assert "hush" not in problem


def test_keys_may_come_from_this_machine(config):
    """A shop in development has no certificate."""
    config('[webhooks]\naddresses = { saleor = "http://localhost:8000" }')
    assert load_settings().webhooks.addresses == {"saleor": "http://localhost:8000"}
