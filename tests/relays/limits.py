"""The relays, each with a limit that providers have, and how long that limit takes for a burst."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.relays.services import PASSWORD, USER, greylist, logins
from tests.support.exim import exim
from tests.support.postfix import postfix
from tests.support.smtp_servers import RecordingRelay, _Fault

GREYLISTED_FOR = 3.0
RETRY_AFTER = 4.0
"""Seconds until the first retry, which finds the greylisting over. A greylisted burst takes at least as long."""

PER_SECOND = 5


@dataclass(frozen=True, slots=True)
class Running:
    """A relay that runs: its port, the settings of the daemon that go with it, and the server that gets the mails."""

    port: int
    inbox: RecordingRelay
    settings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limited:
    """A relay with a limit.

    `takes` is how many seconds the limit itself makes so many mails take, 0 where it is none of time. `local_part`
    begins the addresses.
    """

    name: str
    told: str
    run: Callable[[Path], AbstractAsyncContextManager[Running]]
    takes: Callable[[int], float] = lambda _: 0.0
    local_part: str = "customer"


def behind_postfix(**settings: str) -> Callable[[Path], AbstractAsyncContextManager[Running]]:
    """Return the context manager that runs Postfix with these settings."""

    @asynccontextmanager
    async def run(folder: Path) -> AsyncIterator[Running]:
        async with RecordingRelay() as inbox, postfix(folder, inbox.port, settings) as port:
            yield Running(port, inbox)

    return run


@asynccontextmanager
async def greylisting(folder: Path) -> AsyncIterator[Running]:
    """Run a Postfix that defers each recipient at first."""
    async with greylist(GREYLISTED_FOR) as policy:
        restrictions = f"check_policy_service inet:127.0.0.1:{policy}, permit_mynetworks, reject"
        async with behind_postfix(smtpd_recipient_restrictions=restrictions)(folder) as running:
            yield running


@asynccontextmanager
async def encrypted(folder: Path) -> AsyncIterator[Running]:
    """Run a Postfix that wants STARTTLS and a login."""
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout key.pem -out cert.pem -subj /CN=localhost"
    command += " -addext subjectAltName=IP:127.0.0.1"
    await asyncio.to_thread(subprocess.run, command.split(), cwd=folder, check=True, capture_output=True)
    async with logins() as port:
        settings = {
            "smtpd_tls_cert_file": str(folder / "cert.pem"),
            "smtpd_tls_key_file": str(folder / "key.pem"),
            "smtpd_tls_security_level": "encrypt",
            "smtpd_sasl_auth_enable": "yes",
            "smtpd_sasl_type": "dovecot",
            "smtpd_sasl_path": f"inet:127.0.0.1:{port}",
            "smtpd_relay_restrictions": "permit_sasl_authenticated, reject",
        }
        async with behind_postfix(**settings)(folder) as running:
            running.settings.update(
                RECOVERY_SMTP__TLS="starttls",
                RECOVERY_SMTP__USERNAME=USER,
                RECOVERY_SMTP__PASSWORD=PASSWORD,
                RECOVERY_SMTP__CA_FILE=str(folder / "cert.pem"),
            )
            yield running


@asynccontextmanager
async def short_sessions(folder: Path) -> AsyncIterator[Running]:
    """Run an Exim that takes 30 messages a connection."""
    most = {"smtp_accept_max_per_connection": "30"}
    async with RecordingRelay() as inbox, exim(folder, inbox.port, most) as port:
        yield Running(port, inbox)


class ThrottlingRelay(RecordingRelay):
    """Takes so many mails in each second of its clock, and refuses the others in the words of Amazon SES."""

    def __init__(self, per_second: int) -> None:
        super().__init__()
        self._per_second = per_second
        self._second = (0, 0)

    def _fault(self, phase: str, recipient: str) -> _Fault | None:
        if phase != "DOT":
            return super()._fault(phase, recipient)
        second, count = self._second
        now = int(time.time())
        if second != now:
            second, count = now, 0
        if count >= self._per_second:
            words = "454 Throttling failure: Maximum sending rate exceeded."
            return _Fault("DOT", "answer", words, None, None, keep_open=True)
        self._second = (second, count + 1)
        return None


@asynccontextmanager
async def throttling(folder: Path) -> AsyncIterator[Running]:
    """Run a relay that takes five mails a second."""
    del folder
    async with ThrottlingRelay(PER_SECOND) as relay:
        yield Running(relay.port, relay)


@asynccontextmanager
async def told_its_rate(folder: Path) -> AsyncIterator[Running]:
    """Run a relay that takes five mails a second, and a daemon whose settings say so."""
    async with throttling(folder) as running:
        running.settings["RECOVERY_SMTP__RATE"] = f"{PER_SECOND}/s"
        yield running


LIMITED = [
    Limited("postfix-plain", "Postfix as it comes, beside which the others are seen", behind_postfix()),
    Limited(
        "postfix-connections",
        "Postfix, 5 connections at most",
        behind_postfix(smtpd_client_connection_count_limit="5"),
    ),
    Limited(
        "postfix-rate",
        "Postfix, 300 messages in 10 s",
        behind_postfix(smtpd_client_message_rate_limit="300", anvil_rate_time_unit="10s"),
        takes=lambda count: 10.0 * ((count - 1) // 300),
    ),
    Limited("postfix-greylist", "Postfix, greylisting", greylisting, takes=lambda _: RETRY_AFTER),
    Limited("postfix-login", "Postfix, STARTTLS and a login", encrypted),
    Limited(
        "postfix-utf8", "Postfix, SMTPUTF8 addresses", behind_postfix(smtputf8_enable="yes"), local_part="jürgen.佐藤"
    ),
    Limited(
        "postfix-lockstep",
        "Postfix, pipelining forbidden",
        behind_postfix(smtpd_discard_ehlo_keywords="pipelining,chunking", smtpd_forbid_unauth_pipelining="yes"),
    ),
    Limited("exim-sessions", "Exim, 30 messages a connection", short_sessions),
    Limited(
        "throttled",
        "5 a second, 454 Throttling failure",
        throttling,
        takes=lambda count: float((count - 1) // PER_SECOND),
    ),
    Limited(
        "told",
        "the same, with smtp.rate = 5/s",
        told_its_rate,
        takes=lambda count: float((count - 1) // PER_SECOND),
    ),
]
