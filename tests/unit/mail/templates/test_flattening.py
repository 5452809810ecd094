"""Templates without inheritance: what is resolved when they are compiled renders what Jinja renders."""

import re
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import UndefinedError
from markupsafe import Markup, escape

from recovery.domain.schedule import Step
from recovery.mail.templates import samples
from recovery.mail.templates.context import names_of
from recovery.mail.templates.files import Files
from recovery.mail.templates.flattening import flattened
from recovery.mail.templates.generator import escaped
from recovery.mail.templates.locales import direction, sides
from recovery.mail.templates.references import has_long_line
from recovery.mail.templates.templates import Edition, TemplateError
from tests.support.mail_reading import characters

STEP = Step("own", timedelta(), "own", "Subject", timedelta(hours=1))
LINK = "https://lampshop.example/checkouts/c0ffee"

LAYOUT = """{% set mood = "calm" %}
<{% block head %}head {{ shop }}{% endblock %}>
{% if items %}{% block list %}{% for item in items %}{{ item.name }}, {% endfor %}{% endblock %}{% endif %}
{% block outer %}out {% block inner %}in {{ mood }}{% endblock %} out{% endblock %}"""


def compiled(folder, own, layout=LAYOUT, ending="txt", known=None):
    """Return the template as it is compiled for mails, or None, and as Jinja compiles it."""
    (folder / "base.txt.j2").write_text(layout)
    for each in ("txt", "html"):
        (folder / f"own.{each}.j2").write_text(own if each == ending else "")
    edition = Edition(Files(folder), "UTC")
    sandbox = edition.sandbox("own", ("",))
    flat = sandbox.flat(f"own.{ending}.j2", known or {})
    return flat and flat[0], sandbox.get_template(f"own.{ending}.j2")


def names(checkout=None):
    return names_of(STEP, checkout or samples.left_open(), "UTC", LINK, None)


EXTENDS = '{% extends "base.txt.j2" %}'


@pytest.mark.parametrize(
    "own",
    [
        "{{ shop }}",
        LAYOUT,
        EXTENDS,
        EXTENDS + "text that is not shown {{ nobody }}",
        EXTENDS + "{% block head %}new {{ customer.name }}{% endblock %}",
        EXTENDS + "{% block list %}{% endblock %}{% block inner %}{{ mood }}{% endblock %}",
        EXTENDS + "{% block outer %}{% set mood = 'wild' %}{{ mood }}{% endblock %}",
        EXTENDS
        + "{% block head %}{% set shop = 'x' %}{{ shop }}{% endblock %}{% block inner %}{{ shop }}{% endblock %}",
        EXTENDS + "{% block head %}{% for n in range(3) %}{{ n }}{{ loop.last }}{% endfor %}{% endblock %}",
        EXTENDS + "{% block outer %}{% block deep %}{{ total | money }}{% endblock %}{% endblock %}",
        EXTENDS + "{% block head %}{% macro m(a) %}{{ a.name }}{% endmacro %}{{ m(items[0]) }}{% endblock %}",
    ],
)
def test_a_flat_template_renders_the_same(tmp_path, own):
    """Blocks, names that a block sets, loops and macros give the text that Jinja's own inheritance gives."""
    flat, jinjas = compiled(tmp_path, own)
    assert flat is not None
    assert flat.blocks == {}
    assert flat.render(names()) == jinjas.render(names())


@pytest.mark.parametrize("ending", ["txt", "html"])
@pytest.mark.parametrize(
    "own",
    [
        "<p class='{{ start }}'>{{ start | upper }}{{ start if start == '<' else '' }}{{ start is defined }}</p>",
        "<p>{{ start }}{% set start = 'x' %}{{ start }}</p>",
        "<p>{% for start in [1, 2] %}{{ start }}{% endfor %}{{ start }}</p>",
        "<p>{% macro m(start) %}{{ start }}{% endmacro %}{{ m(3) }}{{ start }}</p>",
        "<p>{% set page %}{{ start }}{% endset %}{{ page }}</p>",
    ],
)
def test_a_known_name_renders_what_it_stands_for(tmp_path, own, ending):
    """It is escaped as if it were looked up, and a template may use the name for something of its own."""
    flat, jinjas = compiled(tmp_path, own, ending=ending, known={"start": "<"})
    assert flat.render(names() | {"start": "<"}) == jinjas.render(names() | {"start": "<"})


def test_a_known_name_is_not_looked_up_for_each_mail(tmp_path):
    """It is part of the text: the mail is rendered without it."""
    flat, _ = compiled(tmp_path, "<p>{{ start }}</p>", ending="html", known={"start": "left"})
    assert flat.render() == "<p>left</p>"


@settings(max_examples=200)
@given(st.text() | st.text("&<>'\"").map(Markup) | st.integers() | st.none() | st.decimals())
def test_what_is_put_in_is_escaped_as_jinja_escapes(value):
    """Texts with and without marks of HTML, texts that are HTML already, numbers and nothing."""
    assert escaped(value) == escape(value)


def test_a_name_that_is_not_defined_is_an_error_where_it_is_put_in(tmp_path):
    """Not an empty text."""
    flat, _ = compiled(tmp_path, "<p>{{ nobody }}</p>", ending="html")
    with pytest.raises(UndefinedError, match="nobody"):
        flat.render(names())


@pytest.mark.parametrize(
    "own",
    [
        EXTENDS + "{% block head %}{{ super() }}!{% endblock %}",
        EXTENDS + "{% block head %}{{ self.inner() }}{% endblock %}",
        EXTENDS + "{% set mood = 'wild' %}",
        "before " + EXTENDS,
        "{% extends 'base.' ~ 'txt.j2' if items else 'base.txt.j2' %}",
        "{% for item in items %}{% block one %}{{ mood is defined }}{% endblock %}{% endfor %}",
        "{% for n in [1] %}{% block one scoped %}{{ n }}{% endblock %}{% endfor %}",
        "{% block a %}{% set n = 1 %}{% block b %}{{ n is defined }}{% endblock %}{% endblock %}",
        "{% macro m() %}{% block a %}x{% endblock %}{% endmacro %}{{ m() }}",
    ],
)
def test_what_would_render_otherwise_is_left_to_jinja(tmp_path, own):
    """A template whose blocks depend on where they stand or what they replace is left as it is, and rendered."""
    flat, jinjas = compiled(tmp_path, own)
    assert flat is None
    edition = Edition(Files(tmp_path), "UTC")
    assert edition.render(STEP, samples.left_open(), LINK, None).text == jinjas.render(names())


@pytest.mark.parametrize(
    ("own", "file", "line"),
    [
        (EXTENDS + "\n\n{% block head %}\n{{ nobody }}{% endblock %}", "own.txt.j2", 4),
        (EXTENDS + "{% block inner %}{% endblock %}", "base.txt.j2", 3),
        (EXTENDS + "\n{% block head %}{{ 1 | shout }}{% endblock %}", "own.txt.j2", 2),
        ("{% block a %}{% endblock %}\n{% block a %}{% endblock %}", "own.txt.j2", 2),
        (EXTENDS.replace("base", "own"), "own.txt.j2", 1),
    ],
)
def test_a_fault_has_the_file_and_line_where_it_stands(tmp_path, own, file, line):
    """An error names the template in which it was written, the child or the parent, though both are one function."""
    layout = LAYOUT.replace("{{ item.name }}", "{{ item.nothing }}")
    (tmp_path / "base.txt.j2").write_text(layout)
    (tmp_path / "own.txt.j2").write_text(own)
    (tmp_path / "own.html.j2").write_text("<p></p>")
    with pytest.raises(TemplateError) as caught:
        Edition(Files(tmp_path), "UTC").render(STEP, samples.left_open(), LINK, None)
    assert str(caught.value).startswith(f"{tmp_path / file}, line {line}")


@pytest.mark.parametrize("name", ["reminder-1", "reminder-2", "reminder-3", "confirmation"])
@pytest.mark.parametrize("language", ["en", "de", "ja", "ar", "he"])
def test_default_mails_are_flat_and_the_same(name, language):
    """Each of the package's mails is one function, and renders the page that Jinja renders."""
    step = Step(name, timedelta(), name, None, timedelta(hours=1))
    edition = Edition(Files(None), "UTC")
    chain = edition._chain(language)
    sandbox = edition.sandbox(name, chain)
    for checkout in (samples.of(name, language), *(each for _, each in samples.awkward(name, language))):
        if (checkout.facts.locale or "en") != language:
            continue
        mail = edition.render(step, checkout, checkout.facts.checkout_url, None)
        given_names = names_of(step, checkout, "UTC", checkout.facts.checkout_url, None)
        given_names |= sides(direction(language))
        assert flattened(sandbox, f"{name}.html.j2") is not None
        assert mail.text == sandbox.get_template(f"{name}.txt.j2").render(given_names)
        page = sandbox.get_template(f"{name}.html.j2").render(given_names)
        assert mail.html.split() == page.split() or characters(mail.html).split() == page.split()
        assert (
            mail.html.isascii()
            or has_long_line(mail.html)
            or has_long_line(page.encode("ascii", "xmlcharrefreplace").decode())
        )


@pytest.mark.parametrize(
    ("html", "is_ascii"),
    [
        ("<p>Käse {{ items[0].name }}</p>", True),
        ("<p title='é {{ items[0].name }}'>{{ '→' }}</p>", True),
        ("<!-- {{ items[0].name }} --><p></p>", False),
        ("<!-- é --><p>ü {{ items[0].name }}</p>", False),
        ("<p>{{ '<style>é</style>' | safe }} {{ items[0].name }}</p>", False),
        ("{% set x %}Käse{% endset %}<p>{{ x | upper }} {{ x | length }} {{ items[0].name }}</p>", True),
        ("<p>{% filter upper %}é{% endfilter %}</p>", True),
        ("{% include 'base.txt.j2' %}<p>{{ items[0].name }}</p>", False),
    ],
)
def test_references_stand_only_where_they_are_read(tmp_path, html, is_ascii):
    """A page keeps its characters: as references in texts and attributes, as themselves in comments and the like."""
    checkout = samples.left_open("ja")
    flat, jinjas = compiled(tmp_path, html, layout="é", ending="html")
    assert flat is not None
    mail = Edition(Files(tmp_path), "UTC").render(STEP, checkout, LINK, None)
    assert mail.html.isascii() == is_ascii
    assert characters(mail.html) == jinjas.render(names(checkout))


@settings(max_examples=100)
@given(st.text(max_size=80))
def test_any_name_is_read_as_it_was(name):
    """Whatever Unicode an item is called by, its page has these characters, or cannot be encoded, as before."""
    edition = _EDITION
    plain = samples.left_open()
    item = plain.facts.items[0].model_copy(update={"name": name})
    checkout = plain.model_copy(update={"facts": plain.facts.model_copy(update={"items": (item,)})})
    step = Step("reminder-1", timedelta(), "reminder-1", "S", timedelta())
    page = edition.sandbox("reminder-1", ("",)).get_template("reminder-1.html.j2")
    expected = page.render(names_of(step, checkout, "UTC", LINK, None))
    html = edition.render(step, checkout, LINK, None).html
    assert characters(html).split() == expected.split()
    assert not re.search(r"&#1(?:2[89]|[345]\d);", html)


_EDITION = Edition(Files(None), "UTC")
