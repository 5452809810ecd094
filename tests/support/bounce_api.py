"""The HTTP API with bounces in memory, a client that reports them, and a bounce."""

import hmac
import json

import httpx
from prometheus_client import CollectorRegistry

from recovery.daemon.metrics import Telemetry
from recovery.http.app import create_app
from tests.support.builders import NOON
from tests.support.configurations import LONGEST_BODY
from tests.support.feedback import feedback

SECRET, OLD_SECRET = "a secret of some length", "an older secret"
ADA = "ada@example.com"
EVENT = {"kind": "hard", "email": ADA}


class BounceApi:
    """The application, and a client that reports to it."""

    def __init__(self, **changes):
        self.feedback = feedback(**{"bounce_secrets": (SECRET, OLD_SECRET)} | changes)
        self.registry = CollectorRegistry()
        self.telemetry = Telemetry(self.registry)

        async def readiness():
            return {}

        app = create_app(
            None,
            self.feedback,
            api_keys=(),
            max_body=LONGEST_BODY,
            readiness=readiness,
            registry=self.registry,
            observer=self.telemetry,
        )
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="https://mail.shop.example")

    async def report(self, body, content_type="message/rfc822", **signing):
        """Send a report, signed."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": content_type if isinstance(body, bytes) else "application/json"}
        signature = signed(content, **signing)
        return await self.client.post("/bounces", content=content, headers=headers | {"Recovery-Signature": signature})

    @property
    def kept(self):
        """The reasons by shop and pseudonym."""
        return {key: reason for key, (reason, _) in self.feedback.suppressions.kept.items()}


def signed(content, secret=SECRET, at=0):
    """Return the signature of a body, made so many seconds from now."""
    time = int(NOON.timestamp()) + at
    return f"t={time},v1={hmac.new(secret.encode(), f'{time}.'.encode() + content, 'sha256').hexdigest()}"


def delivery(status="5.1.1", to="postmaster@shop.example", original="", email="moved@other.example", number=1):
    """Return a delivery report that reached `to`, on a message with these headers."""
    return f"""\
To: {to}
Message-ID: <{number}@mx>
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx

Final-Recipient: rfc822; {email}
Action: failed
Status: {status}

--b
Content-Type: text/rfc822-headers

{original}
--b--
""".encode()
