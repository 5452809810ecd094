"""Settings of a kit: its own, and the schedule, mails and shops of a configuration file; no secrets, no environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from recovery.app.shops import composers_of
from recovery.domain.per_shop import PerShop
from recovery.domain.schedule import Schedule
from recovery.mail.composer import Composer
from recovery.settings import Settings
from recovery.settings.given import given_settings, values_in
from recovery.shops import ADAPTERS

SECRET = "not-a-secret-of-anybody"  # noqa: S105 - for tests alone
"""What signs the webhooks, bounces and links of a test."""

BASE_URL = "https://recovery.example"

NOT_FOR_TESTS = frozenset({"mongodb", "smtp", "warmup", "dkim", "http", "daemon", "log"})
"""Sections of a configuration file that a kit leaves out: it has no use for them."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The shared parts of kits with equal settings: these, and the schedule and the composer of each shop."""

    settings: Settings
    schedules: PerShop[Schedule]
    composers: PerShop[Composer]


_prepared: dict[str, Prepared] = {}
"""By the settings as they were given: the templates of a suite's tests are compiled once."""


def prepared(config: str | PathLike[str] | None, values: Mapping[str, Mapping[str, Any]]) -> Prepared:
    """Return the shared parts of kits with these settings. Raises `SettingsError`, `TemplateError`."""
    of_file = {} if config is None else values_in(Path(config), NOT_FOR_TESTS)
    key = repr((of_file, values))
    if key not in _prepared:
        settings = _settings(of_file, values)
        shops = {shop: settings.of(shop).to_schedule() for shop in settings.shops}
        _prepared[key] = Prepared(settings, PerShop(settings.to_schedule(), shops), composers_of(settings))
    return _prepared[key]


def _settings(of_file: Mapping[str, Any], values: Mapping[str, Mapping[str, Any]]) -> Settings:
    """Return the settings of a kit: its own, then those of a file, then `values`. Raises `SettingsError`."""
    merged: dict[str, Any] = {}
    for source in (_own(), of_file, values):
        for section, table in source.items():
            merged[section] = {**merged.get(section, {}), **table} if isinstance(table, Mapping) else table
    return given_settings(merged, "given for the test")


def _own() -> dict[str, Any]:
    return {
        "links": {"base_url": BASE_URL, "keys": [SECRET]},
        "suppressions": {"keys": [SECRET]},
        "bounces": {"secrets": [SECRET]},
        "shopify": {"webhook_secret": SECRET},
        "webhooks": {
            "secrets": {each.name: SECRET for each in ADAPTERS if not each.key_set_path and each.name != "shopify"},
            "addresses": {each.name: f"https://{each.name}.example" for each in ADAPTERS if each.key_set_path},
            "checkout_urls": {"saleor": "https://lamps.example/checkout?checkout={id}"},
        },
    }
