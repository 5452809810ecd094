"""Texts of strangers: what of them is kept, logged, and written in a mail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.domain.checkout import Customer, Item, Order
from recovery.domain.masking import code, greeted, is_plain, masked, plain, private, unlinked, visible


@pytest.mark.parametrize(
    "name", ["Ada Lovelace", "佐藤 花子", "O'Brien, J. R. R.", "Zoë Ünal-Çelik 3rd", "Louis XVI", "محمد علي", "a" * 60]
)
def test_somebody_is_greeted_by_a_name(name):
    """Names of any script, with initials and marks, are names."""
    assert greeted(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "URGENT: see https://evil.example/login",
        "WWW.evil",
        "visit evil.example now",
        "evil。example",
        "eve@evil",
        "ｗｗｗ.evil",
        "call +1 900 555",
        "call 12345",
        "٠١٢٣٤",
        "a" * 61,
        "ev\u202eil.example",
        "evil\u200b.example",
        "evil\u00ad.example",
        "evil\u200d.example",
        "evil.\u200cexample",
        "\U000e0041\U000e0042",
        "\u200f",
        None,
    ],
)
def test_nobody_is_greeted_by_a_message(name):
    """A link, an address, a long number or a long text in the place of a name is a message: it is left out."""
    assert greeted(name) is None


@given(st.text())
def test_what_is_plain_stays(text):
    """No control character and nothing that turns the direction of text is left, whatever came; twice is once."""
    once = plain(text)
    assert is_plain(once)
    assert plain(once) == once


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("Ada\x1b]0;OWNED\x07", "Ada]0;OWNED"),
        ("Ada\x9b2J", "Ada2J"),
        ("Ada\u202eecalevoL", "AdaecalevoL"),
        ("\u2066Ada\u2069", "Ada"),
        ("Ada\nLovelace", "Ada Lovelace"),
        ("👩‍🚀 Ada", "👩‍🚀 Ada"),
    ],
)
def test_control_characters_of_names_are_taken_out(written, kept):
    """Of a name or a title all is shown but what would act on a terminal or turn the text after it."""
    assert greeted(Customer(email="ada@example.com", name=written).name) == kept
    assert unlinked(Item(name=written, price=1).name) == kept


def test_a_name_of_control_characters_alone_greets_nobody():
    """No report is lost for what is in a name."""
    assert greeted(Customer(email="ada@example.com", name="\x1b\u202e").name) is None


@pytest.mark.parametrize("order_id", ["1\x9b2", "1\u202e2", "1\x1b"])
def test_an_order_id_has_no_control_characters(order_id):
    """What is a key is refused rather than changed: two orders could become one."""
    with pytest.raises(ValueError, match="control characters"):
        Order(shop="shop.example", order_id=order_id)


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        ("550 <ada.lovelace@example.com>: unknown", "550 <…>: unknown"),
        ("550 user Ada.Lovelace at example.com", "550 user … at example.com"),
        ("550 the mailbox of ADA LOVELACE is full", "550 the mailbox of … is full"),
        ("550 canada", "550 canada"),
        ("550 no\r\nsuch\x1b user", "550 no such user"),
    ],
)
def test_a_reply_tells_nobody_s_name(reply, kept):
    """Neither address nor name nor local part of whom a message was to is left in what a relay says of it."""
    assert masked(reply, private("ada.lovelace@example.com", "Ada Lovelace")) == kept


def test_short_words_tell_of_nobody():
    """A local part of two letters stands in many a text."""
    assert masked("250 ok", private("ok@example.com", None)) == "250 ok"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("550 5.1.1 <…> Zuzana", "5.1.1"),
        ("550 Zuzana", "550"),
        ("Zuzana is gone", ""),
        ("smtp; 550-5.7.26 no", "5.7.26"),
        ("from 10.5.1.1: 5.2.2", "5.2.2"),
    ],
)
def test_the_code_of_a_server_s_words(words, found):
    """Of what a provider tells, the status code is about nobody."""
    assert code(words) == found


@pytest.mark.parametrize(
    "title", ["see https://evil.example", "www.evil.example", "eve@evil.example", "evil.example/login"]
)
def test_a_title_becomes_no_link(title):
    """What mail programs would make a link of is parted, and reads as before."""
    assert unlinked(title) != title
    assert unlinked(title).replace("\u2060", "") == title


@pytest.mark.parametrize("title", ["Arc floor lamp", "Node.js in action", "No. 5", "3.5 mm / 2.0", "1/2 inch"])
def test_other_titles_stay_as_they_are(title):
    """Most titles have no address in them."""
    assert unlinked(title) == title


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("A\u200bd\u00ada\u2060 \ufeffL", "Ada L"),
        ("Ada\ufff9L\ufffaM\ufffb", "AdaLM"),
        ("Ada" + "".join(chr(0xE0000 + ord(each)) for each in "call me"), "Ada"),
        ("\u206aAda\u061c", "Ada"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("क\u094d\u200dष", "क\u094d\u200dष"),
        ("佐藤 花子", "佐藤 花子"),
    ],
)
def test_what_nobody_sees_is_taken_out_of_names(written, kept):
    """Characters that hide a text or part a word go; joiners, which scripts need, stay."""
    assert visible(written) == visible(visible(written)) == kept
    assert greeted(written) == kept
    assert unlinked(written) == kept
