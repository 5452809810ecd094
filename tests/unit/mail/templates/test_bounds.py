"""What one mail may compute, whatever a template says."""

from datetime import timedelta
from decimal import Decimal

import pytest

from recovery.domain.schedule import Step
from recovery.mail.templates import samples
from recovery.mail.templates.templates import TemplateError, Templates

STEP = Step("own", timedelta(), "own", "Subject", timedelta(hours=1))


def filled(folder, text):
    """Return a text template, filled with a sample."""
    (folder / "own.html.j2").write_text("<p></p>")
    (folder / "own.txt.j2").write_text(text)
    return Templates(folder).render(STEP, samples.left_open()).text


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'a' * 10 ** 10 }}",
        "{{ 'a' * 10000000000 }}",
        "{{ 10000000000 * 'a' }}",
        "{{ [1] * 10000000000 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{% for n in range(1001) %}{% endfor %}",
        "{{ '{:9999999999}'.format(1) }}",
        "{{ '{:{}}'.format(1, 9999999999) }}",
        "{{ '{n:9999999999}'.format_map({'n': 1}) }}",
        "{{ '%9999999999d' % 1 }}",
        "{{ '%*d' % (9999999999, 1) }}",
        "{{ '%9999999999d' | format(1) }}",
        "{{ 'x'.center(9999999999) }}",
        "{{ 'x'.ljust(width) if width else 'x'.rjust(9999999999) }}",
        "{{ 'x'.zfill(9999999999) }}",
        "{{ 'x' | center(9999999999) }}",
        "{{ 'x' | indent(9999999999) }}",
        "{{ 'x' | indent(width=9999999999) }}",
        "{{ [1] | batch(9999999999, 'x') | list }}",
        "{{ [1] | slice(9999999999) | list }}",
        "{{ [1] | tojson(indent=9999999999) }}",
        "{{ 1.5 | round(999999999, 'ceil') }}",
        "{{ (1).to_bytes(9999999999) }}",
        "{{ lipsum(n=1000000) }}",
        "{{ cycler(1, 2).next() }}",
    ],
)
def test_what_no_mail_needs_is_an_error(tmp_path, text):
    """Numbers, lengths and widths that would take all memory are refused at once, with the place."""
    if "width" in text:
        text = "{% set width = 0 %}" + text
    with pytest.raises(TemplateError, match=r"own\.txt\.j2"):
        filled(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("{{ '-' * 60 }}", "-" * 60),
        ("{{ [1, 2] * 2 }}", "[1, 2, 1, 2]"),
        ("{{ 2 ** 10 }} {{ 2.0 ** 0.5 == 2 ** 0.5 }}", "1024 True"),
        ("{{ 7 % 4 }} {{ '%5.2f' % 1.5 }}", "3  1.50"),
        ("{{ '%05d' | format(42) }}", "00042"),
        ("{{ '{:>8}|{:,}'.format('x', 1234567) }}", "       x|1,234,567"),
        ("{{ 'x' | center(9) }}|{{ 'x'.ljust(3) }}|", "    x    |x  |"),
        ("{{ 'a\nb' | indent(2) }}", "a\n  b"),
        ("{{ range(1000) | length }} {{ range(3, 9, 2) | list }}", "1000 [3, 5, 7]"),
        ("{{ [1, 2, 3] | batch(2) | list }} {{ 1.25 | round(1) }}", "[[1, 2], [3]] 1.2"),
        ("{{ dict(a=1).a }} {{ 1234567 }} {{ '1234567'.replace('1', '9') }}", "1 1234567 9234567"),
    ],
)
def test_what_mails_need_is_as_before(tmp_path, text, seen):
    """Lines, tables and amounts are computed as Jinja does."""
    assert filled(tmp_path, text) == seen


def test_the_price_of_a_line_is_exact(tmp_path):
    """Prices are decimals, and stay such."""
    first = samples.left_open().facts.items[0]
    seen = filled(tmp_path, "{{ items[0].price * items[0].quantity }} {{ items[0].quantity * items[0].price }}")
    assert [Decimal(each) for each in seen.split()] == [first.price * first.quantity] * 2
