"""Bounces on a real MongoDB and over real HTTP, by what docs/bounces.md says to do."""

import asyncio
import contextlib
import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from urllib.error import HTTPError

import pytest
from prometheus_client import CollectorRegistry

from recovery.daemon.metrics import Telemetry
from recovery.domain.suppression import SuppressionReason
from recovery.http.app import create_app
from recovery.http.server import listen, serve
from recovery.mongo.suppressions import Suppressions
from recovery.settings import load_settings
from tests.support.configurations import LONGEST_BODY
from tests.support.feedback import feedback
from tests.support.paths import ROOT
from tests.support.ports_in_memory import SetClock

GUIDE = (ROOT / "docs/bounces.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", GUIDE, re.DOTALL)
SECRET = "a secret of some length"
SHOP, ADA = "shop.example", "ada@example.com"

DELIVERY = """\
From MAILER-DAEMON  Thu Mar  5 12:00:00 2026
Return-Path: <>
Delivered-To: {to}
Message-ID: <1@mx>
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx

Final-Recipient: rfc822; moved@other.example
Action: failed
Status: 5.1.1

--b--
"""


class Server:
    """Recovery's HTTP side on a real database, with the time of the machine."""

    def __init__(self, database):
        clock = SetClock(datetime.now(UTC))
        of_memory = feedback()
        self.links = of_memory.links.default
        self.suppressions = Suppressions(database, of_memory.pseudonyms)
        feedback_ = feedback(suppressions=self.suppressions, clock=clock, bounce_secrets=(SECRET,))
        options = {"api_keys": (), "registry": CollectorRegistry(), "observer": Telemetry(CollectorRegistry())}
        self.app = create_app(None, feedback_, readiness=None, max_body=LONGEST_BODY, **options)
        self.url = None

    async def reason(self, shop=SHOP):
        """Return why Ada is not written to by a shop, or None."""
        found = await self.suppressions.of([(shop, ADA)])
        return found[shop, ADA].reason if found else None


@pytest.fixture
async def server(database):
    server = Server(database)
    stop = asyncio.Event()
    port = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(server.app, listen("127.0.0.1", 0), stop=stop, on_listening=port.set_result))
    server.url = f"http://127.0.0.1:{await port}/bounces"
    yield server
    stop.set()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.fixture
def report_bounce(tmp_path, server):
    """Run the script of the guide; return its exit code, its complaint, and what it has kept."""
    script = next(text for kind, text in BLOCKS if kind == "sh" and text.startswith("#!/bin/sh"))
    (tmp_path / "report-bounce").write_text(script)
    (tmp_path / "report-bounce").chmod(0o700)
    (tmp_path / "kept").mkdir()

    async def run(mail, *, secret=SECRET, url=None):
        (tmp_path / "secret").write_text(f"{secret}\n")
        process = await asyncio.create_subprocess_exec(
            *(tmp_path / "report-bounce", url or server.url, tmp_path / "secret", tmp_path / "kept"),
            stdin=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)},
        )
        _, complaint = await process.communicate(mail.encode())
        return process.returncode, complaint.decode(), [path.read_text() for path in (tmp_path / "kept").iterdir()]

    return run


async def test_the_script_reports_a_bounce(server, report_bounce, tmp_path):
    """A bounce that Postfix pipes through the guide's script makes the address dead, for all shops."""
    mail = DELIVERY.format(to=server.links.return_path(SHOP, ADA))
    assert await report_bounce(mail) == (0, "", [])
    assert await server.reason() is SuppressionReason.HARD_BOUNCE
    assert await server.reason("other.example") is SuppressionReason.HARD_BOUNCE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "report-bounce", "secret"]


async def test_the_script_keeps_what_is_no_report(server, report_bounce):
    """A mail that is not a report is put into the folder, and the script exits with success."""
    mail = re.search(r"printf '(.*?)' \| report-bounce", GUIDE)[1].replace(r"\n", "\n")
    assert await report_bounce(mail) == (0, "", [mail])
    assert await server.reason() is None


async def test_the_script_has_the_mail_kept_while_it_is_not_taken(server, report_bounce):
    """A wrong secret, and a Recovery that is not there, leave the mail with Postfix."""
    mail = DELIVERY.format(to=server.links.return_path(SHOP, ADA))
    assert await report_bounce(mail, secret="another secret") == (75, "Recovery answered 401\n", [])
    code, complaint, kept = await report_bounce(mail, url="http://127.0.0.1:1/bounces")
    assert (code, kept) == (75, [])
    assert "connect" in complaint
    assert await server.reason() is None


async def test_an_event_is_reported_from_python(server):
    """The guide's function reports the guide's event; what is wrong with another is raised."""
    namespace = {}
    exec(next(text for kind, text in BLOCKS if kind == "python"), namespace)
    event = json.loads(next(text for kind, text in BLOCKS if kind == "json"))
    await asyncio.to_thread(namespace["report"], server.url, SECRET, event)
    assert await server.reason() is SuppressionReason.HARD_BOUNCE
    with pytest.raises(HTTPError, match="401"):
        await asyncio.to_thread(namespace["report"], server.url, "another secret", event)


def test_the_settings_of_the_guide_hold(monkeypatch, tmp_path):
    """The settings that the guide shows load."""
    monkeypatch.chdir(tmp_path)
    settings = next(text for _, text in BLOCKS if text.startswith("RECOVERY_"))
    for line in settings.splitlines():
        name, _, value = line.partition("=")
        if name.endswith("_FILE"):
            (tmp_path / Path(value).name).write_text("a key of some length\n")
            value = str(tmp_path / Path(value).name)
        monkeypatch.setenv(name, value)
    assert load_settings().bounces.return_path == "bounces@bounce.shop.example"
