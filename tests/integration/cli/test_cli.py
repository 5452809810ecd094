"""The command line as a person meets it: what it prints, and that what goes wrong is a sentence."""

import asyncio
import socket
import subprocess
import sys
from email import message_from_bytes, policy
from pathlib import Path

import dkim
import pytest
from typer.testing import CliRunner

from recovery import SyncRecovery, cli
from recovery.domain.state import Cause
from recovery.engine.writes import DeadLetter
from recovery.mail.dkim import load_key
from recovery.testing.mongod import find_mongod, free_port
from tests.support.builders import NOON, report


def test_help_tells_every_command(call):
    """The help lists every command."""
    result = CliRunner().invoke(cli.cli, ["--help"])
    for command in ("run", "demo", "check", "init", "preview", "send-test", "templates", "show", "dead", "suppress"):
        assert command in result.output


def test_init_makes_ready_what_check_then_finds_well(call, at):
    """`check` names missing collections and says to run `init`; after `init` the database passes."""
    code, out, _ = call("check", **at)
    assert code == 1
    assert "collection checkouts is missing" in out
    assert "recovery init" in out
    code, out, _ = call("init", **at)
    assert (code, "Created collection checkouts." in out) == (0, True)
    assert call("init", **at)[1] == "Everything is there already.\n"
    assert "✓ collections and indexes" in call("check", **at)[1]


async def test_check_is_content_when_all_is_well(call, at, relay):
    """With a prepared database and a working relay, every check passes."""
    await asyncio.to_thread(call, "init", **at)
    code, out, _ = await asyncio.to_thread(call, "check", **at, SMTP__PORT=str(relay.port))
    assert code == 0, out
    assert out.count("✓") == 4


async def test_check_says_what_the_warm_up_will_be(call, at, relay):
    """The numbers that follow from the settings, so that a wrong one is seen before it is sent by."""
    await asyncio.to_thread(call, "init", **at)
    settings = {"SMTP__PORT": str(relay.port), "WARMUP__FROM": "2026-12-01", "WARMUP__GROWTH": "2"}
    code, out, _ = await asyncio.to_thread(call, "check", **at, **settings)
    assert code == 0, out
    assert "✓ warm-up (50 messages on 2026-12-01, then 2 times as many each day, 10 days)" in " ".join(out.split())


def in_a_process(command, uri, **settings):
    """Call `recovery` as a process: PyMongo does not close the sockets of a server that it cannot use."""
    binary = Path(sys.executable).with_name("recovery")
    env = {f"RECOVERY_{name}": value for name, value in {"MONGODB__URI": uri, **settings}.items()}
    done = subprocess.run([binary, command], env=env, cwd="/", capture_output=True, text=True, check=False)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def test_check_says_how_to_fix_what_is_missing():
    """Without a database and a relay each is named, with what to do."""
    code, out = in_a_process("check", "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100", SMTP__PORT="1")
    assert code == 1
    assert "MongoDB cannot be reached (" in out
    assert "start it, or fix mongodb.uri." in out
    assert "start the relay" in out


@pytest.fixture
def lone_mongod(tmp_path):
    """A mongod of its own, started with the given options and nothing done to it."""
    started = []

    def start(*options):
        folder = tmp_path / "data"
        folder.mkdir()
        port = free_port()
        process = subprocess.Popen(
            [
                *(find_mongod(), "--dbpath", folder, "--port", str(port), "--bind_ip", "127.0.0.1"),
                *("--nounixsocket", "--logpath", tmp_path / "log", *options),
            ]
        )
        started.append(process)
        return f"mongodb://127.0.0.1:{port}/?replicaSet=rs0&serverSelectionTimeoutMS=1000"

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_init_makes_a_fresh_node_a_replica_set(lone_mongod):
    """A new mongod with --replSet is reported as not initiated, and `init` initiates it."""
    uri = lone_mongod("--replSet", "rs0")
    _, said = in_a_process("check", uri)
    assert "is not initiated yet: run recovery init" in said
    code, said = in_a_process("init", uri)
    assert code == 0, said
    assert "Made the server a replica set of one node." in said


def test_a_standalone_mongod_is_refused_with_what_to_do(lone_mongod):
    """Without --replSet nothing can be watched: `run`, `init` and `check` say so, and how to change it."""
    uri = lone_mongod()
    for command in ("run", "init", "check"):
        code, said = in_a_process(command, uri)
        assert code == 1
        assert "start mongod with --replSet rs0, then run recovery init." in said


def test_preview_shows_the_words_of_a_mail(call):
    """Without a file the subject and the text are printed."""
    code, out, _ = call("preview", "reminder-1")
    assert code == 0
    assert out.startswith("Subject: ")
    assert "Arc floor lamp" in out


@pytest.mark.parametrize("name", ["mail.html", "mail.txt", "mail.eml"])
def test_preview_writes_a_file(call, tmp_path, name):
    """A file gets the HTML, the text or the whole message, by its ending."""
    assert call("preview", "confirmation", "-o", name)[0] == 0
    content = (tmp_path / name).read_bytes()
    if name.endswith("eml"):
        content = message_from_bytes(content, policy=policy.default).get_body(("html",)).get_content().encode()
    assert b"Arc floor lamp" in content


def test_preview_speaks_the_language_that_is_asked_for(call):
    """With a locale, sample and words are those of its language."""
    _, out, _ = call("preview", "reminder-1", "--locale", "de-CH")
    assert out.startswith("Subject: Noch in Ihrem Warenkorb: Bogenleuchte\n")


def test_preview_opens_the_browser(call, monkeypatch):
    """The HTML is written and shown; without a browser, the file's path is printed."""
    shown = []
    monkeypatch.setattr("webbrowser.open", lambda address: shown.append(address) or True)
    assert call("preview", "reminder-1", "--open")[0] == 0
    assert "Arc floor lamp" in Path(shown[0].removeprefix("file://")).read_text()
    monkeypatch.setattr("webbrowser.open", lambda address: False)
    code, _, complaint = call("preview", "reminder-1", "--open", "-o", "mail.html")
    assert (code, "open mail.html in one" in complaint) == (1, True)


def test_preview_shows_a_real_checkout(call, at, mongodb, database_name):
    """With a checkout's name the mail is that which its customer gets."""
    with SyncRecovery(mongodb, database=database_name) as recovery:
        recovery.checkout(report(checkout_url="https://shop.example/c/1"))
    code, out, _ = call("preview", "reminder-2", "--checkout", "shop.example/1", **at)
    assert code == 0
    assert "2 × Lamp: €25.00" in out
    assert "https://shop.example/c/1" in out
    assert (
        "There is no checkout shop.example/2" in call("preview", "reminder-2", "--checkout", "shop.example/2", **at)[2]
    )


async def test_a_test_mail_goes_through_the_relay(call, at, relay):
    """An address on the list gets the mail, marked as a test; what the relay says is printed, nothing is recorded."""
    await asyncio.to_thread(call, "init", **at)
    allowed = {"MAIL__TEST_RECIPIENTS": "bob@example.org, @lamps.example", "SMTP__PORT": str(relay.port)}
    for to in ("Ada@Lamps.example", "bob@example.org"):
        code, out, complaint = await asyncio.to_thread(
            call, "send-test", "reminder-1", "--to", to, "--locale", "ja", **allowed
        )
        assert code == 0, complaint
        assert out.startswith(f"Sent to {to}. The relay replied: 250 ")
    messages = [message_from_bytes(mail.content, policy=policy.default) for mail in relay.mails]
    assert [message["To"].addresses[0].addr_spec.lower() for message in messages] == [
        "ada@lamps.example",
        "bob@example.org",
    ]
    assert [message["Subject"][:8] for message in messages] == ["[test] 「"] * 2
    assert len({message["Message-ID"] for message in messages}) == 2


@pytest.mark.parametrize("to", ["eve@example.com", "ada@evil.lamps.example", "@lamps.example.org", "bob"])
def test_a_test_mail_goes_to_nobody_else(call, to):
    """An address that is not on the list is refused before anything is connected to, with what to do."""
    code, _, complaint = call(
        "send-test", "reminder-1", "--to", to, MAIL__TEST_RECIPIENTS="bob@example.org,@lamps.example"
    )
    assert code == 1
    assert f"{to} is not among mail.test_recipients" in complaint


async def test_a_test_mail_that_is_refused_is_reported(call, at, relay):
    """What the relay says against it is the complaint, and the exit code is 1."""
    await asyncio.to_thread(call, "init", **at)
    relay.answer("RCPT", "550 5.1.1 no such person")
    told = {"MAIL__TEST_RECIPIENTS": "@b.example", "SMTP__PORT": str(relay.port)}
    code, _, complaint = await asyncio.to_thread(call, "send-test", "confirmation", "--to", "a@b.example", **told)
    assert code == 1
    assert "The mail was not accepted (dead address): 550 5.1.1 no such person" in complaint


def test_lint_prints_the_faults_of_the_templates(call, tmp_path):
    """Faults are printed with file, line and what to do, and are the exit code; warnings alone are not."""
    assert call("templates", "lint")[:2] == (0, "✓ 4 mails are in order\n")
    (tmp_path / "words.fr.toml").write_text('language = "fr"')
    code, out, _ = call("templates", "lint", MAIL__TEMPLATES=str(tmp_path))
    assert code == 0
    assert f"! {tmp_path}/words.fr.toml: no button, coupon" in out
    (tmp_path / "reminder-1.txt.j2").write_text("Hello\n{{ nonsense }}")
    code, out, _ = call("templates", "lint")
    assert code == 1
    assert f"✗ {tmp_path}/reminder-1.txt.j2, line 2: 'nonsense' is undefined\n  Use one of brand," in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["preview", "reminder-1", "--checkout", "nonsense"], "is not of the form SHOP/ORDER"),
        (["send-test", "nope", "--to", "a@b.example"], "There is no step nope"),
        (["preview", "nope"], "There is no step nope; there are reminder-1"),
        (["preview", "reminder-1", "-o", "mail.pdf"], "must end in .html, .txt or .eml"),
        (["preview", "reminder-1", "-o", "nowhere/mail.html"], "cannot be written"),
        (["show", "nonsense"], "is not of the form SHOP/ORDER"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(call, arguments, sentence):
    """A mistake in the words of a call is answered by what was wrong with them."""
    code, _, complaint = call(*arguments)
    assert code == 1
    assert sentence in complaint
    assert "Traceback" not in complaint


def test_a_wrong_setting_stops_the_start(call):
    """The sentence names the setting by both its names."""
    code, _, complaint = call("run", SMTP__PORT="many")
    assert code == 1
    assert "smtp.port (RECOVERY_SMTP__PORT" in complaint


def test_a_broken_template_stops_the_start(call, tmp_path):
    """A shop's template with a mistake is named with file and line before anything is sent."""
    (tmp_path / "reminder-1.txt.j2").write_text("Hello\n{{ nonsense }}")
    code, _, complaint = call("run", MAIL__TEMPLATES=str(tmp_path))
    assert code == 1
    assert "reminder-1.txt.j2" in complaint


@pytest.fixture
def signing(tmp_path):
    """The settings that have mails signed by a new key."""
    subprocess.run(["openssl", "genrsa", "-out", tmp_path / "dkim.pem", "2048"], check=True, capture_output=True)
    key = {"DKIM__PRIVATE_KEY_FILE": str(tmp_path / "dkim.pem")}
    return {"DKIM__DOMAIN": "shop.example", "DKIM__SELECTOR": "mails", **key}


def test_mails_are_signed_where_there_is_a_key(call, tmp_path, signing):
    """With a key made by openssl, dkimpy verifies the signature of a mail."""
    assert call("preview", "reminder-1", "-o", "mail.eml", **signing)[0] == 0
    public = load_key(tmp_path / "dkim.pem").public
    assert dkim.verify((tmp_path / "mail.eml").read_bytes(), dnsfunc=lambda name, timeout: f"p={public}".encode())


@pytest.mark.parametrize("command", ["run", "check"])
def test_an_invalid_key_is_reported(call, at, tmp_path, signing, command):
    """A file that is not a key stops the start and fails the check, with its name and the fix."""
    (tmp_path / "dkim.pem").write_text("nonsense")
    code, out, complaint = call(command, **at, **signing)
    assert code == 1
    assert "dkim.pem is not a private key in PEM" in out + complaint


def test_check_mail_works_through_the_list(call):
    """With the defaults, which mail nobody, the check says so and how to fix it, and exits 1."""
    code, out, _ = call("check", "--mail")
    assert code == 1
    assert "✗ the sender is the shop's own" in out
    assert "set mail.sender to an address in the shop's own domain" in out
    assert "! DKIM" in out


def test_show_tells_where_a_checkout_stands(call, at, mongodb, database_name):
    """State, customer and total are shown; an unknown checkout is an error."""
    with SyncRecovery(mongodb, database=database_name) as recovery:
        recovery.checkout(report())
    code, out, _ = call("show", "shop.example/1", **at)
    assert code == 0
    assert "shop.example/1  open" in out
    assert "25.00 EUR" in out
    assert "There is no checkout shop.example/2" in call("show", "shop.example/2", **at)[2]


def test_a_fault_of_ours_is_no_traceback(call, monkeypatch):
    """An unexpected error is a sentence, too, and says how to get the traceback."""
    monkeypatch.setattr(cli, "load", lambda: 1 / 0)
    code, _, complaint = call("check")
    assert code == 1
    assert "unexpected error (ZeroDivisionError" in complaint
    assert "Traceback" not in complaint


def test_health_says_when_it_cannot_tell(call):
    """Without HTTP, health cannot be checked, and the error says so."""
    assert "http.enabled is off" in call("health", HTTP__ENABLED="false")[2]


def test_a_port_in_use_is_a_sentence_and_nothing_else(call, at):
    """`run` opens its port before it starts anything, so nothing is logged of tasks that had to stop again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, complaint = call("run", **at, HTTP__PORT=str(port))
    assert (code, out) == (1, "")
    assert complaint.startswith(f"recovery: Cannot listen on 127.0.0.1 port {port} (")


@pytest.fixture
def letters(at, mongodb, database_name):
    """Two dead letters: of a checkout that is still open, and of one that was cancelled since."""
    with SyncRecovery(mongodb, database=database_name) as recovery:
        for order_id in ("open", "gone"):
            recovery.checkout(report(order_id))
            dead = {"$set": {"messages.reminder-1": {"state": "dead", "attempts": 5, "reason": "dead message"}}}
            recovery._recovery._checkouts.update_one({"_id": f"shop.example/{order_id}"}, dead)
            letter = DeadLetter(f"shop.example/{order_id}", "reminder-1", Cause.DEAD_MESSAGE, "554 no", NOON, 5)
            kept = {"checkout": letter.checkout, "step": letter.step, "cause": letter.cause, "at": letter.at}
            errors = [{"at": letter.at, "error": letter.error}]
            recovery._own[database_name]["dead_letters"].insert_one(
                {"_id": letter.id, "error": letter.error, "errors": errors, "attempts": 5, **kept}
            )
        recovery.cancel("shop.example", "gone")
    return at


def test_dead_letters_are_listed_and_shown(call, letters):
    """The list names each with its cause; one is shown with its errors and where to look further."""
    code, out, _ = call("dead", "list", **letters)
    assert code == 0
    assert out.count("554 no") == 2
    code, out, _ = call("dead", "show", "shop.example/open#reminder-1")
    assert "554 no" in out
    assert "recovery show shop.example/open" in out
    assert "There is no dead letter nope" in call("dead", "show", "nope")[2]


def test_a_dry_run_foretells_and_does_nothing(call, letters):
    """`replay --dry-run` says who would be written to; nothing is changed by it."""
    code, out, _ = call("dead", "replay", "--all", "--dry-run", **letters)
    assert code == 0
    assert "shop.example/open#reminder-1: would send reminder-1" in out
    assert "shop.example/gone#reminder-1: would not be sent: cancelled" in out
    said = call("dead", "replay", "--cause", "dead message")[1]
    assert "shop.example/open#reminder-1: will send reminder-1\n" in said
    assert said.endswith("\nReplayed 2 of 2.\n")
    assert call("dead", "list")[1] == "There are no dead letters.\n"


def test_everything_is_replayed_or_dropped_only_if_asked_for(call, letters):
    """Without an id, a filter or --all nothing happens, and the error says what is needed."""
    for command in ("replay", "drop"):
        code, _, complaint = call("dead", command, **letters)
        assert code == 1
        assert "or say --all" in complaint
    assert "would be deleted" in call("dead", "drop", "--all", "--dry-run")[1]
    assert call("dead", "drop", "shop.example/open#reminder-1")[1] == "Deleted 1.\n"
    assert "no such dead letter" in call("dead", "drop", "shop.example/open#reminder-1")[2]
    assert "--older-than soon" in call("dead", "drop", "--older-than", "soon")[2]
