"""The look of the default mails: sound HTML, contrast, what Word can do, the brand, and each mail's own part."""

import re
from decimal import Decimal

import html5lib
import pytest

from recovery.domain.brand import DARK_TEXT, READABLE, Brand, contrast
from recovery.domain.checkout import Item
from recovery.mail.templates import samples
from recovery.mail.templates.files import DEFAULTS
from recovery.mail.templates.lint import LONGEST_HTML
from tests.support.default_mails import BRAND, LANGUAGES, STEPS, every_mail, rendered, whole
from tests.support.mail_reading import elements
from tests.support.outlook import as_word_sees, declarations, works
from tests.support.template_folder import text_of

CSS = (DEFAULTS / "style.css").read_text()
LIGHT, _, DARK = CSS.partition("@media (prefers-color-scheme: dark)")
REMINDERS = [name for name in STEPS if name != "confirmation"]

STANDS_ON = {
    "page": ("shop", "home", "foot", "quiet"),
    "card": ("headline", "lead", "link", "detail", "more", "items", "sums", "strong", "total", "next", "closing"),
    "panel": ("offer", "label", "coupon", "detail", "strong", "items"),
    "image": ("image",),
    "logo": ("logo",),
}
"""The classes that have a background, and those of the texts on it; the button and the marks have the brand's."""

ORNAMENTS = {"border-radius", "text-wrap", "word-break", "overflow-wrap", "object-fit", "overflow", "max-height"}
"""Properties without which a mail is as good, if less round."""


def colour(css: str, name: str, what: str) -> str | None:
    """The colour that a style sheet gives to a class, by the last rule that has one."""
    found = [
        value
        for selectors, rule in re.findall(r"([^{}]+)\{([^{}]*)\}", css)
        if f".{name}" in re.split(r"[,\s]+", selectors)
        for value in re.findall(rf"(?<![\w-]){what}:\s*(#[0-9a-f]{{6}})", rule)
    ]
    return found[-1] if found else None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(scheme: str) -> None:
    """Each text has a contrast of 4.5 : 1 with what it stands on, in light and in dark colours."""
    sheets = (LIGHT,) if scheme == "light" else (DARK, LIGHT)
    for below, texts in STANDS_ON.items():
        ground = next((found for css in sheets if (found := colour(css, below, "background-color"))), None)
        if ground is None and below == "logo":
            ground = colour(LIGHT, "page", "background-color")
        for text in texts:
            ink = next(found for css in sheets if (found := colour(css, text, "color")))
            assert ground is not None
            assert contrast(ink, ground) >= READABLE, f"{ink} of .{text} on {ground} of .{below}"


def test_every_class_with_a_colour_is_judged() -> None:
    """A class that is given a colour has its place in the table above, so that no new text escapes it."""
    coloured = {
        name
        for selectors, rule in re.findall(r"([^{}]+)\{([^{}]*)\}", LIGHT)
        if re.search(r"(?<![\w-])color:", rule)
        for name in re.findall(r"\.([\w-]+)", selectors)
    }
    assert coloured == {text for texts in STANDS_ON.values() for text in texts}


@pytest.mark.parametrize("brand", ["#1f5a4a", "#ffd54a", "#777777", "#000000", "#ffffff", "#b3261e"])
def test_the_button_of_any_brand_can_be_read(brand: str) -> None:
    """The text of the button and of the marks has the contrast too, whatever colour a shop chose."""
    html = rendered("reminder-2", samples.left_open(), Brand("Shop", colour=brand)).html
    buttons = re.findall(r'class="cell"[^>]*background-color:(#\w+)[^>]*>\s*<a[^>]*?[;"]color:(#\w+)', html)
    marks = re.findall(r'class="mark"[^>]*?background-color:(#\w+);color:(#\w+)', html)
    assert len(buttons) == 1
    assert len(marks) == 3
    assert all(contrast(ground, ink) >= READABLE for ground, ink in buttons + marks)
    (dark,) = re.findall(r"\.cell, \.mark \{ background-color: (#\w+) !important", html)
    assert contrast(dark, DARK_TEXT) >= READABLE


def test_every_mail_is_sound_html() -> None:
    """An HTML5 parser finds no error in any mail, in any language, with awkward data; the charset comes in time."""
    for what, _, mail in every_mail():
        parser = html5lib.HTMLParser()
        parser.parse(mail.html)
        assert parser.errors == [], what
        assert mail.html.encode().index(b'<meta charset="utf-8">') < 1024, what
        assert len(re.findall(r"<h1\b", mail.html)) == 1, what


def test_no_mail_is_clipped() -> None:
    """Two hundred items with long names, pictures and links stay far below the 102 kB at which Gmail clips."""
    for name in STEPS:
        for character in ("x", "ü", "電", "ع", "💡"):
            items = tuple(
                Item(
                    name=f"{n} {character * 290}",
                    variant=character * 300,
                    price=Decimal(1),
                    quantity=2,
                    url=f"https://a.example/{'x' * 400}",
                    image_url=f"https://a.example/{'y' * 400}",
                )
                for n in range(200)
            )
            facts = whole(name, "en").facts.model_copy(update={"items": items})
            html = rendered(name, samples.of(name).model_copy(update={"facts": facts})).html
            assert len(html.encode()) < LONGEST_HTML, (name, character)


def test_nothing_that_matters_is_lost_in_outlook() -> None:
    """What Word does not do with a declaration is an ornament, or is said again in a way that it knows."""
    for what, _, mail in every_mail():
        for element, name, value in declarations(mail.html):
            if not works(element, name, value) and name not in ORNAMENTS:
                assert (element, name) in {
                    ("a", "padding"),  # of the button: its cell has mso-padding-alt
                    ("a", "display"),
                    ("img", "display"),
                    ("img", "max-width"),  # of the logo: its height is an attribute
                    ("td", "white-space"),  # its attribute is nowrap
                    ("body", "margin"),
                    ("body", "padding"),
                    ("body", "-webkit-text-size-adjust"),
                }, what


def test_buttons_and_coupons_have_room_in_outlook() -> None:
    """Each button and coupon stands in a table cell with padding of its own, and Outlook counts 96 pixels an inch."""
    for name in STEPS:
        html = rendered(name, whole(name, "en", 6)).html
        assert "<o:PixelsPerInch>96</o:PixelsPerInch>" in html
        seen = as_word_sees(html)
        cells = re.findall(r'<td[^>]*class="(cell|panel)"[^>]*style="([^"]*)"', seen)
        assert len(cells) == html.count('class="cell"') + html.count('class="panel"') >= 2
        for _, style in cells:
            assert re.search(r"(?:^|;)padding:(?:16|24)px", style)
            assert "background-color:#" in style
        for nowrap in re.findall(r'<td class="row price"[^>]*>', seen):
            assert "nowrap" in nowrap


def test_the_preheader_is_hidden_without_tricks() -> None:
    """The line beside the subject has neither the background's colour nor a tiny size, which filters punish."""
    (style,) = re.findall(r'class="preheader" style="([^"]*)"', rendered("reminder-1", samples.left_open()).html)
    assert style == "display:none;max-height:0;overflow:hidden;mso-hide:all"
    assert "preheader" not in DARK
    assert not re.search(r"font-size:\s*[0-5]px", CSS)


@pytest.mark.parametrize("name", STEPS)
def test_a_brand_is_seen_everywhere(name: str) -> None:
    """Logo with the name as its text, name, colour, address and website are in each mail; the shop's key is not."""
    mail = rendered(name, whole(name, "en"))
    seen = elements(mail.html)
    logo = dict(next(attributes for tag, attributes in seen if tag == "img"))
    assert (logo["src"], logo["alt"]) == (BRAND.logo_url, BRAND.name)
    assert f"background-color:{BRAND.colour}" in mail.html
    assert f'href="{BRAND.website}"' in mail.html
    for told in (text_of(mail.html), mail.text.replace("\n", " ")):
        assert "1 Light Street 10115 Berlin" in told
        assert "Lamp Shop was " in told
    assert "lampshop.example/1042" not in mail.html
    assert mail.text.startswith("Lamp Shop\n")


def test_a_shop_without_a_brand_has_its_name_and_no_gap() -> None:
    """Without settings there is neither an empty picture nor an empty link."""
    html = rendered("reminder-1", samples.left_open(), Brand()).html
    assert "<img" not in html
    assert '=""' not in html.replace('nowrap=""', "")
    assert "<bdi>lampshop.example</bdi>" in html


def test_items_lead_to_the_shop_and_show_themselves() -> None:
    """An item's picture and name are links to it, the picture with the name as its text."""
    html = rendered("reminder-1", whole("reminder-1", "en")).html
    assert html.count('href="https://lampshop.example/items/0"') == 2
    picture = next(
        dict(attrs) for tag, attrs in elements(html) if dict(attrs).get("src") == "https://cdn.example/0.png"
    )
    assert picture["alt"] == "Arc floor lamp"


@pytest.mark.parametrize("name", REMINDERS)
@pytest.mark.parametrize(("lines", "buttons"), [(3, 1), (4, 1), (5, 2), (12, 2)])
def test_a_long_list_has_a_button_above_it_and_below(name: str, lines: int, buttons: int) -> None:
    """With more than four items nobody has to scroll for the button."""
    html = rendered(name, whole(name, "en", lines)).html
    places = [found.start() for found in re.finditer('class="button"', html)]
    assert len(places) == buttons
    if buttons == 2:
        assert places[0] < html.index("cdn.example/0.png") < places[1]


def test_the_text_is_as_short_as_the_page() -> None:
    """Two hundred items are a dozen lines of text, and a line that counts the rest."""
    many = samples.left_open().facts.items[:1] * 200
    facts = samples.left_open().facts.model_copy(update={"items": many})
    mail = rendered("reminder-1", samples.left_open().model_copy(update={"facts": facts}))
    assert mail.text.count("Arc floor lamp") == 12
    assert "and 188 more" in mail.text
    assert "and 188 more" in mail.html


@pytest.mark.parametrize("name", STEPS)
def test_the_total_adds_up(name: str) -> None:
    """Before the total stand the discount with its code and the shipping, with it the tax that it has in it."""
    mail = rendered(name, whole(name, "en"))
    expected = r"Discount SPRING:? -€15\.00 Shipping:? €10\.00 Total:? (Including tax: €20\.00 )?€336\.70"
    for told in (text_of(mail.html), " ".join(mail.text.split())):
        assert re.search(expected, told), told
        assert "ncluding tax: €20.00" in told


def test_tax_is_a_line_of_its_own_where_it_is_added() -> None:
    """Where prices are without tax, the items with the tax come to the total, and it stands above that."""
    facts = whole("confirmation", "en").facts
    checkout = samples.ordered().model_copy(
        update={"facts": facts.model_copy(update={"total": (facts.total or 0) + Decimal(20)})}
    )
    mail = rendered("confirmation", checkout)
    assert re.search(r"Shipping €10\.00 Tax €20\.00 Total €356\.70", text_of(mail.html))
    assert "Tax: €20.00\nTotal: €356.70\n" in mail.text
    assert "Including" not in mail.html + mail.text


def test_what_is_not_known_has_no_line() -> None:
    """A checkout without the parts of its total shows the total alone; one that is free shows a shipping of nothing."""
    mail = rendered("confirmation", samples.ordered())
    assert not re.search("Discount|Shipping|Tax|Including", mail.html + mail.text)
    facts = samples.ordered().facts.model_copy(update={"shipping": Decimal(0)})
    assert "Shipping: €0.00" in rendered("confirmation", samples.ordered().model_copy(update={"facts": facts})).text


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_mail_has_a_part_of_its_own(language: str) -> None:
    """The second answers a doubt, the third has the coupon before the items, the confirmation is a receipt."""
    mails = {name: rendered(name, whole(name, language)).html for name in STEPS}
    assert {name: html.count('class="mark') for name, html in mails.items()} == {
        "reminder-1": 0,
        "reminder-2": 3,
        "reminder-3": 0,
        "confirmation": 1,
    }
    first = 'src="https://cdn.example/0.png"'
    assert mails["reminder-1"].index(first) < mails["reminder-1"].index("LAMP-10")
    assert mails["reminder-3"].index("LAMP-10") < mails["reminder-3"].index(first)
    assert f'class="button" href="{samples.ORDER_URL}"' in re.sub(r' style="[^"]*"', "", mails["confirmation"])
    assert "<bdi>1042</bdi>" in mails["confirmation"]
    assert samples.CHECKOUT_URL not in mails["confirmation"]
