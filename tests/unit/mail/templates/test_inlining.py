"""CSS inlining of templates."""

from html.parser import HTMLParser

import jinja2
import pytest

from recovery.mail.templates.inlining import NotWellFormed, inline

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


def test_a_page_keeps_its_own_style_sheets() -> None:
    """Rules that match nothing here, such as those for Outlook or of compiled MJML, stay in the page."""
    own = "<style>#outlook a { padding: 0 } .fix { top: 0 } .b { margin: 0 } @media (x) { .b { color: red } }</style>"
    page = f'<html><head><meta charset="utf-8">{own}</head><body><p class="b">{{{{ a }}}}</p></body></html>'
    inlined = inline(page, ".a { color: red } @media (x) { .a { color: blue } }")
    assert own in inlined
    assert inlined.count("<style>") == 1
    assert '<p class="b" style="margin:0">' in inlined


def test_media_queries_come_only_where_they_can_match() -> None:
    """A page without a class of the shop's media queries does not get them; one that has one gets them all."""
    css = ".a { color: red } @media (x) { .a { color: blue !important } .z { margin: 0 } }"
    page = '<html><head><meta charset="utf-8"></head><body><p class="{}">x</p></body></html>'
    assert "@media" not in inline(page.format("mine"), css)
    assert inline(page.format("mine a"), css).count("@media (x)") == 1
    assert "<style>" not in inline(page.format("a"), ".a { color: red }")


def test_the_charset_stays_at_the_begin() -> None:
    """Style sheets come behind what the head has: a browser looks for the charset in the first 1,024 bytes."""
    css = "@media (x) { .a { color: red } }" * 40
    page = inline(
        '<html><head><meta charset="utf-8"><title>x</title></head><body><p class="a">x</p></body></html>', css
    )
    assert page.index('charset="utf-8"') < page.index("<title>") < page.index("<style>") < page.index("</head>")


def test_no_rule_is_lost_beside_at_rules() -> None:
    """Rules between, before and behind at-rules are inlined; a charset and comments are no rules."""
    css = '@charset "utf-8"; /* } */ .a { color: red } @media (x) { .a { top: 0 } } .a { margin: 0 }'
    page = inline('<html><head></head><body><p class="a">x</p></body></html>', css)
    assert 'style="color:red;margin:0"' in page
    assert "<style>@media (x) {  .a {  top: 0 } }</style>" in page


def test_attributes_may_change_places() -> None:
    """The parser may put attributes in another order, with their Jinja in them; they keep their values."""
    page = '<td lang="{{ a }}" dir="{{ b }}" class="a" align="{{ c }}" width="1">x</td>'
    inlined = inline(f"<table><tbody><tr>{page}</tr></tbody></table>", CSS)
    for name, value in (("lang", "a"), ("dir", "b"), ("align", "c")):
        assert f'{name}="{{{{ {value} }}}}"' in inlined


def test_a_word_in_the_text_is_isolated() -> None:
    """Where a word stands between elements its tag says so; in an attribute, a title or a comment it must not."""
    page = """<html><head><title>{% word "a" %}</title></head><body><!-- {% word "a" %} --><p title='{% word "b" %}'>
{%- word "c" +%}{{ word }}</p></body></html>"""
    inlined = inline(page, CSS)
    assert inlined.count("isolated_word") == 1
    assert '{%- isolated_word "c" +%}' in inlined
