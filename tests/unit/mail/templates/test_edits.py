"""The words of the console among the files: what stands above what, and what a daemon takes."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from recovery.domain.edits import ALL_SHOPS, Edit
from recovery.domain.schedule import Step
from recovery.mail.composer import Composer, Identity
from recovery.mail.links import Links
from recovery.mail.templates import samples
from recovery.mail.templates.edits import as_file, without_place
from recovery.mail.templates.pages import Pages
from recovery.mail.templates.templates import Templates
from recovery.mail.templates.words import parsed

SHOP, OTHER = "lampshop.example", "other.example"  # the first is the sample's
STEP = Step("reminder-1", timedelta(), "reminder-1", None, timedelta(hours=1))
KEY = ("reminder-1", "subject")


def edit(text: str, shop: str = SHOP, locale: str = "", key: tuple[str, str] = KEY) -> Edit:
    return Edit(shop, locale, ((key, text),))


def subject(templates: Templates, shop: str = SHOP, locale: str = "en") -> str:
    sample = samples.of(STEP.name, locale)
    return templates.render(STEP, sample.model_copy(update={"id": f"{shop}/1"})).subject


def begun(folder: Path | None, *edits: Edit, is_shops_own: bool = False) -> Templates:
    """Return templates that a daemon starts with."""
    templates = Templates(folder, is_shops_own=is_shops_own)
    templates.check([STEP])
    templates.edits = edits
    assert templates.begin() == []
    return templates


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "words.toml").write_text('[reminder-1]\nsubject = "folder"\n')
    return tmp_path


def test_the_console_stands_above_the_folder_and_a_shop_above_all(folder: Path) -> None:
    """The shop's words of the console, then those for all, then the folder's; another shop has those for all."""
    both = begun(folder, edit("shop"), edit("all", ALL_SHOPS))
    assert (subject(both), subject(both, OTHER)) == ("shop", "all")
    own = begun(folder, edit("shop"))
    assert (subject(own), subject(own, OTHER)) == ("shop", "folder")


def test_a_folder_of_the_shop_s_own_stands_above_the_words_for_all(folder: Path) -> None:
    """They were not written with this shop in mind, but stand above the package's words."""
    headline = Edit(ALL_SHOPS, "", ((("reminder-1", "headline"), "all"), (KEY, "all")))
    templates = begun(folder, headline, is_shops_own=True)
    rendered = templates.render(STEP, samples.left_open())
    assert rendered.subject == "folder"
    assert "\nall\n" in rendered.text
    assert subject(begun(folder, headline, edit("shop"), is_shops_own=True)) == "shop"


def test_a_language_has_words_of_its_own(folder: Path) -> None:
    """An edit is one more file of its language."""
    templates = begun(folder, edit("Hallo", locale="de"))
    assert subject(templates, locale="de-AT") == "Hallo"
    assert subject(templates, locale="fr") == "folder"


def test_any_text_of_a_word_comes_back(folder: Path) -> None:
    """Quotes, backslashes, lines and signs beyond the basic plane: the text is written as TOML, and read."""
    for text in ('a "b" \\n c', "one\ntwo\ttab", "🙂 é \x7f", "[reminder-2]\nsubject = 'x'", "it's {{ brand.name }}"):
        assert parsed(as_file(edit(text)))[KEY].text == text
    assert subject(begun(folder, edit('{{ "a" ~ "b" }} # "c"'))) == 'ab # "c"'


def test_a_fault_names_the_word_and_not_a_file() -> None:
    """The file of an edit is on no disk."""
    words = Edit(SHOP, "de", ((("", "foot"), "x"), (KEY, "y")))
    path = f"console/{SHOP}/words.de.toml"
    assert without_place(words, f"{path}, line 3: it fails") == (KEY, "it fails")
    assert without_place(words, f"{path}, line 1: it fails") == (("", "foot"), "it fails")
    assert without_place(words, "own.txt.j2, line 3: it fails") == (None, "own.txt.j2, line 3: it fails")


async def test_a_word_that_no_template_uses_any_more_is_passed_over(folder: Path) -> None:
    """A folder may change after the words were saved: the others of them stay in force."""
    words = Edit(SHOP, "", ((("reminder-1", "gone"), "x"), (("winback", "subject"), "y"), (KEY, "shop")))
    templates = begun(folder, words)
    assert subject(templates) == "shop"
    templates.edits = (Edit(SHOP, "", ((("winback", "subject"), "y"), (KEY, "newer"))),)
    assert await templates.refresh() is None
    assert subject(templates) == "newer"


def test_a_word_that_was_in_such_a_word_alone_goes_with_it(folder: Path) -> None:
    """Else the words would be refused for it, all of them."""
    words = ((("", "inner"), "x"), (("", "gone"), '{% word "inner" %}'), (KEY, "shop"))
    assert subject(begun(folder, Edit(SHOP, "", words))) == "shop"


async def test_new_words_are_taken_and_given_up_by_a_refresh(folder: Path) -> None:
    """Of the shop that they are for, and of no other; without a change nothing is compiled."""
    templates = begun(folder)
    templates.edits = (edit("shop"),)
    assert subject(templates) == "folder"
    assert await templates.refresh() is None
    assert (subject(templates), subject(templates, OTHER)) == ("shop", "folder")
    former = templates.edition(SHOP)
    assert await templates.refresh() is None
    assert templates.edition(SHOP) is former
    templates.edits = (edit("shop"), edit("all", ALL_SHOPS))
    assert await templates.refresh() is None
    assert (subject(templates), subject(templates, OTHER)) == ("shop", "all")
    templates.edits = ()
    assert await templates.refresh() is None
    assert (subject(templates), subject(templates, OTHER)) == ("folder", "folder")


async def test_a_changed_file_is_taken_below_the_words_of_the_console(folder: Path) -> None:
    """Each shop's mails are made again from the changed folder."""
    templates = begun(folder, edit("shop"))
    (folder / "words.toml").write_text('[reminder-1]\nsubject = "changed"\nheadline = "from the folder"\n')
    assert await templates.refresh() is None
    assert (subject(templates), subject(templates, OTHER)) == ("shop", "changed")
    assert "from the folder" in templates.render(STEP, samples.left_open()).text


async def test_words_that_fail_here_leave_those_before_in_force(folder: Path) -> None:
    """One shop's fault is told, once, and holds up no other shop."""
    templates = begun(folder, edit("before"))
    templates.edits = (edit("{{ nobody }}"), edit("fine", OTHER))
    fault = await templates.refresh()
    assert str(fault) == f"console/{SHOP}/words.toml, line 2: 'nobody' is undefined"
    assert await templates.refresh() is None
    assert (subject(templates), subject(templates, OTHER)) == ("before", "fine")


def test_words_that_fail_at_a_start_leave_those_of_the_files(folder: Path) -> None:
    """No words in a database keep a daemon from its start."""
    templates = Templates(folder)
    templates.check([STEP])
    templates.edits = (edit("{{ nobody }}"), edit("fine", OTHER))
    (fault,) = templates.begin()
    assert "'nobody' is undefined" in str(fault)
    assert (subject(templates), subject(templates, OTHER)) == ("folder", "fine")


async def test_two_refreshes_at_a_time_are_one_after_the_other(folder: Path) -> None:
    """That of a save, and that which recurs."""
    templates = begun(folder)
    templates.edits = (edit("shop"),)
    assert await asyncio.gather(templates.refresh(), templates.refresh()) == [None, None]
    assert subject(templates) == "shop"


def test_pages_and_links_are_in_the_language_of_the_shop_s_words() -> None:
    """The page behind a link in a mail has the words of the shop's edition, and so does the link's language."""
    templates = begun(None, Edit(SHOP, "", ((("page-unknown", "title"), "Nothing here"), (("", "language"), "en-AU"))))
    pages = Pages(templates, Composer(Templates(), Identity("a@b.example"))._brand)
    assert pages.texts("page-unknown", SHOP).title == "Nothing here"
    assert pages.texts("page-unknown", OTHER).title == "This link does not work"
    languages: list[str] = []

    class Noted(Links):
        def __init__(self) -> None:
            pass

        def unsubscribe(self, shop: str, address: object, language: str = "") -> None:
            languages.append(language)

        def back(self, checkout: object, step: object) -> None:
            pass

    Composer(templates, Identity("a@b.example"), Noted()).render(samples.left_open(), STEP)
    assert languages == ["en-AU"]
