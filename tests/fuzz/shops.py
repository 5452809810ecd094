"""Webhooks of every platform, signed as they ought to be, and changed before that."""

import json
import random
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

from tests.chaos.daemons import Daemon
from tests.fuzz.found import KEY, Found, client_of
from tests.fuzz.mutations import of_json
from tests.support import stripe_events
from tests.support.paths import ROOT
from tests.support.processor_time import Stopwatch
from tests.support.saleor_bodies import CHECKOUT_ID
from tests.support.shop_platforms import FIRST, KEY_SET, PLATFORMS, Payload
from tests.support.stripe_events import SESSION

COLLECTED = ROOT.parent / "shared" / "data"
"""More bodies of each platform, on a clone that has them."""

READ_BACK = 0.1
"""The share of stored reports that are read again."""


def environment() -> dict[str, str]:
    """Return the settings of all platforms but Shopify, which has a section of its own."""
    secrets = {name: FIRST for name, each in PLATFORMS.items() if each.access.secrets and name != "shopify"}
    links = {name: each.access.checkout_url for name, each in PLATFORMS.items() if each.access.checkout_url}
    addresses = {name: _key_server() for name, each in PLATFORMS.items() if each.access.address}
    return {
        "RECOVERY_WEBHOOKS__SECRETS": json.dumps(secrets),
        "RECOVERY_WEBHOOKS__CHECKOUT_URLS": json.dumps(links),
        "RECOVERY_WEBHOOKS__ADDRESSES": json.dumps(addresses),
    }


async def platforms(daemon: Daemon, rng: random.Random, until: float) -> Found:
    """Send webhooks that were changed; what is stored of them can be read again."""
    found, sound = Found(), {name: _bodies(name) for name in PLATFORMS if name != "shopify"}
    async with client_of(daemon) as client:
        while time.monotonic() < until:
            name = rng.choice(sorted(sound))
            platform = PLATFORMS[name]
            topic, payload = rng.choice(sound[name])
            body = of_json(rng, payload)
            headers = platform.topic(topic) | platform.sign(body, FIRST, datetime.now(UTC))
            watch = Stopwatch(daemon.process.pid)
            answer = await client.post(f"/webhooks/{name}/{platform.shop}", content=body, headers=headers)
            found.answered(answer.status_code, watch.seconds(), f"{name} {body[:200]!r}")
            if answer.status_code != 200:
                found.faults.append(f"{answer.status_code} to a signed webhook of {name}: {body[:200]!r}")
            elif "id" in answer.json() and rng.random() < READ_BACK:
                shop, _, id_ = answer.json()["id"].partition("/")
                path = f"/checkouts/{quote(shop)}/{quote(id_, safe='')}"
                status = (await client.get(path, headers={"Authorization": f"Bearer {KEY}"})).status_code
                if status not in (200, 404):  # a checkout that was only touched or emptied may not be known
                    found.faults.append(f"{status} to reading what {name} reported: {body[:200]!r}")
    return found


def _bodies(name: str) -> list[tuple[str, Payload]]:
    platform = PLATFORMS[name]
    own = [platform.left, platform.changed, platform.ordered, platform.other]
    others = [json.loads(path.read_text()) for path in sorted((COLLECTED / name).glob("*.json"))]
    return own + [(platform.left[0], made) for payload in others for made in (payload, *_events(payload))]


def _events(payload: Payload) -> Iterator[Payload]:
    """Yield the events that a collected object would come in: a session of Stripe's, an order of Saleor's."""
    if payload.get("object") == "checkout.session":
        yield stripe_events.event(**payload)
        yield stripe_events.completed(**payload)
        agreed = {"consent": {"promotions": "opt_in"}, "amount_total": 2000, "currency": "usd"}
        yield stripe_events.event(**payload | agreed | {"after_expiration": SESSION["after_expiration"]})
    if "userEmail" in payload.get("order", {}):
        yield {"order": payload["order"] | {"checkoutId": CHECKOUT_ID, "isPaid": True}}


@lru_cache
def _key_server() -> str:
    """Return the address of a server on this machine that publishes the keys of the tests as long as this runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(KEY_SET)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"
