"""The words of one mail, as somebody edits them."""

from datetime import timedelta
from pathlib import Path

import pytest

from recovery.domain.edits import ALL_SHOPS, Edit
from recovery.domain.schedule import Step
from recovery.mail.templates.editing import LONGEST_WORD, editable, faults_of, locale_of, replaced
from recovery.mail.templates.files import Files
from recovery.mail.templates.templates import Templates

SHOP = "lampshop.example"
STEP = Step("reminder-2", timedelta(), "reminder-2", None, timedelta(hours=1))
NOTHING = Edit(SHOP, "")
FREE = ("reminder-2", "free")


def test_every_word_of_a_mail_can_be_edited_those_of_the_mail_first() -> None:
    """In the order of the file of words; not the language, which says in which direction they are written."""
    words = editable(Templates(), NOTHING, STEP, "en")
    keys = [word.key for word in words]
    assert keys[:5] == [("reminder-2", key) for key in ("subject", "preheader", "headline", "lead", "kept")]
    assert ("reminder-2", "button") in keys
    assert ("", "foot") in keys
    assert ("", "button") not in keys
    assert not {("", "language"), ("", "coupon_why"), ("", "order")} & {*keys}
    assert [word.is_for_all for word in words] == sorted(word.is_for_all for word in words)
    assert {word.origin for word in words} == {"the package, words.toml"}


def test_each_says_where_it_comes_from_and_what_it_would_be_without_the_edit(tmp_path: Path) -> None:
    """From the console, of this shop or of all, from the folder, or from the package."""
    (tmp_path / "words.de.toml").write_text('[reminder-2]\nfree = "Ordner"\nhelp = "Ordner"\n')
    templates = Templates(tmp_path)
    templates.edits = (Edit(ALL_SHOPS, "de", ((("reminder-2", "help"), "Alle"),)),)
    edit = Edit(SHOP, "de", ((FREE, "Konsole"),))
    words = {word.key: word for word in editable(templates, edit, STEP, "de")}
    assert (words[FREE].text, words[FREE].below, words[FREE].origin) == ("Konsole", "Ordner", "the console")
    assert words["reminder-2", "help"].origin == "the console, for all shops"
    assert words["reminder-2", "kept"].origin == "the package, words.de.toml"


def test_a_subject_of_the_step_s_is_no_word() -> None:
    """It takes precedence over the words."""
    step = Step("reminder-2", timedelta(), "reminder-2", "Fixed", timedelta(hours=1))
    assert (step.template, "subject") not in {word.key for word in editable(Templates(), NOTHING, step, "en")}


def test_english_is_the_words_for_all_unless_it_has_a_file(tmp_path: Path) -> None:
    """As the files are looked up."""
    assert locale_of(Files(None), "en") == ""
    assert locale_of(Files(None), "de") == "de"
    (tmp_path / "words.en.toml").write_text("")
    assert locale_of(Files(tmp_path), "en") == "en"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{{ custommer.name }}", "'custommer' is undefined"),
        ("{% if %}", "Expected an expression, got 'end of statement block'"),
        ("{{ ", "unexpected 'end of template'"),
        ("(" * LONGEST_WORD + "x", f"a word has at most {LONGEST_WORD} characters"),
        ("bell \x07", "it contains a control character"),
        ("{{ " + "(" * 1900 + " }}", "recursion"),
    ],
)
def test_what_is_wrong_with_a_word_is_told_for_it(text: str, fault: str) -> None:
    """Without the name of a file, and without executing anything; the sound ones beside it are not blamed."""
    edit = Edit(SHOP, "", ((("reminder-2", "kept"), "Fine {{ brand.name }}"), (FREE, text)))
    faults = faults_of(Templates(), edit, STEP, "en")
    assert set(faults) == {FREE}
    assert fault in faults[FREE]
    assert "console" not in faults[FREE]


def test_an_edit_takes_the_place_of_the_one_before() -> None:
    """Of the same shop and language; without words it is none."""
    old, other, new = Edit(SHOP, "", ((FREE, "a"),)), Edit(SHOP, "de", ((FREE, "b"),)), Edit(SHOP, "", ((FREE, "c"),))
    assert set(replaced((old, other), new)) == {other, new}
    assert replaced((old, other), NOTHING) == (other,)
