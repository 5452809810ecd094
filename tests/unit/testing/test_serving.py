"""The kit over HTTP: `recovery serve --in-memory`."""

import json
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

from recovery.settings.given import set_in
from recovery.testing import RecoveryKit
from recovery.testing.http import ask
from recovery.testing.serving import PATHS, KitApplication
from tests.support.kits import checkout, order
from tests.support.paths import ROOT

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def app():
    return KitApplication(RecoveryKit)


async def post(app, path, body):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await ask(app, "POST", path, content, JSON)


def body_of(report):
    return report.model_dump(mode="json", exclude_none=True)


async def test_a_suite_in_any_language_reports_advances_and_reads_mails(app):
    """The story of the kit, over HTTP."""
    assert (await post(app, "/checkout", body_of(checkout()))).status == 202
    answer = (await post(app, "/clock/advance", {"minutes": 31})).json()
    assert answer["now"] == "2026-03-05T12:31:00+00:00"
    (mail,) = answer["mails"]
    assert (mail["to"], mail["step"], mail["order_id"]) == ("ada@example.com", "reminder-1", "1042")
    assert "Lamp" in mail["text"]
    assert mail["links"][0] == "https://shop.example/checkouts/1042"
    assert (await post(app, "/order", body_of(order()))).status == 202
    assert (await post(app, "/clock/advance", {"to": "2026-03-09T12:00:00Z"})).status == 200
    mails = (await ask(app, "GET", "/mails")).json()["mails"]
    assert [mail["step"] for mail in mails] == ["reminder-1", "confirmation"]
    history = (await ask(app, "GET", "/checkouts/shop.example/1042")).json()["history"]
    assert history[-1]["decision"] == "sent confirmation"


async def test_a_reset_forgets_everything(app):
    """Each test of a suite begins with nothing, at the same time."""
    await post(app, "/checkout", body_of(checkout()))
    await post(app, "/clock/advance", {"days": 4})
    assert (await post(app, "/reset", b"")).json() == {"now": "2026-03-05T12:00:00+00:00"}
    assert (await ask(app, "GET", "/mails")).json() == {"mails": []}
    assert (await ask(app, "GET", "/clock")).json() == {"now": "2026-03-05T12:00:00+00:00"}
    assert (await ask(app, "GET", "/checkouts/shop.example/1042")).status == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"days": -1}, "days"),
        ({"days": "x"}, "days"),
        ({"days": None}, "days"),
        ({"days": 1e300}, "days"),
        (b'{"days": NaN}', "days"),
        (b'{"seconds": Infinity}', "seconds"),
        ({"weeks": 1}, "weeks"),
        ([], "body"),
        (b"null", "body"),
        (b"\xff", "body"),
        (b"[" * 9000, "body"),
        ({"to": "2026-03-09T12:00:00"}, "to"),
        ({"to": 5, "days": 1}, "to"),
        ({"to": "2026-03-05T11:59:59Z"}, "to"),
        ({"to": "9999-12-31T00:00:00Z"}, "year"),
        ({"to": "2026-03-09T12:00:00Z", "days": 1}, "to"),
    ],
)
async def test_bad_input_is_a_problem_that_names_the_field(app, body, field):
    """The clock stays where it is, and the answer says what is wrong."""
    answer = await post(app, "/clock/advance", body)
    assert (answer.status, answer.headers["content-type"]) == (422, "application/problem+json")
    assert field in answer.json()["detail"]
    assert (await ask(app, "GET", "/clock")).json() == {"now": "2026-03-05T12:00:00+00:00"}


async def test_what_is_too_long_is_refused(app):
    """A body of megabytes is not read to its end."""
    assert (await post(app, "/clock/advance", b" " * 5_000_000)).status == 413


@pytest.mark.parametrize("path", PATHS)
async def test_a_web_page_of_another_host_cannot_call_it(app, path):
    """A name that a stranger made lead to this machine is refused, as by the daemon without keys."""
    for method in ("GET", "POST"):
        answer = await ask(app, method, path, b"{}", {"Host": "evil.example"})
        assert answer.status in (403, 405)


def ran(folder, *options, **environment):
    """Run the command where nothing is configured but this."""
    command = [sys.executable, "-m", "recovery", "serve", *options]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", **environment}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100)


@pytest.mark.parametrize(
    ("environment", "toml", "named"),
    [
        ({"RECOVERY_MONGODB__URI": "mongodb://db.example"}, "", "RECOVERY_MONGODB__URI"),
        ({"RECOVERY_SMTP__HOST": "relay.example"}, "", "RECOVERY_SMTP__HOST"),
        ({"RECOVERY_MONGODB__URI_FILE": "/run/secrets/uri"}, "", "RECOVERY_MONGODB__URI_FILE"),
        ({}, '[mongodb]\nuri = "mongodb://db.example"\n', "mongodb.uri in config/recovery.toml"),
        ({}, '[mongodb]\nuri_file = "/run/secrets/uri"\n', "mongodb.uri in config/recovery.toml"),
        ({}, '[smtp]\nhost = "relay.example"\n', "smtp.host in config/recovery.toml"),
        ({"RECOVERY_MONGODB__URI": ""}, '[schedule]\nmin_gap = "1h"\n', None),
    ],
)
def test_real_settings_are_found_wherever_they_are(tmp_path, monkeypatch, environment, toml, named):
    """A database or a relay that is set anywhere shows that this is no place for tests."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config/recovery.toml").write_text(toml)
    monkeypatch.chdir(tmp_path)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert set_in(("mongodb.uri", "smtp.host")) == ([named] if named else [])


def test_it_does_not_start_beside_real_settings(tmp_path):
    """One sentence says which setting, and what to do; the URI is not shown."""
    done = ran(tmp_path, "--in-memory", RECOVERY_MONGODB__URI="mongodb://user:hush@db.example")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("recovery: recovery serve --in-memory does not start beside")
    assert "(RECOVERY_MONGODB__URI)" in done.stderr
    assert "hush" not in done.stderr


def test_it_is_for_tests_alone(tmp_path):
    """Without the option it says what it is for."""
    done = ran(tmp_path)
    assert (done.returncode, "recovery serve needs --in-memory" in done.stderr) == (1, True)


def test_it_serves_until_it_is_stopped(tmp_path):
    """The command says where it listens, answers, and ends with 0 at SIGTERM."""
    command = [sys.executable, "-m", "recovery", "serve", "--in-memory", "--port", "0"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            address = re.search(r"http://[\d.:]+\d", process.stdout.readline())[0]
            with urllib.request.urlopen(f"{address}/clock") as answer:
                assert json.load(answer) == {"now": "2026-03-05T12:00:00+00:00"}
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()
