"""The default mails, a shop's own templates, and the errors of broken ones."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from recovery.domain.checkout import Facts, Item
from recovery.domain.schedule import Step
from recovery.mail.templates import samples
from recovery.mail.templates.sandbox import NAMES
from recovery.mail.templates.templates import DEFAULTS, TemplateError, Templates
from tests.support.template_folder import STEPS, SUBJECTS, filled, own, sample, step, text_of


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
    assert "background-color:#f4f1eb" not in html.partition("</head>")[0]
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


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_name_can_be_written(tmp_path: Path, name: str) -> None:
    """Each name that the sandbox allows is there in every mail."""
    templates = own(tmp_path, text=f"{{{{ {name} is defined }}}}")
    assert filled(templates, step("own"), samples.left_open()).text == "True"


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
    css = (DEFAULTS / "style.css").read_text().replace("#575149", "#aa0044")
    (folder / "style.css").write_text(css)
    (folder / "reminder-1.txt.j2").write_text("Come back, {{ customer.name }}!")
    templates = Templates(folder)
    templates.check(STEPS)
    rendered = filled(templates, STEPS[0], samples.left_open())
    assert rendered.text == "Come back, Ada!"
    assert "#aa0044" in rendered.html
    assert "#575149" not in rendered.html
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
@pytest.mark.parametrize("has_folder", [False, True])
def test_broken_subject_is_reported(defaults: Templates, folder: Path, subject: str, has_folder: bool) -> None:
    """A broken subject is found by the check, which names its step and quotes it."""
    templates = own(folder) if has_folder else defaults
    with pytest.raises(TemplateError, match=re.escape(f'late-one: the subject "{subject}"')):
        templates.check([step("reminder-1"), step("reminder-2", subject, "late-one")])


def test_missing_folder_is_reported(folder: Path) -> None:
    """A missing folder is reported by its name."""
    with pytest.raises(TemplateError, match="nowhere: no such folder"):
        Templates(folder / "nowhere")


def test_unreadable_file_is_reported(folder: Path) -> None:
    """A template that is not UTF-8 is reported by its name."""
    (folder / "own.txt.j2").write_bytes(b"caf\xe9")
    with pytest.raises(TemplateError, match=r"own\.txt\.j2: not UTF-8 text"):
        Templates(folder)
