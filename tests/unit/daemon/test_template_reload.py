"""A shop's templates change under a running daemon."""

import asyncio
import os
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from recovery.daemon import template_reload
from recovery.domain.schedule import Step
from recovery.mail.templates import samples
from recovery.mail.templates.templates import TemplateError, Templates

STEP = Step("own", timedelta(), "own", "Subject", timedelta(hours=1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own.html.j2").write_text("<p>one</p>")
    (tmp_path / "own.txt.j2").write_text("one")
    return tmp_path


@pytest.fixture
def templates(folder: Path) -> Templates:
    templates = Templates(folder)
    templates.check([STEP])
    return templates


def text(templates: Templates) -> str:
    return templates.render(STEP, samples.left_open()).text


def write(path: Path, content: str) -> None:
    """Write a file at another time than before, however coarse the file system's clock is."""
    write.times += 1  # type: ignore[attr-defined]
    path.write_text(content)
    os.utime(path, (write.times, write.times))  # type: ignore[attr-defined]


write.times = 1  # type: ignore[attr-defined]


async def test_a_change_is_taken_at_the_next_look_and_not_before(folder: Path, templates: Templates) -> None:
    """A file that changes is in the mails after the next refresh; without a change nothing is read."""
    former = templates._edition
    assert await templates.refresh() is None
    assert templates._edition is former
    write(folder / "own.txt.j2", "two")
    assert text(templates) == "one"
    assert await templates.refresh() is None
    assert text(templates) == "two"


@pytest.mark.parametrize("name", ["words.toml", "own.de.txt.j2", "style.css"])
async def test_any_file_that_is_added_or_goes_is_noticed(folder: Path, templates: Templates, name: str) -> None:
    """New words, a new language and a new style sheet are taken too, and given up when they go."""
    for change in (lambda: write(folder / name, "" if name != "own.de.txt.j2" else "zwei"), (folder / name).unlink):
        former = templates._edition
        change()
        assert await templates.refresh() is None
        assert templates._edition is not former


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("own.txt.j2", "\n{{ nobody }}", "own.txt.j2, line 2: 'nobody' is undefined"),
        ("own.ja.txt.j2", "{% if %}", "own.ja.txt.j2, line 1: "),
        ("words.toml", "x = ", "words.toml: not valid TOML"),
    ],
)
async def test_what_is_broken_does_not_take_the_place_of_what_works(
    folder: Path, templates: Templates, name: str, content: str, told: str
) -> None:
    """A broken file is refused with file and line, once; the previous templates stay in use until the file is fixed."""
    write(folder / name, content)
    fault = await templates.refresh()
    assert isinstance(fault, TemplateError)
    assert str(fault).startswith(f"{folder}/{told}")
    assert await templates.refresh() is None
    assert text(templates) == "one"
    write(folder / name, "total = 'Sum'" if name == "words.toml" else "mended")
    assert await templates.refresh() is None
    assert text(templates) == ("mended" if name == "own.txt.j2" else "one")


async def test_templates_that_went_stay_in_use(folder: Path, templates: Templates) -> None:
    """A mail can be made though its file is gone: what was read is kept."""
    (folder / "own.txt.j2").unlink()
    assert "no such template" in str(await templates.refresh())
    assert text(templates) == "one"


async def test_the_daemon_tells_of_what_it_refuses(
    folder: Path, templates: Templates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look that recurs puts a fault into the log, and goes on."""
    monkeypatch.setattr(template_reload, "AT_FIRST", 0)
    monkeypatch.setattr(template_reload, "EVERY", 0.001)
    with capture_logs() as log:
        task = asyncio.create_task(template_reload.reload(templates))
        write(folder / "own.txt.j2", "{{ nobody }}")
        async with asyncio.timeout(30):
            while not log:
                await asyncio.sleep(0.001)
            write(folder / "own.txt.j2", "two")
            while text(templates) != "two":
                await asyncio.sleep(0.001)
        task.cancel()
    assert len(log) == 1
    assert log[0]["log_level"] == "error"
    assert "own.txt.j2, line 1: 'nobody' is undefined" in log[0]["fault"]


def test_what_is_made_ready_is_compiled_for_no_customer() -> None:
    """Of the package's mails none is compiled at the start; the English ones are made ready, one at a time, after."""
    templates = Templates()
    reminders = [
        Step(name, timedelta(minutes=30), name, None, timedelta(hours=1)) for name in ("reminder-1", "reminder-2")
    ]
    templates.check(reminders)
    assert len(templates._edition._mails) == 0
    steps = templates.prepare()
    for count in (1, 2):
        next(steps)
        assert len(templates._edition._mails) == count
    assert list(steps) == []
    templates.render(reminders[0], samples.of("reminder-1", "en"))
    assert len(templates._edition._mails) == 2
    templates.render(reminders[0], samples.of("reminder-1", "ja"))
    assert len(templates._edition._mails) == 3


def test_a_language_is_made_ready_when_a_checkout_has_it() -> None:
    """One that customers have is compiled before their mails are due, once, whatever their country."""
    templates = Templates()
    step = Step("reminder-1", timedelta(minutes=30), "reminder-1", None, timedelta(hours=1))
    templates.check([step])
    for locale in ("de", "de-AT", "en-GB", "xx", "ja", "ja-JP"):
        templates.expect(samples.of("reminder-1", locale))
    assert len(list(templates.prepare())) == 3
    assert len(templates._edition._mails) == 3
    templates.render(step, samples.of("reminder-1", "de-CH"))
    assert len(templates._edition._mails) == 3
    templates.expect(samples.of("reminder-1", "ja"))
    assert list(templates.prepare()) == []


async def test_the_event_loop_does_not_wait_while_mails_are_made_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes longer than many mails take to be sent: it is done in a thread."""
    monkeypatch.setattr(template_reload, "AT_FIRST", 0.0)
    threads: asyncio.Queue[threading.Thread] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    class Noted:
        def prepare(self) -> Iterator[None]:
            loop.call_soon_threadsafe(threads.put_nowait, threading.current_thread())
            yield

        async def refresh(self) -> None:
            pass

    task = asyncio.create_task(template_reload.reload(Noted()))
    async with asyncio.timeout(30):
        assert await threads.get() is not threading.main_thread()
    task.cancel()


async def test_a_fault_while_making_ready_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with too many open files: the error is logged, and the search for changes goes on."""
    monkeypatch.setattr(template_reload, "AT_FIRST", 0.0)
    monkeypatch.setattr(template_reload, "EVERY", 0.0)
    looked = asyncio.Event()

    class Starved:
        def prepare(self) -> Iterator[None]:
            yield
            raise TemplateError("own.txt.j2: OSError: [Errno 24] Too many open files")

        async def refresh(self) -> None:
            looked.set()

    with capture_logs() as lines:
        task = asyncio.create_task(template_reload.reload(Starved()))
        async with asyncio.timeout(30):
            await looked.wait()
        task.cancel()
    assert ["Too many open files" in line["fault"] for line in lines] == [True]
