"""`recovery demo` as people run it: the afternoon, its table, what `--keep` leaves, and that nothing is left behind."""

import asyncio
import io
import os
import re
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import structlog
from pymongo import AsyncMongoClient
from rich.console import Console

from recovery import demo
from recovery.app import daemon as app
from recovery.app.factories import CannotStart
from recovery.demo import configuration, play, show
from recovery.demo.inbox import Inbox
from tests.support.chromium import chromium

BINARY = Path(sys.executable).with_name("recovery")

AFTERNOON = 20
"""How many mails the afternoon calls for."""

ONLY_CLARA = """
from recovery.cli import main
from recovery.demo import configuration, show
story = show.afternoon()
show.afternoon = lambda: story.model_copy(update={"checkouts": story.checkouts[2:3]})
configuration.DELAYS = ("1s", "2500ms", "4s")
main()
"""
"""The demo with one customer of the afternoon, who never comes back, and the steps nearer to each other."""

pytestmark = pytest.mark.timeout(120)


class Shown:
    """A running `recovery demo`, and what it has said so far, on both streams."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.text = ""
        self._grown = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while chunk := await self.process.stdout.read(4096):
            self.text += chunk.decode()
            self._grown.set()
        self._grown.set()

    async def said(self, words: str, within: float = 60) -> None:
        """Wait until it has said this."""
        async with asyncio.timeout(within):
            while words not in self.text:
                assert not self._reading.done(), self.text
                self._grown.clear()
                await self._grown.wait()

    async def ended(self, within: float = 60) -> int:
        """Return its exit code once it has ended."""
        async with asyncio.timeout(within):
            await self._reading
            return await self.process.wait()

    def address(self, what: str) -> str:
        """Return an address that it has printed."""
        return re.search(rf"^{re.escape(what)} +(http://127\.0\.0\.1:\d+\S*)$", self.text, re.MULTILINE)[1]


@asynccontextmanager
async def showing(*arguments: str, temporary: Path, command: tuple[str, ...] = (str(BINARY),), **variables: str):
    """Run the demo with its temporary files in a folder of their own."""
    process = await asyncio.create_subprocess_exec(
        *(*command, "demo", *arguments),
        env={"PATH": os.environ["PATH"], "TMPDIR": str(temporary), **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield Shown(process)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


def traces(temporary: Path) -> list[str]:
    """Return the files that are left in a folder and the processes that use it."""
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if os.access(path, os.R_OK)]
    return [*map(str, temporary.iterdir()), *(str(line) for line in commands if str(temporary).encode() in line)]


async def test_the_afternoon_comes_out_as_the_schedule_says(tmp_path, mongodb):
    """It exits 0 with a table of every customer, and settings that are meant for others do not touch it."""
    async with showing(temporary=tmp_path, RECOVERY_SMTP__HOST="relay.example.com") as shown:
        assert await shown.ended() == 0, shown.text
    # On a busy machine, an order may come after a reminder was due: then there is one mail more, and rightly so.
    due, sent = map(int, re.search(r"(\d+) of (\d+) mails; lateness p50", shown.text).groups())
    assert AFTERNOON <= due == sent <= AFTERNOON + 2
    assert "All is as the schedule says." in shown.text
    table = shown.text.partition("Who got what")[2]
    for name in ("Ada Whitlock", "Clara Schönfeld", "佐藤 花子", "Gustavo Lima", "June Park"):
        assert name in table
    assert traces(tmp_path) == []


async def test_what_is_kept_can_be_looked_at_and_ends_on_request(tmp_path, mongodb):
    """The API's description, its health and each mail are there; on SIGTERM all of it ends with 0 and is gone."""
    command = (sys.executable, "-c", ONLY_CLARA)
    async with showing("--keep", temporary=tmp_path, command=command, RECOVERY_MONGODB__URI=mongodb) as shown:
        await shown.said("Ctrl-C")
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(shown.address("The API"))).status_code == 200
            assert (await client.get(shown.address("Is it well?"))).json()["ready"]
            assert "3 mails" in (await client.get(shown.address("The inbox"))).text
        await look_at_a_mail(shown.address("The inbox"))
        shown.process.send_signal(signal.SIGTERM)
        assert await shown.ended(within=15) == 0
    assert "Traceback" not in shown.text
    async with AsyncMongoClient(mongodb) as mongo:
        assert not [name for name in await mongo.list_database_names() if name.startswith("recovery-demo")]
    assert traces(tmp_path) == []


async def look_at_a_mail(page_address: str) -> None:
    """Open the inbox in a browser, click the German customer's last reminder, and read it, in German."""
    async with chromium() as browser:
        page = await browser.new_page()
        await page.goto(page_address)
        await page.get_by_role("link", name="Clara Schönfeld").first.click()
        mail = page.frame_locator("iframe")
        await mail.get_by_text("Paper moon pendant").first.wait_for()
        assert await mail.get_by_text("173,80").first.is_visible()
        await page.get_by_role("link", name="Text").click()
        await mail.get_by_text("Bestellung abschließen").first.wait_for()


@pytest.mark.parametrize("moment", ["Starting a throw-away MongoDB", "Ben Carter leaves"])
async def test_it_can_be_stopped_at_any_time(tmp_path, mongodb, moment):
    """Ctrl-C while it starts or in the middle ends it with 130, without a traceback and without a trace."""
    async with showing(temporary=tmp_path) as shown:
        await shown.said(moment)
        shown.process.send_signal(signal.SIGINT)
        assert await shown.ended(within=30) == 130, shown.text
    assert "Traceback" not in shown.text
    assert traces(tmp_path) == []


async def test_without_its_extra_it_says_what_to_install(tmp_path):
    """The command line works without the extra; the demo says in a sentence how to get it."""
    for module in demo.EXTRA:
        code = f"import sys; sys.modules[{module!r}] = None; from recovery.cli import main; main()"
        async with showing(temporary=tmp_path, command=(sys.executable, "-c", code)) as shown:
            assert await shown.ended() == 1
        assert shown.text == f"recovery: The demo needs {module}: run pip install 'recovery[demo]'.\n"


async def test_a_wrong_address_is_told_in_a_sentence(tmp_path):
    """What is set as the database and is none ends the demo with a sentence."""
    async with showing(temporary=tmp_path, RECOVERY_MONGODB__URI="db.example:27017") as shown:
        assert await shown.ended() == 1
    assert "recovery: RECOVERY_MONGODB__URI must begin with mongodb:// or mongodb+srv://." in shown.text


@pytest.fixture
def short_afternoon(monkeypatch, mongodb):
    """An afternoon of one customer, who orders before the first reminder, with the steps a second apart."""
    story = show.afternoon()
    ben = story.model_copy(update={"checkouts": story.checkouts[1:2]})
    monkeypatch.setattr(show, "afternoon", lambda: ben)
    monkeypatch.setattr(configuration, "DELAYS", ("2500ms", "3s", "3500ms"))
    monkeypatch.setattr(play, "PATIENCE", 0.2)
    monkeypatch.setenv("RECOVERY_MONGODB__URI", mongodb)
    yield
    structlog.reset_defaults()


async def test_mails_that_are_not_as_the_schedule_says_make_it_fail(short_afternoon, monkeypatch):
    """A mail that never reaches the inbox ends the demo with 1 and a sentence."""
    monkeypatch.setattr(Inbox, "take", lambda inbox, mail: None)
    out = Console(file=io.StringIO(), width=80)
    assert await demo.run(out, keep=False) == 1
    assert "Ben Carter ordered before reminder-1, and confirmation did not come." in out.file.getvalue()


@pytest.mark.parametrize(
    ("fault", "told"),
    [(CannotStart("it fell"), "it fell"), (None, "The daemon ended unexpectedly")],
)
async def test_a_daemon_that_ends_ends_the_demo(short_afternoon, monkeypatch, fault, told):
    """The demo does not play on to nobody: what the daemon fell over is raised, or that it is simply gone."""

    async def ends(settings, *, stop, on_ready):
        on_ready(app.Ready(9))
        await asyncio.sleep(0)
        if fault:
            raise fault

    monkeypatch.setattr(app, "run", ends)
    with pytest.raises((CannotStart, demo.DemoFailed), match=told):
        await demo.run(Console(file=io.StringIO()), keep=False)
