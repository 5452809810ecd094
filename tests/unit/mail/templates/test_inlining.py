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
