"""New templates are tried in a process of their own, with bounds."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from recovery.domain.schedule import Step
from recovery.mail.templates.files import Files
from recovery.mail.templates.templates import Templates
from recovery.mail.templates.trial import LIMITS, Limits, tried

STEP = Step("own", timedelta(), "own", "Subject", timedelta(hours=1))

HANGS = (
    "{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}{% endfor %}{% endfor %}{% endfor %}"
)
GROWS = "{% set ns = namespace(s='a' * 1000) %}{% for n in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}"


async def fault_of(folder: Path, text: str, limits: Limits = LIMITS) -> str | None:
    """Return the fault of a text template."""
    (folder / "own.html.j2").write_text("<p>{{ shop }}</p>")
    (folder / "own.txt.j2").write_text(text)
    fault = await tried(Files(folder), "UTC", [STEP], limits)
    return None if fault is None else str(fault)


async def test_sound_templates_pass(tmp_path: Path) -> None:
    """Valid templates pass in all languages."""
    assert await fault_of(tmp_path, "{{ total | money }} {{ touched_at | date }}") is None


async def test_a_broken_one_is_told_as_anywhere(tmp_path: Path) -> None:
    """File, line and fault come back from the process."""
    assert await fault_of(tmp_path, "\n{{ nobody }}") == f"{tmp_path / 'own.txt.j2'}, line 2: 'nobody' is undefined"


async def test_a_loop_without_an_end_is_ended(tmp_path: Path) -> None:
    """The process has limited CPU time, and the fault names the mail that exceeded it."""
    fault = await fault_of(tmp_path, HANGS, Limits(processor_time=1, wall_time=50))
    assert fault is not None
    assert fault.startswith("own in en: rendering the templates takes more than 1 s of CPU time")


async def test_words_of_a_page_are_tried_as_well(tmp_path: Path) -> None:
    """Whoever unsubscribes would wait for them, and every other request with them."""
    (tmp_path / "words.toml").write_text(f"[page-done]\ntitle = 'Done'\ntext = \"{HANGS}\"\n")
    fault = await fault_of(tmp_path, "sound", Limits(processor_time=1, wall_time=50))
    assert fault is not None
    assert fault.startswith("the pages: rendering the templates takes more than 1 s of CPU time")


async def test_a_text_without_an_end_is_ended(tmp_path: Path) -> None:
    """The process may take so much memory, and no more is taken of the machine."""
    fault = await fault_of(tmp_path, GROWS, Limits(memory=500 << 20))
    assert fault is not None
    assert fault.startswith(f"{tmp_path / 'own.txt.j2'}, line 1: MemoryError")


async def test_a_slow_mail_is_refused(tmp_path: Path) -> None:
    """What every customer's mail would take is bounded, not only what the trial takes."""
    slow = "{% for a in range(1000) %}{% for b in range(300) %}{% endfor %}{% endfor %}"
    fault = await fault_of(tmp_path, slow, Limits(one_mail=0.0))
    assert fault is not None
    assert fault.startswith("own in en: rendering takes ")


async def test_the_clock_ends_a_trial_as_well(tmp_path: Path) -> None:
    """A machine that is busy gives the process no processor time to count."""
    fault = await fault_of(tmp_path, HANGS, Limits(wall_time=0.01))
    assert fault is not None
    assert "not rendered within 0.01 s" in fault


async def test_a_shop_s_slip_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While new templates are tried all else goes on, and the former stay in use."""
    monkeypatch.setattr("recovery.mail.templates.templates.tried", lambda *what: tried(*what, Limits(processor_time=1)))
    for name in ("own.html.j2", "own.txt.j2"):
        (tmp_path / name).write_text("<p>one</p>")
    templates = Templates(tmp_path)
    templates.check([STEP])
    (tmp_path / "own.txt.j2").write_text(HANGS)
    trial = asyncio.create_task(templates.refresh())
    turns = 0
    while not trial.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert trial.result() is not None
    assert turns > 20
