"""Settings of the demo. No other source is read, so that nobody's own settings can send its mails to real people."""

from typing import Any

from pydantic import ValidationError

from recovery.demo import DemoFailed
from recovery.settings import Settings
from recovery.settings.given import GivenSettings
from recovery.settings.reminders import ScheduleSettings

DOMAIN = "nightlight.example"
DELAYS = ("3s", "8s", "14s")


def settings_for(*, uri: str, database: str, smtp_port: int, webhook_secret: str) -> Settings:
    """Return the settings of the demo: the default schedule, shortened to seconds, with everything on this machine.

    Raises `DemoFailed` if `uri` is not a valid MongoDB URI.
    """
    values: dict[str, Any] = {
        "mongodb": {"uri": uri, "database": database},
        "smtp": {"host": "127.0.0.1", "port": smtp_port, "tls": "none"},
        "mail": {"sender": f"Nightlight Lamps <hello@{DOMAIN}>", "message_id_domain": DOMAIN},
        "schedule": {"steps": _steps(), "min_gap": "1s", "min_gap_per_address": "0s"},
        "http": {"host": "127.0.0.1", "port": 0},
        "shopify": {"webhook_secret": webhook_secret, "confirm_orders": True},
        "daemon": {"name": "demo"},
        "log": {"level": "warning", "format": "text"},
    }
    try:
        return GivenSettings(**values)
    except ValidationError as exc:
        error = exc.errors(include_input=False, include_url=False)[0]
        if error["loc"] != ("mongodb", "uri"):
            raise
        raise DemoFailed(f"RECOVERY_MONGODB__URI {error['msg'].removeprefix('Value error, ')}.") from None


def _steps() -> list[dict[str, Any]]:
    return [
        {"name": step.name, "subject": step.subject, "delay": delay, "max_lateness": "1m"}
        for step, delay in zip(ScheduleSettings().steps, DELAYS, strict=True)
    ]
