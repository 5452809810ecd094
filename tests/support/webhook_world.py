"""The API with all adapters on any ingestion, and a client that sends webhooks as their platforms do."""

import json

import httpx
from prometheus_client import CollectorRegistry

from recovery.daemon.metrics import Telemetry
from recovery.domain.per_shop import PerShop
from recovery.http.app import create_app
from recovery.http.inbound.key_sets import KeySets
from recovery.http.keys import unscoped
from tests.support.builders import NOON
from tests.support.configurations import LONGEST_BODY
from tests.support.feedback import feedback
from tests.support.ports_in_memory import SetClock
from tests.support.shop_platforms import FIRST, KEY_SET, PLATFORMS


class WebhookWorld:
    """All platforms' webhooks, signed at noon, for which the clock of the API stands."""

    def __init__(self, ingestion, *, clock=None, **access):
        """`access` replaces the access of platforms, by their names."""
        self.ingestion = ingestion
        self.registry = CollectorRegistry()
        self.asked = []
        self.key_sets = KeySets(self._key_set)
        app = create_app(
            ingestion,
            feedback(clock=clock or SetClock()),
            api_keys=unscoped(["a key of the tests"]),
            webhooks=PerShop({name: each.access for name, each in PLATFORMS.items()} | access),
            key_sets=self.key_sets,
            max_body=LONGEST_BODY,
            readiness=None,
            registry=self.registry,
            observer=Telemetry(self.registry),
        )
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="https://recovery.example")

    def _key_set(self, url):
        self.asked.append(url)
        return KEY_SET

    async def send(self, name, message, *, secret=FIRST, at=NOON, **headers):
        """Send a payload with its topic, or bytes, as the platform does; `headers` with None are left out."""
        platform = PLATFORMS[name]
        topic, payload = message if isinstance(message, tuple) else (platform.left[0], message)
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        sent = platform.topic(topic) | platform.sign(body, secret, at) | headers
        return await self.post(name, body, {key: value for key, value in sent.items() if value is not None})

    async def post(self, name, body, headers):
        """Send a body with these headers."""
        path = f"/webhooks/{name}/{PLATFORMS[name].shop}"
        return await self.client.post(path, content=body, headers={"Content-Type": "application/json"} | headers)

    def counted(self, name, answer):
        """Return the number of reports of a platform with this answer."""
        return self.registry.get_sample_value("recovery_reports_total", {"kind": name, "answer": answer}) or 0
