"""What is fuzzed, part by part: each sends until its time is over, and takes note of what must not be."""

import asyncio
import hmac
import json
import os
import random
import re
import signal
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from urllib.parse import quote

import httpx

import recovery.mail
from recovery.domain.pseudonyms import Pseudonyms
from recovery.mail.links import Links
from recovery.mail.seals import Seals
from recovery.mail.templates.files import Files, TemplateError
from recovery.mail.templates.templates import Edition
from recovery.mail.templates.trial import tried
from recovery.settings import Settings, SettingsError, load_settings
from tests.chaos.daemons import Daemon
from tests.fuzz.found import KEY, SLOWEST, Found, client_of
from tests.fuzz.mutations import of_bytes, of_json
from tests.fuzz.shops import environment as environment_of_shops
from tests.fuzz.shops import platforms
from tests.support.configurations import LONGEST_BODY
from tests.support.hostile_reports import HOSTILE
from tests.support.paths import ROOT, TESTS
from tests.support.processor_time import Stopwatch

SECRET = "a secret that is long enough"
ADDRESS = "https://mail.shop.example"
DEFAULTS = Path(recovery.mail.__file__).parent / "templates" / "defaults"
CONFIG = ROOT / "config" / "recovery.toml"
SHOPIFY = TESTS / "data" / "shopify"
COLLECTED = ROOT.parent / "shared" / "data" / "shopify"
"""More of the same, on a clone that has it."""

TOPICS = (
    *("checkouts/create", "checkouts/update", "orders/create", "orders/cancelled", "app/uninstalled", "x/y"),
    *("customers/redact", "customers/data_request", "shop/redact", "customers_marketing_consent/update"),
)

CHECKOUT = {
    "shop": "shop.example",
    "order_id": "1",
    "customer": {"email": "ada@example.com", "name": "Ada"},
    "items": [{"name": "Lamp", "price": "19.90", "quantity": 2, "url": "https://shop.example/lamp"}],
    "total": "39.80",
    "currency": "EUR",
    "locale": "de",
    "time_zone": "Europe/Berlin",
    "touched_at": "2026-03-01T14:05:00+01:00",
}
WEBHOOK = {
    "id": 1,
    "token": "t1",
    "cart_token": "c1",
    "email": "ada@example.com",
    "created_at": "2026-03-01T14:05:00+01:00",
    "updated_at": "2026-03-01T14:05:00+01:00",
    "abandoned_checkout_url": "https://shop.example/r/1",
    "currency": "EUR",
    "presentment_currency": "EUR",
    "total_price": "39.80",
    "customer": {"first_name": "Ada", "last_name": "L", "email": "ada@example.com"},
    "line_items": [{"title": "Lamp", "price": "19.90", "quantity": 2}],
    "shop_domain": "shop.example",
}
BOUNCE = (
    b"From: MAILER-DAEMON@mx.example\r\nTo: bounces@shop.example\r\nMessage-ID: <1@mx.example>\r\n"
    b"Date: Thu, 5 Mar 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\nSorry.\r\n--b\r\n"
    b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
    b"Final-Recipient: rfc822; ada@example.com\r\nAction: failed\r\nStatus: 5.1.1\r\n"
    b"Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\n"
    b"Subject: Your lamp\r\nTo: ada@example.com\r\n\r\n--b--\r\n"
)
POSTMARK = {
    "RecordType": "Bounce",
    "Type": "HardBounce",
    "Email": "ada@example.com",
    "ID": 1,
    "Details": "smtp;550 5.1.1 no such user",
    "BouncedAt": "2026-03-05T12:00:00Z",
}
BREVO = {
    "event": "soft_bounce",
    "email": "ada@example.com",
    "message-id": "<1@shop.example>",
    "reason": "452 full",
    "ts_epoch": 1772712000000,
}


Part = Callable[[Daemon, random.Random, float], "asyncio.Future[Found]"]


def environment() -> dict[str, str]:
    """Return what the daemon is told, so that all its doors are there."""
    return {
        "RECOVERY_HTTP__API_KEYS": KEY,
        "RECOVERY_LINKS__KEYS": SECRET,
        "RECOVERY_LINKS__BASE_URL": ADDRESS,
        "RECOVERY_BOUNCES__SECRETS": SECRET,
        "RECOVERY_PROVIDERS__POSTMARK": SECRET,
        "RECOVERY_PROVIDERS__BREVO": SECRET,
        "RECOVERY_SHOPIFY__WEBHOOK_SECRET": SECRET,
        **environment_of_shops(),
    }


async def webhooks(daemon: Daemon, rng: random.Random, until: float) -> Found:
    """Send Shopify's webhooks, signed, and changed before that."""
    sound = [
        WEBHOOK,
        *(json.loads(path.read_text()) for each in (SHOPIFY, COLLECTED) for path in sorted(each.glob("*.json"))),
    ]

    def make() -> tuple[str, bytes, dict[str, str]]:
        body = of_json(rng, rng.choice(sound))
        headers = {
            "Content-Type": "application/json",
            "X-Shopify-Topic": rng.choice(TOPICS),
            "X-Shopify-Shop-Domain": rng.choice(("shop.example", "SHOP.example", "a/b", "", "x" * 300)),
            "X-Shopify-Hmac-Sha256": b64encode(hmac.digest(SECRET.encode(), body, "sha256")).decode(),
        }
        return "/webhooks/shopify", body, headers

    return await _sent(daemon, until, make)


async def bounces(daemon: Daemon, rng: random.Random, until: float) -> Found:
    """Send reports of bounces, signed, and changed before that; the worst that are known among them."""
    events = [{"kind": "hard", "email": "ada@example.com", "at": "2026-03-05T12:00:00Z", "id": "1", "detail": "5.1.1"}]

    def make() -> tuple[str, bytes, dict[str, str]]:
        if rng.random() < 0.3:
            body, kind = of_json(rng, rng.choice(events)), "application/json"
        else:
            sound = rng.choice(list(HOSTILE.values())) if rng.random() < 0.05 else BOUNCE
            body, kind = of_bytes(rng, sound)[:LONGEST_BODY], "message/rfc822"
        now = int(time.time())
        signature = hmac.new(SECRET.encode(), f"{now}.".encode() + body, "sha256").hexdigest()
        return "/bounces", body, {"Content-Type": kind, "Recovery-Signature": f"t={now},v1={signature}"}

    return await _sent(daemon, until, make)


async def provider_events(daemon: Daemon, rng: random.Random, until: float) -> Found:
    """Send what providers report of our mails, with their secret, changed."""
    sound = (("/bounces/postmark", POSTMARK), ("/bounces/brevo", BREVO))
    password = b64encode(f"recovery:{SECRET}".encode()).decode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {password}"}

    def make() -> tuple[str, bytes, dict[str, str]]:
        path, event = rng.choice(sound)
        return path, of_json(rng, event), headers

    return await _sent(daemon, until, make)


async def reports(daemon: Daemon, rng: random.Random, until: float) -> Found:
    """Send checkouts, orders and requests about people, changed."""
    key = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    order = {"shop": "shop.example", "order_id": "1", "ordered_at": "2026-03-01T15:00:00+01:00"}
    person = {"email": "ada@example.com", "shop": "shop.example"}
    sound = (("/checkout", CHECKOUT), ("/order", order), ("/erase", person), ("/export", person))

    def make() -> tuple[str, bytes, dict[str, str]]:
        path, body = rng.choice(sound)
        return path, of_json(rng, body), key

    return await _sent(daemon, until, make)


async def tokens(daemon: Daemon, rng: random.Random, until: float) -> Found:
    """Open links that were changed: none may open but those that are as they were made."""
    links = Links(Seals([SECRET]), Pseudonyms([SECRET]), base_url=ADDRESS)
    whole = (links.unsubscribe("shop.example", "ada@example.com") or "").removeprefix(ADDRESS)
    found = Found()
    async with client_of(daemon) as client:
        while time.monotonic() < until:
            path = whole[:3] + of_bytes(rng, whole[3:].encode(), 2).decode("latin-1")
            url = quote(path, safe="/-_", encoding="latin-1")
            if len(url) > 30_000 or url == whole:
                continue
            watch = Stopwatch(daemon.process.pid)
            answer = await client.request(rng.choice(("GET", "POST")), url, content=b"List-Unsubscribe=One-Click")
            found.answered(answer.status_code, watch.seconds(), f"{url[:80]}")
            if answer.status_code == 200 and url.startswith("/u/"):
                found.faults.append(f"a changed link opens: {url[:200]}")
    return found


async def settings(_daemon: Daemon, rng: random.Random, until: float) -> Found:
    """Read files of settings that were changed: each is read, or refused in sentences."""
    found, sound = Found(), re.sub(rb"(?m)^# (?=[a-z_]+ =)", b"", CONFIG.read_bytes())
    with tempfile.TemporaryDirectory() as folder, _within(Path(folder)):
        file = Path(folder) / "config" / "recovery.toml"
        file.parent.mkdir()
        while time.monotonic() < until:
            file.write_bytes(of_bytes(rng, sound, 3))
            watch = Stopwatch(os.getpid())
            try:
                load_settings()
            except SettingsError as exc:
                if SECRET in str(exc):
                    found.faults.append("a secret is told")
            except Exception as exc:  # noqa: BLE001  any other is what is looked for
                found.faults.append(f"{type(exc).__name__}: {exc}"[:300])
            found.answered(200, watch.seconds(), "settings")
            await asyncio.sleep(0)
    return found


async def templates(_daemon: Daemon, rng: random.Random, until: float) -> Found:
    """Fill templates that were changed: each is filled or refused with its file, and one without an end is ended."""
    found, steps = Found(), Settings().to_schedule().steps
    names = ["layout.html.j2", *sorted(path.name for path in DEFAULTS.glob("reminder-1.*.j2"))]
    while time.monotonic() < until:
        with tempfile.TemporaryDirectory() as folder:
            name = rng.choice(names)
            (Path(folder) / name).write_bytes(of_bytes(rng, (DEFAULTS / name).read_bytes(), 3))
            watch = Stopwatch(os.getpid())
            try:
                with _alarm(3.0):
                    for _ in Edition(Files(Path(folder)), "UTC").checks(steps):
                        pass
            except TemplateError:
                pass
            except TimeoutError:
                if not await tried(Files(Path(folder)), "UTC", steps):
                    found.faults.append("what takes too long is taken")
                watch = Stopwatch(os.getpid())
            except Exception as exc:  # noqa: BLE001  any other is what is looked for
                found.faults.append(f"{name}: {type(exc).__name__}: {exc}"[:300])
            found.answered(200, watch.seconds(), name)
        await asyncio.sleep(0)
    return found


async def described(daemon: Daemon, rng: random.Random, until: float, *, key: str = "") -> Found:
    """Have schemathesis call all that the API says it has, with all its checks."""
    seconds = max(5, int(until - time.monotonic()))
    headers = ("-H", f"Authorization: Bearer {key}") if key else ()
    with tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "run", f"http://{daemon.address}/openapi.json", *headers),
            *(
                "--checks",
                "all",
                "--exclude-checks",
                ",".join(EXCEPT),
                "--max-time",
                str(seconds),
                "--continue-on-failure",
            ),
            *("--seed", str(rng.randrange(10**6)), "--max-response-time", str(5 * SLOWEST), "--no-color"),
            *("--report", "ndjson", "--report-dir", folder, "--suppress-health-check", "all", "--warnings", "off"),
            cwd=folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = (await process.communicate())[0].decode(errors="replace")
    found = Found(cases=int((re.findall(r"(\d+) generated", said) or ["0"])[-1]))
    if process.returncode or not found.cases:
        found.faults += [said[-3000:]]
    return found


EXCEPT = (
    "positive_data_acceptance",  # a schema cannot say all that is refused, such as time zones that there are not
    "use_after_free",  # a checkout that was cancelled is still told of: that is what it is kept for
    "ensure_resource_availability",  # cancelling a checkout that nobody has reported is no error
)
"""Checks of schemathesis that ask for something else than is promised."""


async def described_with_a_key(daemon: Daemon, rng: random.Random, until: float) -> Found:
    """As `described`, by a caller who may do everything."""
    return await described(daemon, rng, until, key=KEY)


PARTS: Mapping[str, Part] = {
    "described": described,
    "described-with-a-key": described_with_a_key,
    "reports": reports,
    "webhooks": webhooks,
    "platforms": platforms,
    "bounces": bounces,
    "provider-events": provider_events,
    "tokens": tokens,
    "settings": settings,
    "templates": templates,
}  # type: ignore[dict-item]


async def _sent(daemon: Daemon, until: float, make: Callable[[], tuple[str, bytes, dict[str, str]]]) -> Found:
    found = Found()
    async with client_of(daemon) as client:
        while time.monotonic() < until:
            path, body, headers = make()
            watch = Stopwatch(daemon.process.pid)
            try:
                status = (await client.post(path, content=body, headers=headers)).status_code
            except httpx.TransportError as exc:
                if len(body) <= LONGEST_BODY:  # of a longer one, the answer may go under in what is still being sent
                    found.faults.append(f"{type(exc).__name__} for {path} {body[:200]!r}")
                status = 413
            found.answered(status, watch.seconds(), f"{path} {body[:200]!r}")
    return found


@contextmanager
def _within(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    def ring(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
