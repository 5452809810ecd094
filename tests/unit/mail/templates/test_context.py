"""What a template sees beside the items: the brand, the direction of writing, the parts of the total, metadata."""

from decimal import Decimal
from pathlib import Path

import pytest

from recovery.domain.brand import Brand
from recovery.domain.checkout import Item
from recovery.mail.templates import samples
from recovery.mail.templates.templates import TemplateError
from tests.support.template_folder import filled, own, sample, step

RLO = "\u202e"


def told(folder: Path, text: str, brand: Brand | None = None, **facts: object) -> str:
    """A mail's text, for the sample with these facts."""
    templates = own(folder, text=text)
    given = {} if brand is None else {"brand": brand}
    return templates.render(step("own"), sample(**facts), **given).text


def test_a_brand_is_seen(tmp_path: Path) -> None:
    """A template sees a brand's name, addresses, colours, and the tones that are worked out from the colour."""
    brand = Brand(
        "Lamp Shop", "https://cdn.example/logo.png", "#1f5a4a", "1 Light Street\nBerlin", "https://lamps.example/"
    )
    names = ("name", "logo_url", "colour", "on_colour", "address", "website")
    text = "|".join(f"{{{{ brand.{name} }}}}" for name in names)
    assert told(tmp_path, text, brand).split("|") == [
        "Lamp Shop",
        "https://cdn.example/logo.png",
        "#1f5a4a",
        "#ffffff",
        "1 Light Street\nBerlin",
        "https://lamps.example/",
    ]
    assert told(tmp_path, "{{ brand.colour_dark }}", brand) == brand.colour_dark


def test_a_shop_without_a_name_goes_by_its_key(tmp_path: Path) -> None:
    """Where the settings name no shop, the brand's name is the key; a check says so, and the mail still goes."""
    text = "{{ brand.name }}{% if brand.logo_url or brand.address or brand.website %} and more{% endif %}"
    assert told(tmp_path, text) == "lampshop.example"
    assert told(tmp_path, "{{ shop }}", Brand("Lamp Shop")) == "lampshop.example"


@pytest.mark.parametrize(
    ("file", "language", "locale", "expected"),
    [
        (None, None, "fa", "ltr left right"),  # no Persian words: English ones, which run from the left
        (None, None, "de", "ltr left right"),
        ("words.ar.toml", "ar", "ar-EG", "rtl right left"),
        ("words.ar.toml", "ar", "en", "ltr left right"),
        ("words.he.toml", "he", "he", "rtl right left"),
        ("words.fa.toml", "fa-IR", "fa", "rtl right left"),
        ("words.toml", "ar", "fr", "rtl right left"),  # a shop all of whose words are Arabic
        ("words.toml", "{{ locale }}", "fr", "ltr left right"),
        ("words.toml", "no language", "fr", "ltr left right"),
    ],
)
def test_the_direction_is_that_of_the_words(
    tmp_path: Path, file: str | None, language: str | None, locale: str, expected: str
) -> None:
    """A mail runs in the direction of the language that its words are in, whatever the customer's locale is."""
    if file is not None:
        (tmp_path / file).write_text(f'language = "{language}"\n')
    html = '<p>{% word "language" %}</p>'
    templates = own(tmp_path, html, "{{ direction }} {{ start }} {{ end }}")
    assert filled(templates, step("own"), sample(locale=locale)).text == expected


def test_the_parts_of_a_total_are_seen_as_they_were_reported(tmp_path: Path) -> None:
    """Discount, shipping and tax are what the shop said; what it did not say is none, and nothing is computed."""
    text = "{{ discount }} {{ discount_code }} {{ shipping }} {{ tax }} {{ order_url }} {{ items[0].sku }}"
    lamp = Item(name="Lamp", price=Decimal(1), sku="L-1")
    facts = {
        "discount": Decimal("5.00"),
        "discount_code": "SPRING",
        "shipping": Decimal("4.90"),
        "tax": Decimal("19.00"),
        "order_url": "https://shop.example/1",
        "items": (lamp,),
    }
    assert told(tmp_path, text, **facts) == "5.00 SPRING 4.90 19.00 https://shop.example/1 L-1"
    assert told(tmp_path, text) == "None None None None None None"


def test_metadata_has_values_and_no_methods(tmp_path: Path) -> None:
    """A value is seen by its name, also one that is called like a method; a name without a value is none."""
    text = '{{ metadata.gift }} {{ metadata["items"] }} {{ metadata.items }} {{ metadata.none }}'
    text += "{% if metadata.none %}!{% endif %}{% for name in metadata %} {{ name }}{% endfor %}"
    assert told(tmp_path, text, metadata={"gift": "yes", "items": "3"}) == "yes 3 3 None gift items"


def test_strangers_texts_are_cleaned(tmp_path: Path) -> None:
    """A code, a SKU and metadata lose what changes the direction of text, and make no link."""
    evil = f"{RLO}x\u2066 www.evil.example"
    text = "{{ discount_code }}|{{ items[0].sku }}|{{ metadata.note }}"
    lamp = Item(name="Lamp", price=Decimal(1), sku=evil)
    cleaned = told(tmp_path, text, discount_code=evil, items=(lamp,), metadata={"note": evil}).split("|")
    assert cleaned == ["x www\u2060.evil.example"] * 3


def test_an_order_s_link_is_checked(tmp_path: Path) -> None:
    """A link that only a changed database can hold is in no mail."""
    with pytest.raises(TemplateError, match="javascript:alert"):
        told(tmp_path, "{{ order_url }}", order_url="javascript:alert(1)")


def test_a_brand_belongs_to_a_mail_and_not_to_the_compiled_templates(tmp_path: Path) -> None:
    """Two shops with the same templates are each greeted from by their own name."""
    templates = own(tmp_path, text="{{ brand.name }}")
    names = [
        templates.render(step("own"), samples.left_open(), brand=Brand(name)).text for name in ("Lamps", "Shades", "")
    ]
    assert names == ["Lamps", "Shades", "lampshop.example"]


@pytest.mark.parametrize(
    ("parts", "included"),
    [
        ({}, True),
        ({"tax": Decimal(20), "total": Decimal(120)}, False),
        ({"tax": Decimal("20.00"), "total": Decimal(120), "shipping": None, "discount": None}, False),
        ({"tax": Decimal(20), "total": Decimal(100)}, True),
        ({"tax": Decimal(20), "total": Decimal(115), "shipping": Decimal(5), "discount": Decimal(10)}, False),
        ({"tax": Decimal(20), "total": Decimal(95), "shipping": Decimal(5), "discount": Decimal(10)}, True),
        ({"tax": Decimal(20), "total": Decimal(77)}, True),
        ({"tax": Decimal(20), "total": None}, True),
        ({"tax": Decimal(0), "total": Decimal(100)}, False),
    ],
)
def test_tax_is_in_the_prices_unless_it_adds_up_with_it(
    tmp_path: Path, parts: dict[str, Decimal], included: bool
) -> None:
    """Only where the items, the other parts and the tax come to the total, the tax is a line above it."""
    items = (Item(name="Lamp", price=Decimal(50), quantity=2),)
    assert told(tmp_path, "{{ tax_included }}", items=items, **parts) == str(included)
