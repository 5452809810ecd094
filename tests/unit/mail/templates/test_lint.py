"""What the lint finds in a shop's templates, and what it lets pass."""

from datetime import timedelta
from pathlib import Path

import pytest

from recovery.domain.schedule import CONFIRMATION, Step
from recovery.mail.templates import samples
from recovery.mail.templates.lint import Fault, lint
from recovery.mail.templates.templates import Templates

FOOT = "{% if unsubscribe_url %}{{ unsubscribe_url }}{% endif %}"
LINK = '{% if unsubscribe_url %}<a href="{{ unsubscribe_url }}">out</a>{% endif %}'


def step(name: str, subject: str | None = None) -> Step:
    return Step(name, timedelta(), name, subject, timedelta(hours=1))


STEPS = [step(name) for name in ("reminder-1", "reminder-2", "reminder-3", CONFIRMATION)]


def found(folder: Path, html: str = LINK, text: str = FOOT, **files: str) -> list[Fault]:
    """Lint a mail of the shop's own."""
    for name, content in ({"own.html.j2": html, "own.txt.j2": text} | files).items():
        (folder / name).write_text(content)
    return lint(folder, [step("own", "Subject")])


def test_the_default_mails_are_in_order() -> None:
    """Nothing is found in the mails of the package, in any of their languages."""
    assert lint(None, STEPS) == []


def test_a_mail_with_all_that_it_needs_is_in_order(tmp_path: Path) -> None:
    """Links of the web, of mail and of the telephone, and names set by the template itself, are no faults."""
    html = (
        LINK + '{% set a = 1 %}<a href="mailto:{{ a }}">a</a><a href="tel:1">b</a><img src="https://cdn.example/a.png">'
    )
    assert found(tmp_path, html) == []


@pytest.mark.parametrize(
    ("html", "told"),
    [
        ("<p>\n{% if 1 > 2 %}{{ nobody }}{% endif %}</p>", "own.html.j2, line 2: 'nobody' is undefined"),
        ("<p>\n{{ 1 + }}</p>", "own.html.j2, line 2: unexpected"),
        ("<p>\n{{ customer.name | upper }}</p>", None),
        ("<p>\n{{ customer.name + '!' }}</p>", "own.html.j2, line 2: TypeError"),
        ("<p>\n{{ items[1].name }}</p>", "own.html.j2, line 2: "),
        ("<p>\n<a href='{{ checkout_url }}'>x</a></p>", "own.html.j2: href='None' is not a valid link"),
        (
            "<p>\n<a href=' JavaScript:alert(1)'>x</a></p>",
            "own.html.j2, line 2: href=' JavaScript:alert(1)' is not a valid link",
        ),
        ("<p>\n<img src='logo.png'></p>", "own.html.j2, line 2: src='logo.png' is not a valid link"),
        ("<p>\n<b onclick='go()'>x</b></p>", "own.html.j2, line 2: onclick is a script"),
        ("<p>\n<script>go()</script></p>", "own.html.j2, line 2: it contains a script"),
        ("<p>{% for item in items %}{{ item.name * 3 }}{% endfor %}</p>", "own.html.j2: own can be "),
    ],
)
def test_a_fault_is_reported_with_its_place(tmp_path: Path, html: str, told: str | None) -> None:
    """Each fault is found with the file and line, once, though many samples meet it; also what no sample comes by."""
    faults = [
        fault.detail.removeprefix(f"{tmp_path}/") for fault in found(tmp_path, html + LINK) if not fault.is_warning
    ]
    assert [fault[: len(told or "")] for fault in faults] == ([told] if told else [])


def test_a_reminder_needs_a_way_out(tmp_path: Path) -> None:
    """A reminder without the unsubscribe link, in HTML or in text, is a fault; a confirmation is not."""
    faults = [fault.detail for fault in found(tmp_path, "<p>x</p>", "x")]
    assert faults == [f"{tmp_path}/own.{kind}.j2: a reminder without the unsubscribe link" for kind in ("txt", "html")]
    assert lint(tmp_path, [Step(CONFIRMATION, timedelta(), "own", "Subject", timedelta())]) == []


def test_a_mail_needs_text(tmp_path: Path) -> None:
    """A text that is missing or empty is at fault."""
    assert "own has no text" in found(tmp_path, text="\n")[0].detail
    (tmp_path / "own.txt.j2").unlink()
    assert lint(tmp_path, [step("own", "Subject")])[0].detail.startswith("own.txt.j2: no such template")


def test_every_language_is_looked_at(tmp_path: Path) -> None:
    """A fault in the template or the words of one language is found."""
    faults = found(tmp_path, **{"own.fr.txt.j2": FOOT + "\n{{ nobody }}"})
    assert [fault.detail for fault in faults] == [f"{tmp_path}/own.fr.txt.j2, line 2: 'nobody' is undefined"]
    faults = found(tmp_path, **{"own.fr.txt.j2": FOOT, "words.fr.toml": "\nlanguage = 5"})
    assert [fault.detail for fault in faults] == [
        f'{tmp_path}/words.fr.toml, line 2: language must be text, in "quotes"'
    ]


def test_a_word_that_no_template_writes_is_a_fault(tmp_path: Path) -> None:
    """A slip in the name of a word is found, with the word that was meant."""
    (fault,) = found(tmp_path, **{"words.toml": '[reminder-1]\nsubjct = "x"'})
    assert fault.detail == f"{tmp_path}/words.toml, line 2: no template has the word subjct; did you mean subject?"
    assert not fault.is_warning


def test_a_word_of_the_shop_s_own_is_in_order(tmp_path: Path) -> None:
    """A word that only a template of the shop or another word uses is not a fault."""
    words = 'mine = "{% word \'inner\' %}"\ninner = "x"'
    findings = found(tmp_path, text=f"{FOOT}{{%- word 'mine' -%}}", **{"words.toml": words})
    assert all(fault.is_warning for fault in findings), "other languages lack it"


def test_missing_words_are_a_warning(tmp_path: Path) -> None:
    """Words that a language does not have are named, for each mail that is sent; the mails are still sent."""
    words = Path(Templates.__init__.__code__.co_filename).with_name("defaults") / "words.de.toml"
    french = words.read_text().replace('headline = "Überlegen Sie noch?"', "")
    (tmp_path / "words.fr.toml").write_text(french)
    [fault] = lint(tmp_path, STEPS)
    assert fault.detail == f"{tmp_path}/words.fr.toml: no headline for reminder-2 in fr"
    assert fault.is_warning
    (tmp_path / "words.fr-CA.toml").write_text('[reminder-2]\nheadline = "Encore"')
    assert [fault.detail for fault in lint(tmp_path, STEPS)] == [
        f"{tmp_path}/words.fr.toml: no headline for reminder-2 in fr"
    ]
    assert lint(tmp_path, STEPS[:1]) == []


@pytest.mark.parametrize(
    ("html", "told"),
    [
        ("<p>\n{{ items[0].name }}, {{ total }}</p>", "own.html.j2, line 2: item.name without <bdi> around it"),
        ("<p>\n\nHi {{ customer.name }}</p>", "own.html.j2, line 3: customer.name without <bdi> around it"),
        ("<p><bdi>{{ items[0].name }}</bdi><b dir='auto'>{{ customer.name }}</b></p>", None),
        ("<p title='{{ items[0].name }}'>x</p>", None),
    ],
)
def test_a_name_must_not_turn_the_text_beside_it(tmp_path: Path, html: str, told: str | None) -> None:
    """A name that stands in the text without isolation is a warning, with its place; the mails are still sent."""
    faults = found(tmp_path, html + LINK)
    assert [fault.detail for fault in faults] == ([f"{tmp_path}/{told}"] if told else [])
    assert all(fault.is_warning for fault in faults)


def test_a_fault_in_a_word_is_blamed_on_the_word(tmp_path: Path) -> None:
    """A name misspelt in the words of a language is told with their file and line, not with the template's."""
    (tmp_path / "words.fr.toml").write_text('language = "fr"\ngreeting = "Bonjour {{ customer.nme }},"\n')
    faults = [fault.detail for fault in lint(tmp_path, STEPS[:1]) if not fault.is_warning]
    assert len(faults) == 1
    assert faults[0].startswith(f"{tmp_path}/words.fr.toml, line 2: ")
    assert "nme" in faults[0]


def test_awkward_samples_can_be_kept() -> None:
    """The samples are checkouts that could be in the database: each reads back as what it is."""
    for name in ("reminder-1", CONFIRMATION):
        for what, checkout in samples.awkward(name):
            assert type(checkout).model_validate(checkout.model_dump()) == checkout, what
