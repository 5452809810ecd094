"""The default mails, a shop's own templates, and the errors of invalid ones."""

import re
from datetime import timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import pytest
from babel import localedata
from babel.numbers import format_currency
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.domain.checkout import Facts, Item
from recovery.domain.schedule import Step
from recovery.domain.state import CheckoutState
from recovery.mail.templates import samples
from recovery.mail.templates.inlining import NotWellFormed, inline
from recovery.mail.templates.locales import amount, known
from recovery.mail.templates.templates import DEFAULTS, Rendered, TemplateError, Templates

SUBJECTS = {
    "reminder-1": "You left {{ items[0].name }} behind",
    "reminder-2": "Still thinking it over?",
    "reminder-3": "One last reminder",
    "confirmation": "Your order {{ order_id }}",
}


def step(template: str, subject: str | None = "Subject", name: str | None = None) -> Step:
    return Step(name or template, timedelta(), template, subject, timedelta(hours=1))


STEPS = [step(name, subject) for name, subject in SUBJECTS.items()]


def sample(**facts: object) -> CheckoutState:
    """The sample with some facts replaced, unchecked: what a database may hand out."""
    checkout = samples.left_open()
    return checkout.model_copy(update={"facts": checkout.facts.model_copy(update=facts)})


@pytest.fixture(scope="module")
def defaults() -> Templates:
    return Templates()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def filled(templates: Templates, mail: Step, checkout: CheckoutState) -> Rendered:
    """The mail, with the checkout's own link as the way back."""
    return templates.render(mail, checkout, checkout_url=checkout.facts.checkout_url)


def own(folder: Path, html: str = "<p>{{ shop }}</p>", text: str = "{{ shop }}") -> Templates:
    (folder / "own.html.j2").write_text(html)
    (folder / "own.txt.j2").write_text(text)
    return Templates(folder)


def text_of(html: str) -> str:
    """What a reader sees of a page, in one line."""
    seen: list[str] = []
    parser = HTMLParser()
    parser.handle_data = seen.append  # type: ignore[method-assign]
    parser.feed(html)
    return " ".join(" ".join(seen).split())


@pytest.mark.parametrize("mail", STEPS, ids=SUBJECTS)
def test_default_mail_tells_all(defaults: Templates, mail: Step) -> None:
    """Every default mail names each item, its quantity and line price, and the total, in HTML and in text."""
    rendered = filled(defaults, mail, samples.left_open())
    for words in (text_of(rendered.html), rendered.text):
        for expected in (
            "Hi Ada,",
            "Arc floor lamp",
            "Opal glass, 25 cm",
            "2 ×",
            "€129.00",
            "€341.70",
            "lampshop.example",
        ):
            assert expected in words


@pytest.mark.parametrize("mail", STEPS, ids=SUBJECTS)
def test_default_mail_is_fit_for_mail_programs(defaults: Templates, mail: Step) -> None:
    """Every default mail has its styles in its elements, dark colours and a preheader, and stays far below 102 kB."""
    html = filled(defaults, mail, samples.left_open()).html
    assert html.count('style="') > 20
    assert "@media (prefers-color-scheme: dark)" in html.partition("</head>")[0]
    assert "background-color:#f3f1ec" not in html.partition("</head>")[0]
    assert '<meta name="color-scheme" content="light dark">' in html
    assert 'class="preheader"' in html
    assert len(html.encode()) < 20_000
    assert html.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("mail", STEPS, ids=SUBJECTS)
def test_default_mail_loads_nothing_but_pictures_of_items(defaults: Templates, mail: Step) -> None:
    """The only addresses in a default mail are the way back to the checkout and the pictures of its items."""
    pictured = Item(name="Lamp", price=Decimal(1), image_url="https://cdn.example/lamp.png?w=1&h=2")
    html = filled(defaults, mail, sample(items=(pictured, *samples.left_open().facts.items))).html
    assert html.count('src="') == html.count('src="https://cdn.example/lamp.png?w=1&amp;h=2"') == 1
    is_reminder = mail.name != "confirmation"
    assert html.count('href="') == html.count('href="https://lampshop.example/checkouts/c0ffee"') == is_reminder
    assert html.count("://") == 1 + is_reminder
    assert "url(" not in html


def test_many_items_stay_below_the_clip(defaults: Templates) -> None:
    """Of two hundred items with long names a mail shows the first dozen and counts the rest, below 102 kB."""
    many = tuple(Item(name=f"{n} " + "ä" * 296, variant="ö" * 300, price=Decimal(n)) for n in range(200))
    html = filled(defaults, STEPS[0], sample(items=many)).html
    assert "and 188 more" in html
    assert "€11.00" in html
    assert "€12.00" not in html
    assert len(html.encode()) < 60_000


@pytest.mark.parametrize("mail", STEPS, ids=SUBJECTS)
def test_facts_may_be_missing(defaults: Templates, mail: Step) -> None:
    """A mail can be made when next to nothing is known, and shows no gap where a fact would be."""
    checkout = samples.ordered().model_copy(update={"facts": Facts()})
    rendered = filled(defaults, step(mail.template), checkout)
    assert "None" not in rendered.html + rendered.text
    assert "Total" not in rendered.html + rendered.text
    assert "<a " not in rendered.html


@pytest.mark.parametrize(
    ("locale", "currency", "expected"),
    [
        ("en", "EUR", "€1,234.56"),
        ("de-AT", "EUR", "€\xa01.234,56"),
        ("fr_FR", "EUR", "1\u202f234,56\xa0€"),
        ("en", "JPY", "¥1,235"),
        ("ja-JP", "JPY", "￥1,235"),
        ("de-QQ", "EUR", "1.234,56\xa0€"),
        ("xx-nowhere", "EUR", "€1,234.56"),
        (None, "EUR", "€1,234.56"),
        ("en", None, "1,234.56"),
    ],
)
def test_money(folder: Path, locale: str | None, currency: str | None, expected: str) -> None:
    """Money is written as the locale does; of an unknown locale the language counts, and else English."""
    rendered = filled(
        own(folder, text="{{ total | money }}"),
        step("own"),
        sample(total=Decimal("1234.56"), locale=locale, currency=currency),
    )
    assert rendered.text == expected


def test_subject_is_a_template(defaults: Templates) -> None:
    """A subject is filled like the mail, without HTML's escapes."""
    items = (Item(name="Pots & <Pans>", price=Decimal(1)),)
    assert filled(defaults, STEPS[0], sample(items=items)).subject == "You left Pots & <Pans> behind"


def test_html_is_escaped_and_text_is_not(folder: Path) -> None:
    """Customer's words are escaped in HTML, and as they are in text."""
    rendered = filled(
        own(folder, "<p title='{{ items[0].name }}'>{{ items[0].name }}</p>", "{{ items[0].name }}"),
        step("own"),
        sample(items=(Item(name="""<b>"it's"</b>""", price=Decimal(1)),)),
    )
    assert rendered.html.count("<") == 2
    assert text_of(rendered.html) == """<b>"it's"</b>"""
    assert rendered.text == """<b>"it's"</b>"""


def test_shops_file_takes_precedence(folder: Path) -> None:
    """A shop's file stands in for the package's, one by one: here the style sheet and one step's words."""
    css = (DEFAULTS / "style.css").read_text().replace("#1f5a4a", "#aa0044")
    (folder / "style.css").write_text(css)
    (folder / "reminder-1.txt.j2").write_text("Come back, {{ customer.name }}!")
    templates = Templates(folder)
    templates.check(STEPS)
    rendered = filled(templates, STEPS[0], samples.left_open())
    assert rendered.text == "Come back, Ada!"
    assert "#aa0044" in rendered.html
    assert "#1f5a4a" not in rendered.html
    assert "You left something behind" in rendered.html


def test_defaults_pass_the_check(defaults: Templates) -> None:
    """The templates of the package are in order."""
    defaults.check(STEPS)


@pytest.mark.parametrize(
    ("html", "line", "fault"),
    [
        ("<p>\n\n{{ 1 + }}</p>", 3, "unexpected"),
        ("<p>\n{% if shop %}</p>", 2, "end of template"),
        ("<div\n  class='lead'\n>\n{{ shop }}\n{{ nobody }}</div>", 5, "'nobody' is undefined"),
        ("<p>\n{{ customer.nickname }}</p>", 2, "has no attribute 'nickname'"),
        ("<p>\n{{ customer.model_dump() }}</p>", 2, "unsafe"),
        ("<p>\n{{ customer.__class__ }}</p>", 2, "unsafe"),
        ("<p>\n{{ items.__class__.__mro__ }}</p>", 2, "unsafe"),
        ("<p>\n{{ shop.__class__ }}</p>", 2, "unsafe"),
        ("<p>\n{{ customer['__class__'] }}</p>", 2, "unsafe"),
        ("<p>\n{{ (shop | attr('__class__')).__name__ }}</p>", 2, "unsafe"),
        ("<p>\n{{ range.__globals__ }}</p>", 2, "unsafe"),
        ("<p>\n{{ items.append(1) }}</p>", 2, "append"),
        ("<p>\n{% for n in range(100000000) %}x{% endfor %}</p>", 2, "Range too big"),
        ("<p>\n{{ 1 / 0 }}</p>", 2, "ZeroDivisionError: division by zero"),
        ("<p>\n{{ total | shout }}</p>", 2, "No filter named 'shout'"),
        ("<p>\n{% include 'gone.html.j2' %}</p>", 2, "gone.html.j2"),
        ("<p>x</p>\n<tr><td>{{ shop }}</td></tr>", 2, "<tr> is misplaced"),
        ("{% if shop %}\n<div class='lead'>{% else %}<div>{% endif %}{{ shop }}</div>", 0, "is misplaced"),
    ],
)
def test_fault_is_reported_at_the_start(folder: Path, html: str, line: int, fault: str) -> None:
    """A broken template is found by the check, which names the file, the line as it was written, and the fault."""
    templates = own(folder, html)
    with pytest.raises(TemplateError) as caught:
        templates.check([step("own")])
    told = str(caught.value)
    assert told.startswith(f"{folder / 'own.html.j2'}, line {line or ''}")
    assert fault in told


def test_missing_template_is_reported(defaults: Templates) -> None:
    """A template that is nowhere is found by the check, by its name."""
    with pytest.raises(TemplateError, match=r"^reminder-9\.txt\.j2: no such template"):
        defaults.check([*STEPS, step("reminder-9")])


@pytest.mark.parametrize("subject", ["{{ nobody }}", "{{ 1 + }}", "{{ items[99].name }}"])
def test_broken_subject_is_reported(defaults: Templates, subject: str) -> None:
    """A broken subject is found by the check, which quotes it."""
    with pytest.raises(TemplateError, match=re.escape(subject)):
        defaults.check([step("reminder-1", subject)])


def test_missing_folder_is_reported(folder: Path) -> None:
    """A missing folder is reported by its name."""
    with pytest.raises(TemplateError, match="nowhere: no such folder"):
        Templates(folder / "nowhere")


def test_unreadable_file_is_reported(folder: Path) -> None:
    """A template that is not UTF-8 is reported by its name."""
    (folder / "own.txt.j2").write_bytes(b"caf\xe9")
    with pytest.raises(TemplateError, match=r"own\.txt\.j2: not UTF-8 text"):
        Templates(folder)


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
    assert rendered.html.count("<") == 2
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
    with pytest.raises(TemplateError, match=r"layout\.txt\.j2, line"):
        Templates(folder).check(STEPS)


@pytest.mark.parametrize("mail", [step(name, None) for name in SUBJECTS], ids=SUBJECTS)
@pytest.mark.parametrize("locale", ["de-CH", "ja-JP"])
def test_default_mails_speak_one_language(mail: Step, locale: str) -> None:
    """A mail in German or Japanese has not a word of the English one, and says which language it is in."""
    templates = Templates()
    language = locale[:2]
    english, other = (
        filled(templates, mail, samples.ordered().model_copy(update={"facts": sample(items=MANY, locale=each).facts}))
        for each in ("en-GB", locale)
    )
    assert f'<html lang="{language}">' in other.html
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


CSS = ".a { color: red; } @media print { #b{color: blue !important} }"


SOURCE = """{# a comment, even with <table> and don't #}
<!DOCTYPE html>
<html lang="{{ locale | default("x }} < y") }}">
<head>
<title>{{ a < 9 }}</title></head><body>
<!--[if mso]>{{ a }}<![endif]-->
<table
  class='a'
><tbody>
{%- for x in several if x > 1 %}
<tr><td {% if a %}title='{{ x }}'{% else %}title="none"{% endif %} class='a' {{ b }}>{{ x }} &amp; {{ "<" }}
{{ [x,
    a] }}</td></tr>
{%+ endfor -%}
</tbody></table><a href="https://a.example/?x={{ a }}&amp;y={{ b }}">{{ b }}</a>
{% raw %}{{ c }}{% endraw %}

{{ b }}</body>
</html>{# the end #}"""


def test_inlining_keeps_jinja_as_it_is() -> None:
    """Jinja between rows of a table, in attributes, comments and titles means what it meant, on the line it was."""
    inlined = inline(SOURCE, CSS)
    assert inlined.count("color:red") == 2
    assert "#b{ color: blue !important}" in inlined
    plain = inline(SOURCE, "")
    environment = jinja2.Environment(autoescape=True)
    values = {"a": 1, "b": "bee", "several": [1, 2, 3]}
    once, twice = (environment.from_string(page).render(values) for page in (SOURCE, plain))
    assert shape(twice) == shape(once)
    places = [
        [(name.name, name.lineno) for name in environment.parse(page).find_all(jinja2.nodes.Name)]
        for page in (SOURCE, plain, inlined)
    ]
    assert places[0] == places[1] == places[2]


def shape(html: str) -> list[object]:
    """The elements of a page with their attributes, and its words without white space."""
    seen: list[object] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: seen.append((tag, sorted(attrs)))  # type: ignore[method-assign]
    parser.handle_endtag = seen.append  # type: ignore[method-assign]
    parser.handle_comment = seen.append  # type: ignore[method-assign]
    parser.handle_data = lambda data: seen.extend(data.split())  # type: ignore[method-assign]
    parser.feed(html)
    parser.close()
    return [what for what in seen if what != ("style", [])]


@pytest.mark.parametrize(
    "source",
    [
        "<table>{{ a }}<p>x</p></table>",
        "<p><div>x</div></p>",
        "<ul><li>one<li>two</ul>",
        "<p {% if a %} title='x' {% else %} title='y' {% endif %}>x</p>",
        "<p>x",
        "<b><i>x</b></i>",
        "<p>x</p {{ a }}>",
    ],
)
def test_inlining_refuses_what_it_would_change(source: str) -> None:
    """HTML that is not well-formed is refused: the parser's repairs around Jinja would be wrong."""
    with pytest.raises(NotWellFormed):
        inline(source, CSS)


@settings(max_examples=300, deadline=None)
@given(
    value=st.decimals(min_value=0, max_value=2000, places=4, allow_nan=False, allow_infinity=False),
    currency=st.sampled_from(["EUR", "USD", "CHF", "JPY", "KWD", "INR", "HUF", "SAR"]),
    locale=st.sampled_from(localedata.locale_identifiers()),
)
def test_an_amount_is_written_as_babel_writes_it(value, currency, locale):
    """The short way gives what Babel gives, to the last sign, in every locale there is."""
    assert amount(value, currency, locale) == format_currency(value, currency, locale=known(locale))
