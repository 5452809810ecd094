"""What SpamAssassin thinks of the default mails, by the rules that it brings with it: `spamassassin -L`, no network."""

import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recovery.mail.composer import Composer, Identity
from recovery.mail.templates.files import DEFAULTS
from recovery.mail.templates.templates import Templates
from tests.support.default_mails import BRAND, LANGUAGES, STEPS, Addresses, step_of, whole

MOST = 0.5
NOW = datetime(2026, 3, 5, 15, 0, tzinfo=UTC)
RECEIVED = (
    "Received: from relay.lamps.example (relay.lamps.example [93.184.216.34]) by mx.example.com with ESMTPS id 1\n"
    "\tfor <ada@example.com>; Thu, 05 Mar 2026 15:00:01 +0000\n"
)
TRICKS = "font-size: 1px; line-height: 1px; color: #f4f1eb;"


def scores(mails: dict[str, bytes], home: Path) -> dict[str, tuple[float, str]]:
    """The score and the rules of each mail, by its name; all in one run, as starting takes a second."""
    if (program := shutil.which("spamassassin")) is None:
        if os.environ.get("CI"):
            pytest.fail("there is no spamassassin")
        pytest.skip("there is no spamassassin")
    box = "".join(
        f"From shop@lamps.example Thu Mar  5 15:00:00 2026\nX-Name: {name}\n{RECEIVED}"
        + re.sub(r"(?m)^From ", ">From ", content.decode().replace("\r\n", "\n"))
        + "\n"
        for name, content in mails.items()
    )
    judged = subprocess.run(
        [program, "-L", "--mbox", "--prefspath", home / "user_prefs"],
        input=box.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
        env={**os.environ, "HOME": str(home)},
    ).stdout.decode()
    found = re.findall(r"(?m)^X-Spam-Status: \w+, score=(-?[\d.]+)((?:.*\n)(?:[ \t].*\n)*)((?:.+\n)*)", judged)
    names = [re.search(r"(?m)^X-Name: (.*)$", rest) for *_, rest in found]
    assert len(found) == len(mails)
    return {
        name[1]: (float(score), " ".join(rules.split()))
        for name, (score, rules, _) in zip(names, found, strict=True)
        if name is not None
    }


def composed(templates: Templates) -> dict[str, bytes]:
    """Each default mail in each language, with all that it can show."""
    composer = Composer(templates, Identity("Lamp Shop <shop@lamps.example>"), Addresses(), brand=BRAND)
    return {
        f"{name} in {language}": composer.compose(whole(name, language), step_of(name, "LAMP-10"), NOW).content
        for name in STEPS
        for language in LANGUAGES
    }


def test_no_default_mail_looks_like_spam(tmp_path: Path) -> None:
    """No mail in any language has more than half a point of the five that make spam.

    rspamd is not asked: it is a daemon that compiles its rules for a minute before it answers, and without a network
    most of what it says is about what it could not look up.
    """
    judged = scores(composed(Templates()), tmp_path)
    assert len(judged) == len(STEPS) * len(LANGUAGES)
    assert {name: rules for name, (score, rules) in judged.items() if score > MOST} == {}


def test_a_trick_is_noticed(tmp_path: Path) -> None:
    """With the preheader in the background's colour and one pixel high, as is common, every mail is above that."""
    css = (DEFAULTS / "style.css").read_text()
    (tmp_path / "style.css").write_text(css.replace(".preheader { display: none;", f".preheader {{ {TRICKS}"))
    mails = composed(Templates(tmp_path))
    (mail,) = (content for name, content in mails.items() if name == "confirmation in en")
    ((score, rules),) = scores({"tricky": mail}, tmp_path).values()
    assert score > MOST
    assert "HTML_FONT_LOW_CONTRAST" in rules
