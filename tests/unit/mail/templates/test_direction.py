"""Mails from right to left, and names of one direction in words of the other."""

import re

import pytest

from recovery.domain.checkout import Customer
from recovery.mail.templates import samples
from recovery.mail.templates.isolation import not_isolated
from tests.support.default_mails import LANGUAGES, STEPS, rendered, whole
from tests.support.mail_reading import elements


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_mail_runs_in_the_direction_of_its_words(name: str, language: str) -> None:
    """Page and column say the direction, since webmail drops the first, and prices stand at the end of the line."""
    rtl = language in ("ar", "he")
    html = rendered(name, whole(name, language)).html
    seen = [(tag, dict(attributes)) for tag, attributes in elements(html)]
    directions = [(tag, attributes["dir"]) for tag, attributes in seen if "dir" in attributes]
    assert directions == [(tag, "rtl" if rtl else "ltr") for tag in ("html", "td", "table")]
    prices = [attributes for _, attributes in seen if "price" in (attributes.get("class") or "").split()]
    assert len(prices) >= 4
    assert {attributes["align"] for attributes in prices} == {"left" if rtl else "right"}
    padded = re.findall(r"padding-(left|right):16px", html)
    assert set(padded) == {"right" if rtl else "left"}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_name_turns_the_words_around_it(name: str, language: str) -> None:
    """Each name, variant, amount and code of a mail stands in a `<bdi>` of its own, in the words as well."""
    checkout = whole(name, language)
    facts = checkout.facts.model_copy(update={"customer": Customer(email="ada@example.com", name="ليلى الفارسي")})
    html = rendered(name, checkout.model_copy(update={"facts": facts})).html
    codes = ["SPRING", "LAMP-10"] if name != "confirmation" else ["SPRING", "1042"]
    names = [item.name for item in facts.items] + [item.variant or "" for item in facts.items]
    body = re.sub(r"&#(\d+);", lambda found: chr(int(found[1])), html.partition("<body")[2])
    assert not_isolated("<div" + body, [*names, *codes, "ليلى الفارسي", "Lamp Shop"]) == []
    amounts = [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r'<td class="[^"]*price"[^>]*>(.*?)</td>', body)]
    assert len(amounts) >= 4
    assert not_isolated("<div" + body, amounts) == []


def test_what_is_not_isolated_is_found() -> None:
    """A name beside other text, or in an element that leaves the direction as it is, is found; in a title it is not."""
    assert not_isolated("<p>Hi Ada</p>", ["Ada"]) == ["Ada"]
    assert not_isolated("<p>Hi <b>Ada</b></p>", ["Ada", "Bob"]) == ["Ada"]
    for html in ("<p>Hi <bdi>Ada</bdi></p>", '<p>Hi <b dir="auto">Ada</b></p>', "<title>Ada</title>", "<p>Hi<br></p>"):
        assert not_isolated(html, ["Ada"]) == []


@pytest.mark.parametrize("language", ["ar", "he"])
@pytest.mark.parametrize("count", [1, 2, 5, 11, 88, 100, 188])
def test_the_rest_is_counted_in_the_language(language: str, count: int) -> None:
    """The number of items that are not shown agrees with its noun, in text and in HTML."""
    items = samples.left_open(language).facts.items[:1] * (12 + count)
    facts = samples.left_open(language).facts.model_copy(update={"items": items})
    mail = rendered("reminder-1", samples.left_open(language).model_copy(update={"facts": facts}))
    more = {
        ("ar", 1): "ومنتج آخر",
        ("ar", 2): "ومنتجان آخران",
        ("ar", 5): "و5 منتجات أخرى",
        ("ar", 100): "و100 منتج آخر",
        ("he", 1): "ועוד פריט אחד",
    }.get((language, count), f"و{count} منتجًا آخر" if language == "ar" else f"ועוד {count} פריטים")
    assert more in mail.text.splitlines()
