"""Languages: which template and words are taken, dates and amounts."""

import re
from decimal import Decimal
from pathlib import Path

import pytest
from babel import localedata
from babel.numbers import format_currency
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.domain.checkout import Item
from recovery.domain.schedule import Step
from recovery.mail.templates import samples
from recovery.mail.templates.locales import amount, known
from recovery.mail.templates.templates import Rendered, TemplateError, Templates
from tests.support.template_folder import STEPS, SUBJECTS, filled, own, sample, step, text_of


@pytest.mark.parametrize(
    ("locale", "expected"),
    [("de-CH", "the shop's Swiss"), ("de-AT", "the shop's German"), ("de", "the shop's German"), ("fr", "for all")],
)
def test_the_most_specific_template_is_taken(folder: Path, locale: str, expected: str) -> None:
    """A mail is looked for in the locale, then in its language, then in the one file for all, each part by itself."""
    (folder / "own.de.txt.j2").write_text("the shop's German")
    (folder / "own.de_ch.txt.j2").write_text("the shop's Swiss")
    rendered = filled(own(folder, "<p>{{ locale }}</p>", "for all"), step("own"), sample(locale=locale))
    assert rendered.text == expected
    assert rendered.html == f"<p>{locale}</p>"


def test_what_is_written_for_a_language_wins_wherever_it_is(folder: Path) -> None:
    """The package's German words go before the shop's words for all; of one name the shop's file goes first."""
    (folder / "words.toml").write_text('[reminder-1]\nheadline = "Hello"\nlead = "All"')
    (folder / "words.de.toml").write_text('[reminder-1]\nlead = "Alles"')
    rendered = filled(Templates(folder), STEPS[0], sample(locale="de-AT"))
    assert "Haben Sie etwas vergessen?" in rendered.text
    assert "Alles" in rendered.text
    rendered = filled(Templates(folder), STEPS[0], sample(locale="fr"))
    assert "Hello" in rendered.text
    assert "All" in rendered.text


def test_words_fall_back_key_by_key(folder: Path) -> None:
    """A word is taken from the locale, else from its language, else from the words for all; so is the subject."""
    (folder / "words.toml").write_text('one = "1"\ntwo = "2"\nthree = "3"\n[own]\nsubject = "For {{ shop }}"')
    (folder / "words.de.toml").write_text('two = "zwei"\nthree = "drei"\n[own]\none = "eins nur hier"')
    (folder / "words.de-CH.toml").write_text('three = "drü"')
    words = '{% word "one" %}, {% word "two" %}, {% word "three" %}, {% word "language" %}'
    templates = own(folder, text=words)
    assert filled(templates, step("own", None), sample(locale="fr-CH")) == Rendered(
        "For lampshop.example", "1, 2, 3, en", "<p>lampshop.example</p>"
    )
    assert filled(templates, step("own", None), sample(locale="de")).text == "eins nur hier, zwei, drei, de"
    assert filled(templates, step("own", None), sample(locale="de_CH")).text == "eins nur hier, zwei, drü, de"


def test_words_are_filled_and_escaped_like_the_template(folder: Path) -> None:
    """A word sees what the template sees; what it says is text, in HTML too."""
    (folder / "words.toml").write_text('from = "<b>{{ items[0].name }}</b> & more"')
    templates = own(folder, '<p title=\'{% word "from" %}\'>{% word "from" %}</p>', '{% word "from" %}')
    rendered = filled(templates, step("own"), sample(items=(Item(name="<i>'Pots'</i>", price=Decimal(1)),)))
    assert rendered.text == "<b><i>'Pots'</i></b> & more"
    assert rendered.html.replace("<bdi>", "").replace("</bdi>", "").count("<") == 2
    assert text_of(rendered.html) == rendered.text


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ("[own]\nsubject = ", "words.toml: not valid TOML: Invalid value (at"),
        ('[own]\nsubjct = "x"', "words.toml, line 2: no template has the word subjct; did you mean subject?"),
        ('[owm]\nsubject = "x"', "words.toml, line 2: there is no mail owm; did you mean own?"),
        ('from = "x"\nqqqqq = "x"', "words.toml, line 2: no template has the word qqqqq"),
        ("[own]\n\nsubject = 5", "words.toml, line 3: subject must be text"),
        ('[own]\nsubject = "x"\nfrom = "{{ nobody }}"', "words.toml, line 3: 'nobody' is undefined"),
        ('from = "x"\n[own]\nsubject = "{{ 1 + }}"', "words.toml, line 3: "),
        ('from = "{{ 1 + }}"\n[own]\nsubject = "x"', "words.toml, line 1: "),
        ('[own]\nsubject = "x"', 'own.txt.j2, line 1: no words.toml has the word "from", neither for own nor for all'),
        ('from = "x"', "own has no subject"),
    ],
)
def test_fault_in_words_is_told_where_it_is(folder: Path, toml: str, told: str) -> None:
    """Broken words are found by the check, which names their file, the line and the fault."""
    (folder / "words.toml").write_text(toml)
    with pytest.raises(TemplateError) as caught:
        own(folder, text='{% word "from" %}').check([step("own", None)])
    assert str(caught.value).removeprefix(f"{folder}/").startswith(told)


def test_a_fault_in_any_language_is_reported(folder: Path) -> None:
    """The check fills the mails in every language that has a file, not only in English."""
    (folder / "words.fr.toml").write_text('[reminder-2]\nlead = "{{ items[9].name }}"')
    with pytest.raises(TemplateError, match=r"words\.fr\.toml, line 2: tuple object has no element 9"):
        Templates(folder).check(STEPS)


@pytest.mark.parametrize("mail", [step(name, None) for name in SUBJECTS], ids=SUBJECTS)
@pytest.mark.parametrize("locale", ["de-CH", "ja-JP", "ar-EG", "he-IL"])
def test_default_mails_speak_one_language(mail: Step, locale: str) -> None:
    """A mail in another language has not a word of the English one, and says which language it is in."""
    templates = Templates()
    language = locale[:2]
    english, other = (
        filled(templates, mail, samples.ordered().model_copy(update={"facts": sample(items=MANY, locale=each).facts}))
        for each in ("en-GB", locale)
    )
    assert f'<html lang="{language}"' in other.html
    assert english.subject != other.subject
    both = set(body_of(english).split()) & set(body_of(other).split())
    assert {word for word in both if re.search("[a-z]{2}", word)} <= {"Ada,", "lampshop.example"}


def body_of(mail: Rendered) -> str:
    return text_of(mail.html.partition("</head>")[2]) + mail.text.partition("https://")[0]


MANY = tuple(Item(name="L", price=Decimal(1)) for _ in range(14))


def test_dates_are_written_in_the_locale(folder: Path) -> None:
    """A date is written as the locale does, as long as is asked for."""
    templates = own(folder, text='{{ touched_at | date }}, {{ touched_at | date("short") }}')
    assert filled(templates, step("own"), sample(locale="de")).text == "5. März 2026, 05.03.26"
    assert filled(templates, step("own"), sample(locale="ja")).text == "2026年3月5日, 2026/03/05"


def test_languages_nobody_wrote_for_cost_nothing(defaults: Templates) -> None:
    """However many locales are reported, a mail is compiled once for each language that has files."""
    compiled = Templates()
    for number in range(300):
        filled(compiled, STEPS[0], sample(locale=f"xx-{number:03}"))
    assert len(compiled._edition._mails) == 1


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "https://a.example/\n"])
@pytest.mark.parametrize("place", ["checkout_url", "image_url", "url"])
def test_no_link_but_to_the_web(defaults: Templates, link: str, place: str) -> None:
    """A state built by hand, past the checks of the words, cannot bring another kind of link into a mail."""
    facts = {"checkout_url": link} if place == "checkout_url" else {}
    if place != "checkout_url":
        item = samples.left_open().facts.items[0]
        facts = {"items": (item.model_construct(**{**dict(item), place: link}),)}
    with pytest.raises(TemplateError, match="cannot be used in a mail"):
        filled(defaults, STEPS[0], sample(**facts))


@settings(max_examples=300, deadline=None)
@given(
    value=st.decimals(min_value=0, max_value=2000, places=4, allow_nan=False, allow_infinity=False),
    currency=st.sampled_from(["EUR", "USD", "CHF", "JPY", "KWD", "INR", "HUF", "SAR"]),
    locale=st.sampled_from(localedata.locale_identifiers()),
)
def test_an_amount_is_written_as_babel_writes_it(value, currency, locale):
    """The short way gives what Babel gives, to the last sign, in every locale there is."""
    assert amount(value, currency, locale) == format_currency(value, currency, locale=known(locale))
