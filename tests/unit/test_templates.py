"""The default mails, a shop's own templates, and what is told of a broken one."""

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

from recovery.checkout import CheckoutState, Facts, Item
from recovery.mail import samples
from recovery.mail.inlining import Altered, inline
from recovery.mail.templates import DEFAULTS, TemplateError, Templates, _known, _written
from recovery.schedule import Step

SUBJECTS = {
    "reminder-1": "You left {{ items[0].name }} behind",
    "reminder-2": "Still thinking it over?",
    "reminder-3": "One last reminder",
    "confirmation": "Your order {{ order_id }}",
}


def step(template: str, subject: str = "Subject", name: str | None = None) -> Step:
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
    rendered = defaults.render(mail, samples.left_open())
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
    html = defaults.render(mail, samples.left_open()).html
    assert html.count('style="') > 20
    assert "@media (prefers-color-scheme: dark)" in html.partition("</head>")[0]
    assert "background-color: #f3f1ec" not in html.partition("</head>")[0]
    assert '<meta name="color-scheme" content="light dark">' in html
    assert 'class="preheader"' in html
    assert len(html.encode()) < 20_000
    assert html.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("mail", STEPS, ids=SUBJECTS)
def test_default_mail_loads_nothing_but_pictures_of_items(defaults: Templates, mail: Step) -> None:
    """The only addresses in a default mail are the way back to the checkout and the pictures of its items."""
    pictured = Item(name="Lamp", price=Decimal(1), image_url="https://cdn.example/lamp.png?w=1&h=2")
    html = defaults.render(mail, sample(items=(pictured, *samples.left_open().facts.items))).html
    assert html.count('src="') == html.count('src="https://cdn.example/lamp.png?w=1&amp;h=2"') == 1
    is_reminder = mail.name != "confirmation"
    assert html.count('href="') == html.count('href="https://lampshop.example/checkouts/c0ffee"') == is_reminder
    assert html.count("://") == 1 + is_reminder
    assert "url(" not in html


def test_many_items_stay_below_the_clip(defaults: Templates) -> None:
    """Of two hundred items with long names a mail shows the first dozen and counts the rest, below 102 kB."""
    many = tuple(Item(name=f"{n} " + "ä" * 296, variant="ö" * 300, price=Decimal(n)) for n in range(200))
    html = defaults.render(STEPS[0], sample(items=many)).html
    assert "and 188 more" in html
    assert "€11.00" in html
    assert "€12.00" not in html
    assert len(html.encode()) < 60_000


@pytest.mark.parametrize("mail", STEPS, ids=SUBJECTS)
def test_facts_may_be_missing(defaults: Templates, mail: Step) -> None:
    """A mail can be made when next to nothing is known, and shows no gap where a fact would be."""
    checkout = samples.ordered().model_copy(update={"facts": Facts()})
    rendered = defaults.render(step(mail.template), checkout)
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
    rendered = own(folder, text="{{ total | money }}").render(
        step("own"), sample(total=Decimal("1234.56"), locale=locale, currency=currency)
    )
    assert rendered.text == expected


def test_subject_is_a_template(defaults: Templates) -> None:
    """A subject is filled like the mail, without HTML's escapes."""
    items = (Item(name="Pots & <Pans>", price=Decimal(1)),)
    assert defaults.render(STEPS[0], sample(items=items)).subject == "You left Pots & <Pans> behind"


def test_html_is_escaped_and_text_is_not(folder: Path) -> None:
    """Customer's words are escaped in HTML, and as they are in text."""
    rendered = own(folder, "<p title='{{ items[0].name }}'>{{ items[0].name }}</p>", "{{ items[0].name }}").render(
        step("own"), sample(items=(Item(name="""<b>"it's"</b>""", price=Decimal(1)),))
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
    rendered = templates.render(STEPS[0], samples.left_open())
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
        ("<p>\n{{ 1 / 0 }}</p>", 2, "ZeroDivisionError: division by zero"),
        ("<p>\n{{ total | shout }}</p>", 2, "No filter named 'shout'"),
        ("<p>\n{% include 'gone.html.j2' %}</p>", 2, "gone.html.j2"),
        ("<p>x</p>\n<tr><td>{{ shop }}</td></tr>", 2, "<tr> is not well placed"),
        ("{% if shop %}\n<div class='lead'>{% else %}<div>{% endif %}{{ shop }}</div>", 0, "is not well placed"),
    ],
)
def test_fault_is_told_at_the_start(folder: Path, html: str, line: int, fault: str) -> None:
    """A broken template is found by the check, which names the file, the line as it was written, and the fault."""
    templates = own(folder, html)
    with pytest.raises(TemplateError) as caught:
        templates.check([step("own")])
    told = str(caught.value)
    assert told.startswith(f"{folder / 'own.html.j2'}, line {line or ''}")
    assert fault in told


def test_missing_template_is_told(defaults: Templates) -> None:
    """A template that is nowhere is found by the check, by its name."""
    with pytest.raises(TemplateError, match=r"^reminder-9\.txt\.j2: no such template"):
        defaults.check([*STEPS, step("reminder-9")])


@pytest.mark.parametrize("subject", ["{{ nobody }}", "{{ 1 + }}", "{{ items[99].name }}"])
def test_broken_subject_is_told(defaults: Templates, subject: str) -> None:
    """A broken subject is found by the check, which quotes it."""
    with pytest.raises(TemplateError, match=re.escape(subject)):
        defaults.check([step("reminder-1", subject)])


def test_missing_folder_is_told(folder: Path) -> None:
    """A shop's folder that is not there is told by its name."""
    with pytest.raises(TemplateError, match="nowhere: no such folder"):
        Templates(folder / "nowhere")


def test_unreadable_file_is_told(folder: Path) -> None:
    """A template that is not UTF-8 is told by its name."""
    templates = own(folder)
    (folder / "own.txt.j2").write_bytes(b"caf\xe9")
    with pytest.raises(TemplateError, match=r"own\.txt\.j2: UnicodeDecodeError"):
        templates.check([step("own")])


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "https://a.example/\n"])
@pytest.mark.parametrize("place", ["checkout_url", "image_url", "url"])
def test_no_link_but_to_the_web(defaults: Templates, link: str, place: str) -> None:
    """A state built by hand, past the checks of the words, cannot bring another kind of link into a mail."""
    facts = {"checkout_url": link} if place == "checkout_url" else {}
    if place != "checkout_url":
        item = samples.left_open().facts.items[0]
        facts = {"items": (item.model_construct(**{**dict(item), place: link}),)}
    with pytest.raises(TemplateError, match="cannot be written"):
        defaults.render(STEPS[0], sample(**facts))


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
    assert inlined.count("color: red;") == 2
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
    """HTML that the parser would mend is refused: mended around Jinja it would come out wrong."""
    with pytest.raises(Altered):
        inline(source, CSS)


@settings(max_examples=300)
@given(
    amount=st.decimals(min_value=0, max_value=2000, places=4, allow_nan=False, allow_infinity=False),
    currency=st.sampled_from(["EUR", "USD", "CHF", "JPY", "KWD", "INR", "HUF", "SAR"]),
    locale=st.sampled_from(localedata.locale_identifiers()),
)
def test_an_amount_is_written_as_babel_writes_it(amount, currency, locale):
    """The short way gives what Babel gives, to the last sign, in every locale there is."""
    assert _written(amount, currency, locale) == format_currency(amount, currency, locale=_known(locale))
