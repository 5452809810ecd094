"""A mail as bytes, read back by the standard library: text and subject are complete, nothing is injected."""

import re
from base64 import b64decode
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recovery.domain.masking import WORD_JOINER, greeted, visible
from recovery.domain.schedule import Step
from recovery.mail.composer import Composer
from recovery.mail.smtp.delivery import as_data
from recovery.mail.templates.templates import Templates
from tests.support.mail_reading import (
    COMPOSER,
    HEADERS,
    IDENTITY,
    NOW,
    STEP,
    TEMPLATES,
    WORDS,
    characters,
    elements,
    keeps_to_its_lines,
    left,
    part,
    read,
    recipient,
)


def in_header(text: str) -> str:
    """What is left of a text in a header: white space becomes one space, and what nobody sees goes."""
    return re.sub(r"\s+", " ", visible(text).replace(WORD_JOINER, "")).strip(" ")


def with_crlf(text: str) -> str:
    return re.sub("\r\n|\r|\n", "\r\n", text)


LOCALES = st.one_of(st.none(), st.sampled_from(["de-AT", "ar-EG", "zh-Hant-TW", "fr_CH", "xx-nowhere", "en-US-POSIX"]))


@settings(max_examples=25)
@given(name=st.one_of(st.none(), WORDS), item=WORDS, locale=LOCALES)
@example(name="\r\nBcc: eve@evil.example", item="Lamp\r\nBcc: eve@evil.example\r\n\r\nGone", locale=None)
@example(name="=?utf-8?q?=0ABcc:_eve=40evil.example?=", item="=?utf-8?q?=0ABcc:_eve=40evil.example?=", locale="de")
@example(name=" ", item="\n", locale="en")
@example(name="\x1b", item="\x1b\u202e", locale="en")
@example(name="a" * 300, item="b" * 300, locale="en")
@example(name="é" * 300, item="a " * 150, locale="en")
@example(name="x" * 71, item="y" * 69, locale="en")
@example(name='"Ada" \\ Lovelace, <eve@evil.example>', item="a" * 70 + " b", locale="en")
def test_any_words_come_through_and_do_no_harm(name: str | None, item: str, locale: str | None) -> None:
    """Whatever a customer writes, a reader gets the same words and no header, part, element or attribute more."""
    checkout = left(name=name, item=item, locale=locale)
    rendered = TEMPLATES.render(STEP, checkout, checkout_url=checkout.facts.checkout_url)
    envelope = COMPOSER.compose(checkout, STEP, NOW)
    message = read(envelope)

    assert message.keys() == HEADERS
    assert message["Subject"] == (in_header(item) or "…")
    assert recipient(envelope) == (in_header(greeted(name) or ""), "ada@example.com")
    assert [kind.get_content_type() for kind in message.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    assert part(message, "plain") == with_crlf(rendered.text)
    assert part(message, "html") == with_crlf(characters(rendered.html))

    assert keeps_to_its_lines(envelope.content)
    assert envelope.content.isascii()
    assert as_data(envelope.content, sound_lines=envelope.sound_lines) == as_data(envelope.content)
    assert not envelope.needs_utf8

    harmless = left(name=greeted(name) and "Ada", locale=locale)
    benign = TEMPLATES.render(STEP, harmless, checkout_url=checkout.facts.checkout_url)
    assert elements(rendered.html) == elements(benign.html)


@settings(max_examples=25)
@given(subject=WORDS)
@example("")
@example("a" * 69)
@example("a" * 70)
@example(" ".join(["word"] * 60))
@example("é" * 998)
@example("=?")
def test_any_subject_comes_through(subject: str) -> None:
    """A subject is read back as it was written, but for control characters, and never starts a header."""
    step = Step("s", timedelta(), "reminder-1", "{{ items[0].variant }}", timedelta())
    checkout = left()
    first = checkout.facts.items[0].model_copy(update={"variant": subject})
    facts = checkout.facts.model_copy(update={"items": (first,)})
    envelope = COMPOSER.compose(checkout.model_copy(update={"facts": facts}), step, NOW)
    message = read(envelope)
    assert message["Subject"] == in_header(subject)
    assert message.keys() == HEADERS
    assert keeps_to_its_lines(envelope.content)


def test_plain_words_stay_readable() -> None:
    """ASCII stands in a header as it is, quoted in a name and folded between words; nothing is encoded without need."""
    long = "You left the very comfortable reading chair with its matching foot stool behind"
    content = COMPOSER.compose(left(name='Ada "Countess" L.', item=long), STEP, NOW).content
    assert b'To: "Ada \\"Countess\\" L." <ada@example.com>\r\n' in content
    assert (
        b"Subject: You left the very comfortable reading chair with its matching foot\r\n stool behind\r\n" in content
    )


def test_no_character_is_cut_in_two() -> None:
    """Each encoded word can be read by itself, whatever falls on its end."""
    for before in range(4):
        content = COMPOSER.compose(left(item="a" * before + "\U0001f680" * 60), STEP, NOW).content
        words = re.findall(rb"=\?utf-8\?b\?(.+?)\?=", content)
        assert len(words) > 5
        assert "".join(b64decode(word).decode() for word in words).count("\U0001f680") == 60


@pytest.mark.parametrize(
    "html",
    [
        "<p>{{ items[0].name }}</p>\n.dot",
        "<p></p>\nFrom here",
        ".dot",
        "--=_recovery--",
        "<p>x</p>\n--=_recovery\nContent-Type: text/plain\n\nx",
        "<p>" + "x" * 984 + "</p>",
        "<p>" + "Ä" * 300 + "</p>",
        "<p>{{ '\\x07' }}</p>",
        "<p>{{ '\\x85' }}</p>",
    ],
)
def test_a_page_that_a_relay_might_change_goes_in_base64(tmp_path: Path, html: str) -> None:
    """Dots, "From " or the boundary at a line's start, long lines and controls are hidden; the page comes through."""
    (tmp_path / "own.html.j2").write_text(html)
    (tmp_path / "own.txt.j2").write_text("x")
    templates = Templates(tmp_path)
    step = Step("s", timedelta(), "own", "Subject", timedelta())
    envelope = Composer(templates, IDENTITY).compose(left(), step, NOW)
    message = read(envelope)
    assert keeps_to_its_lines(envelope.content)
    body = message.get_body(("html",))
    assert body is not None
    assert body["Content-Transfer-Encoding"] == "base64"
    rendered = templates.render(step, left())
    assert part(message, "html") == with_crlf(characters(rendered.html))
    assert as_data(envelope.content, sound_lines=envelope.sound_lines) == as_data(envelope.content)


def test_the_longest_line_that_goes_as_it_is(tmp_path: Path) -> None:
    """A line of 990 characters needs no encoding."""
    (tmp_path / "own.html.j2").write_text("<p>" + "x" * 983 + "</p>")
    (tmp_path / "own.txt.j2").write_text("x")
    step = Step("s", timedelta(), "own", "Subject", timedelta())
    content = Composer(Templates(tmp_path), IDENTITY).compose(left(), step, NOW).content
    assert b"Content-Transfer-Encoding: 7bit\r\n\r\n<p>xxx" in content
