"""Encrypted tokens and pseudonyms: tokens round-trip and cannot be forged; one address has one pseudonym."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.domain.fields import normalised
from recovery.domain.pseudonyms import Pseudonyms
from recovery.mail.seals import Seals, base32, from_base32

OLD, NEW = "an old key of some length", "a new key of some length"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
ANY = st.text(min_size=1).filter(lambda text: text.isprintable())


@settings(deadline=None)
@given(ANY, ANY)
def test_what_was_sealed_opens_to_the_same(purpose, content):
    """Any text comes back as it was, for the purpose it was sealed for, always by the same link."""
    sealed = Seals([NEW]).seal_text(purpose, content)
    assert Seals([NEW]).open_text(purpose, sealed) == content
    assert Seals([NEW]).seal_text(purpose, content) == sealed
    assert re.fullmatch(r"[A-Za-z0-9_-]+", sealed)


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=60), st.data())
def test_a_flipped_bit_never_opens(content, data):
    """A seal with any one bit changed does not open."""
    seals = Seals([NEW])
    sealed = bytearray(seals.seal("link", content))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    assert seals.open("link", bytes(sealed)) is None


@settings(deadline=None)
@given(st.text(min_size=1, max_size=60), st.data())
def test_a_changed_character_never_opens(content, data):
    """A link with any one character replaced, added or missing does not open."""
    seals = Seals([NEW])
    sealed = seals.seal_text("link", content)
    at = data.draw(st.integers(0, len(sealed) - 1))
    put = data.draw(st.sampled_from(["", "A", "w", "_", "=", "+", " ", "é", sealed[at] + "A"]))
    changed = sealed[:at] + put + sealed[at + 1 :]
    assert seals.open_text("link", changed) is None or changed == sealed


@settings(deadline=None)
@given(st.text(min_size=1, max_size=60), st.sampled_from(["\n", " ", "!", "=", "+"]), st.data())
def test_a_link_is_written_in_one_way(content, noise, data):
    """What a decoder would pass over, foreign characters and spare bits, does not open: every link has one form."""
    seals = Seals([NEW])
    sealed = seals.seal_text("link", content)
    at = data.draw(st.integers(0, len(sealed)))
    assert seals.open_text("link", sealed[:at] + noise + sealed[at:]) is None
    spare = ALPHABET[ALPHABET.index(sealed[-1]) ^ 1]
    assert seals.open_text("link", sealed[:-1] + spare) is None


@settings(deadline=None)
@given(st.text())
def test_nonsense_does_not_open(text):
    """Whatever stands where a seal should, nothing is raised."""
    assert Seals([NEW]).open_text("link", text) is None
    from_base32(text)


def test_another_purpose_does_not_open():
    """A token made for one purpose is invalid for another."""
    seals = Seals([NEW])
    assert seals.open_text("back", seals.seal_text("unsubscribe", "ada@example.com")) is None


def test_an_old_key_still_opens():
    """After a key was put before it, an old one opens what it sealed; the new one seals."""
    old = Seals([OLD]).seal_text("link", "ada")
    both = Seals([NEW, OLD])
    assert both.open_text("link", old) == "ada"
    assert both.seal_text("link", "ada") == Seals([NEW]).seal_text("link", "ada") != old
    assert Seals([NEW]).open_text("link", old) is None


def test_without_a_key_nothing_is_sealed_or_opened():
    """No key is not a key that everybody has."""
    with pytest.raises(ValueError, match="no key"):
        Seals([]).seal_text("link", "ada")
    assert Seals([]).open_text("link", Seals([NEW]).seal_text("link", "ada")) is None


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=40))
def test_base32_comes_back_in_any_case(content):
    """Base32 is small letters and digits, and read in whatever case a server made of it."""
    written = base32(content)
    assert re.fullmatch(r"[a-z2-7]+", written)
    assert from_base32(written) == from_base32(written.upper()) == content


def test_a_sealed_pseudonym_fits_into_a_local_part():
    """A sealed pseudonym takes 52 characters of the 64 that RFC 5321 gives a local part."""
    pseudonym = bytes.fromhex(Pseudonyms([NEW]).of("ada@example.com"))
    assert len(base32(Seals([NEW]).seal("return path", pseudonym))) == 52


def test_a_key_that_is_added_loses_nobody():
    """An entry under an older key, or under none, is found with the newer keys."""
    none, old, new = Pseudonyms([]), Pseudonyms([OLD]), Pseudonyms([NEW, OLD])
    everybody = new.all("ada@example.com")
    assert everybody == (new.of("ada@example.com"), old.of("ada@example.com"), none.of("ada@example.com"))
    assert len(set(everybody)) == 3
    assert all(re.fullmatch(r"[0-9a-f]{32}", each) for each in everybody)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada@Example.COM", "ada@example.com"),
        ("Ada@BÜCHER.example", "ada@xn--bcher-kva.example"),
        ("ada@bu\u0308cher.example", "ADA@XN--BCHER-KVA.EXAMPLE"),
        ("Zoe\u0308@example.com", "zoë@EXAMPLE.com"),
        (" ada@example.com ", "ada@example.com"),
    ],
)
def test_one_address_has_one_pseudonym(one, other):
    """However it is written, an address is the same."""
    assert normalised(one) == normalised(other)
    assert Pseudonyms([OLD]).of(one) == Pseudonyms([OLD]).of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ada@example.com", "ada@example.org"),
        ("ada@straße.de", "ada@strasse.de"),
        ("ada+shop@example.com", "ada@example.com"),
        ("groß@example.com", "gross@example.com"),
        ("ſam@example.com", "sam@example.com"),
        ("ﬁa@example.com", "fia@example.com"),
    ],
)
def test_two_addresses_have_two(one, other):
    """What may be two people is never taken for one."""
    assert Pseudonyms([]).of(one) != Pseudonyms([]).of(other)


def test_what_an_older_version_kept_is_found_where_it_stops_a_mail():
    """Versions before this one took a ß for ss: who was kept under that pseudonym is not written to now, either."""
    pseudonyms = Pseudonyms([NEW])
    assert set(pseudonyms.also("Groß@example.com")) == {
        *pseudonyms.all("groß@example.com"),
        *pseudonyms.all("gross@example.com"),
    }
    assert pseudonyms.also("ada@example.com") == pseudonyms.all("ada@example.com")


@settings(deadline=None)
@given(st.text(), st.sampled_from(["example.com", "BÜCHER.example", "ünot valid", "[x", "\ud800.de", "ǰ.example"]))
def test_the_one_form_stays_as_it_is(local, domain):
    """Normalising is idempotent, and raises nothing for an invalid address."""
    once = normalised(f"{local}@{domain}")
    assert normalised(once) == once
    Pseudonyms([]).of(once)
