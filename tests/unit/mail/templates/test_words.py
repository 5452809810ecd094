"""Words: which of several is taken, and the words of the pages behind the links."""

from pathlib import Path

import pytest

from recovery.domain.brand import Brand
from recovery.mail.templates import samples
from recovery.mail.templates.lint import lint
from recovery.mail.templates.pages import Pages, preferred
from recovery.mail.templates.templates import TemplateError, Templates
from recovery.mail.templates.words import PAGES
from tests.support.template_folder import STEPS, step

FRENCH_PAGE = """
[page-done]
title = "C'est fait"
text = "{{ brand.name }} ne vous écrira plus."
button = "Annuler"
"""


def mail(folder: Path, locale: str, template: str = "reminder-1") -> str:
    """The text of a mail in a language, with its subject before it."""
    rendered = Templates(folder).render(
        step(template, None), samples.of(template, locale), checkout_url="https://a.example"
    )
    return f"{rendered.subject}\n{rendered.text}"


def page(
    folder: Path | None, name: str, language: str = "", accepted: str = "", brand: Brand | None = None
) -> list[str]:
    """The language, title, text and button of a page."""
    texts = Pages(Templates(folder), brand or Brand("Lamp Shop")).texts(name, "shop.example", language, accepted)
    return [texts.language, texts.title, texts.text, texts.button or ""]


def test_a_closer_language_wins_over_a_more_special_word_of_a_farther_one(tmp_path: Path) -> None:
    """A shop's English word for one mail is in no German mail, though German has that word for all mails alone."""
    (tmp_path / "words.toml").write_text('[reminder-1]\nbutton = "Take me back"\n')
    assert "Take me back" in mail(tmp_path, "en")
    assert "Take me back" not in mail(tmp_path, "de")
    assert "Zurück" in mail(tmp_path, "de")


def test_within_a_language_the_more_special_word_wins(tmp_path: Path) -> None:
    """A shop's word for all mails does not take the place of the package's for one mail; its own for that mail does."""
    (tmp_path / "words.toml").write_text('button = "Go"\nfoot = "From us"\n')
    assert "Go" in mail(tmp_path, "en")
    assert "From us" in mail(tmp_path, "en")
    assert "Continue where you stopped" in mail(tmp_path, "en", "reminder-2")
    assert "an order at" in mail(tmp_path, "en", "confirmation")


def test_a_region_takes_the_words_that_it_lacks_from_its_language(tmp_path: Path) -> None:
    """A word for one mail in German is taken in Switzerland, unless Switzerland has one for all."""
    (tmp_path / "words.de.toml").write_text('[reminder-1]\nbutton = "Weiter"\n')
    assert "Weiter" in mail(tmp_path, "de-CH")
    (tmp_path / "words.de-CH.toml").write_text('button = "Grüezi"\n')
    assert "Grüezi" in mail(tmp_path, "de-CH")
    assert "Weiter" in mail(tmp_path, "de")


def test_lint_names_the_languages_that_do_not_take_a_word(tmp_path: Path) -> None:
    """A word in `words.toml` that German and Japanese have themselves is a warning with its line; others are none."""
    (tmp_path / "words.toml").write_text('[reminder-1]\nbutton = "Take me back"\n')
    found = [fault for fault in lint(tmp_path, STEPS) if "button is not used in" in fault.detail]
    assert [fault.is_warning for fault in found] == [True]
    assert found[0].detail.startswith(f"{tmp_path / 'words.toml'}, line 2: ")
    assert {"de", "ja"} <= set(found[0].detail.rpartition(" in ")[2].split(", "))
    (tmp_path / "words.toml").unlink()
    (tmp_path / "words.de.toml").write_text('[reminder-1]\nbutton = "Weiter"\n')
    assert [fault for fault in lint(tmp_path, STEPS) if "is not used in" in fault.detail] == []


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("locale", ["en", "de", "ja"])
def test_every_page_has_words_in_every_language(name: str, locale: str) -> None:
    """The package's pages are whole in English, German and Japanese, and name the shop in isolation."""
    language, title, text, button = page(None, name, locale)
    assert (language, bool(title), bool(button)) == (locale, True, "button" in PAGES[name])
    assert text.count("Lamp Shop") == text.count("<bdi>Lamp Shop</bdi>")
    assert "{" not in title + text + button


def test_a_language_brings_the_words_of_its_pages(tmp_path: Path) -> None:
    """What a shop writes into `words.fr.toml` is on the pages of French customers; its other pages are in English."""
    (tmp_path / "words.fr.toml").write_text(f'language = "fr"\n{FRENCH_PAGE}')
    expected = ["fr", "C'est fait", "<bdi>Lamp Shop</bdi> ne vous écrira plus.", "Annuler"]
    assert page(tmp_path, "page-done", "fr") == expected
    assert page(tmp_path, "page-done", accepted="fr-CA, en;q=0.5") == expected
    assert page(tmp_path, "page-unsubscribe", "fr", "")[0] == "en"
    assert page(tmp_path, "page-unsubscribe", "fr", "de")[0] == "de"


def test_a_page_mixes_no_languages(tmp_path: Path) -> None:
    """A page of which a language lacks a word is in another language as a whole, and lint says so."""
    (tmp_path / "words.fr.toml").write_text('language = "fr"\n[page-done]\ntitle = "C\'est fait"\n')
    assert page(tmp_path, "page-done", "fr")[:2] == ["en", "You are unsubscribed"]
    details = [fault.detail for fault in lint(tmp_path, STEPS) if fault.is_warning]
    assert f"{tmp_path / 'words.fr.toml'}: no button, text for page-done in fr" in details


def test_a_page_takes_no_word_of_mails(tmp_path: Path) -> None:
    """The button of French mails leads to a checkout: it is not that of a page that lacks one."""
    (tmp_path / "words.fr.toml").write_text('button = "Continuer"\n[page-done]\ntitle = "Fait"\ntext = "Fait."\n')
    assert page(tmp_path, "page-done", "fr")[:2] == ["en", "You are unsubscribed"]


@pytest.mark.parametrize(
    ("language", "accepted", "expected"),
    [
        ("de", "ja", "de"),  # the mail's comes first
        ("en", "de", "en"),
        ("", "de", "de"),
        ("xx", "de", "de"),
        ("de-CH", "", "de"),
        ("", "en-GB, de;q=0.9", "en"),
        ("", "fr, ja;q=0.1, de;q=0", "ja"),
        ("", "", "en"),
        ("", ",".join(["x" * 9] * 30), "en"),
    ],
)
def test_the_language_of_a_page(language: str, accepted: str, expected: str) -> None:
    """It is the mail's, else the one that the browser prefers among those that there are, else English."""
    assert page(None, "page-done", language, accepted)[0] == expected


def test_a_shop_whose_words_are_arabic(tmp_path: Path) -> None:
    """A page says the direction of the language that its words are in, also where that is the only one."""
    (tmp_path / "words.toml").write_text('language = "ar"\n[page-done]\ntitle = "تم"\ntext = "تم"\nbutton = "تم"\n')
    pages = Pages(Templates(tmp_path), Brand())
    done, asked = pages.texts("page-done", "shop.example"), pages.texts("page-unsubscribe", "shop.example")
    assert (done.language, done.direction) == ("ar", "rtl")
    assert (asked.language, asked.direction) == ("en", "ltr")  # the package's, which is not in Arabic


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ('[page-don]\ntitle = "x"', "there is no mail page-don; did you mean page-done?"),
        ('[page-done]\ntitel = "x"', "page-done has no word titel; did you mean title?"),
        ('[page-too-late]\nbutton = "x"', "page-too-late has no word button"),
        (f"button = {'9' * 5000}", "not valid TOML"),
        (f"button = {'[' * 5000}", "not valid TOML"),
        ('[page-done]\ntitle = "{{ customer.name }}"', "'customer' is undefined"),
        ('[page-done]\ntitle = "{{ brand.name "', "words.toml, line 2"),
        ('[page-done]\ntext = "{{ brand.nothing }}"', "words.toml, line 2"),
    ],
)
def test_a_faulty_word_of_a_page_is_an_error(tmp_path: Path, written: str, fault: str) -> None:
    """A daemon does not start with it, and lint names it: no customer meets it."""
    (tmp_path / "words.toml").write_text(written)
    with pytest.raises(TemplateError) as raised:
        Templates(tmp_path).check(STEPS)
    assert fault in str(raised.value)
    assert any(fault in each.detail for each in lint(tmp_path, STEPS))


def test_a_name_is_escaped_and_isolated() -> None:
    """Whatever a shop is called, it is text, and turns no text around it."""
    text = page(None, "page-done", brand=Brand("<b>Lamps</b> & متجر"))[2]
    assert "<bdi>&lt;b&gt;Lamps&lt;/b&gt; &amp; متجر</bdi>" in text
    assert "<b>" not in text


def test_words_and_the_key_of_a_shop_are_text(tmp_path: Path) -> None:
    """A report may name any shop: what looks like HTML in its key, or in a word, is shown as it is."""
    (tmp_path / "words.toml").write_text('[page-done]\ntitle = "x"\ntext = "<b> {{ shop }} & so on"\nbutton = "x"\n')
    text = Pages(Templates(tmp_path), Brand()).texts("page-done", "<i>shop").text
    assert text == "&lt;b&gt; &lt;i&gt;shop &amp; so on"


def test_the_languages_of_a_browser() -> None:
    """The most liked come first, those of equal weight in their order; what is not a language is passed over."""
    assert list(preferred("de;q=0.5, en-GB, fr;q=0.9, *, x, <b>;q=1, ja;q=0, ko;q=?")) == ["en-GB", "fr", "de"]
    assert len(list(preferred("de," * 10_000))) <= 20


def test_a_mail_says_which_language_it_is_in(tmp_path: Path) -> None:
    """By its words: a locale without words has those of the default language."""
    templates = Templates(tmp_path)
    assert [templates.language(locale) for locale in ("de-AT", "ja", "en-GB", "fr")] == ["de", "ja", "en", "en"]
    (tmp_path / "words.toml").write_text('language = "{{ locale }}"\n')
    assert Templates(tmp_path).language("fr") == ""
