"""The section `[brand]`: what a shop calls itself, and what none can be called."""

import pytest

from recovery.domain.brand import COLOUR, Brand
from recovery.settings import SettingsError, load_settings

GIVEN = {
    "name": "Lamp Shop",
    "logo_url": "https://cdn.example/logo.png",
    "colour": "#AA3311",
    "address": "\n  1 Light Street\n\n  Berlin \n",
    "website": "https://lamps.example/",
}


def test_a_brand_is_taken():
    """All of it is passed on; the lines of an address without the blanks around them."""
    brand = load_settings(brand=GIVEN).brand.to_brand()
    assert brand == Brand(
        "Lamp Shop", "https://cdn.example/logo.png", "#AA3311", "1 Light Street\nBerlin", "https://lamps.example/"
    )


def test_a_shop_need_not_have_one():
    """By default there is no name and no address, and the colour is the package's."""
    assert load_settings().brand.to_brand() == Brand(colour=COLOUR)
    assert load_settings(brand={"name": "", "logo_url": "", "address": ""}).brand.to_brand() == Brand()


def test_a_shop_may_have_its_own():
    """A shop overrides what it names, and takes the rest from the common section."""
    settings = load_settings(brand=GIVEN, shops={"shades.example": {"brand": {"name": "Shades"}}})
    own = settings.of("shades.example").brand
    assert (own.name, settings.brand.name) == ("Shades", "Lamp Shop")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "Lamp\nShop"),
        ("name", "Lamp \u202eShop"),
        ("name", "L" * 101),
        ("logo_url", "http://cdn.example/logo.png"),
        ("logo_url", "https://cdn.example/lo go.png"),
        ("logo_url", "https://"),
        ("logo_url", "https://cdn.example:99999/logo.png"),
        ("logo_url", "https://cdn.example:0/logo.png"),
        ("logo_url", "https://cdn..example/logo.png"),
        ("logo_url", f"https://{'l' * 64}.example/logo.png"),
        ("logo_url", "https://cdn.example;script-src/logo.png"),
        ("logo_url", "https://*/logo.png"),
        ("website", "https://lamps.example:0x50/"),
        ("website", "javascript:alert(1)"),
        ("colour", "red"),
        ("colour", "#abc"),
        ("colour", "#1f5a4a;"),
        ("colour", "#1f5a4a\n"),
        ("address", "1 Light\u202e Street"),
        ("address", "x" * 501),
    ],
)
def test_what_no_brand_can_be(key, value):
    """An invalid value is refused by the name of its setting."""
    with pytest.raises(SettingsError, match=rf"brand\.{key}"):
        load_settings(brand={key: value})
