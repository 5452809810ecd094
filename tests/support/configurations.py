"""Configurations of the sender, the relay and the API, as the settings would make them."""

from typing import Any

from recovery.engine.limits import Limits
from recovery.mail.smtp.pool import RelayConfig
from recovery.settings.sections import HttpSettings

LIMITS = Limits(in_flight=500, hand_over_within=0.5)

LONGEST_BODY = HttpSettings().max_body
"""Bytes of a request body, as the settings have it."""


def relay_config(host: str = "relay.test", port: int = 25, **changes: Any) -> RelayConfig:
    """Return the configuration of a relay without encryption."""
    defaults: dict[str, Any] = {
        "tls": "none",
        "local_hostname": "shop.test",
        "connections": 20,
        "rates": (),
        "messages_per_connection": 100,
        "chunking": False,
        "idle_seconds": 30.0,
        "timeout_seconds": 60.0,
        "dot_timeout_seconds": 60.0,
    }
    return RelayConfig(host=host, port=port, **(defaults | changes))
