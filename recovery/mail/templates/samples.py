"""Sample checkouts, for previews and checks of the mails."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from recovery.domain.checkout import Customer, Facts, Item
from recovery.domain.schedule import MessageKind
from recovery.domain.state import CheckoutState, Status

TIME = datetime(2026, 3, 5, 14, 30, tzinfo=UTC)
"""Time at which the sample was left."""

CHECKOUT_URL = "https://lampshop.example/checkouts/c0ffee"
ORDER_URL = "https://lampshop.example/orders/c0ffee"
UNSUBSCRIBE_URL = "https://recovery.example/u/1f0c2d"

_WORDS = {
    "en": (
        "Ada",
        ("Arc floor lamp", "Brass, linen shade"),
        ("Globe table lamp", "Opal glass, 25 cm"),
        ("Warm white bulb, E27", None),
    ),
    "de": (
        "Frau Lovelace",
        ("Bogenleuchte", "Messing, Leinenschirm"),
        ("Tischleuchte Globus", "Opalglas, 25 cm"),
        ("Leuchtmittel warmweiß, E27", None),
    ),
    "ja": (
        "山田 花子",
        ("アーチ型フロアランプ", "真鍮、リネンシェード"),
        ("グローブ型テーブルランプ", "オパールガラス、25 cm"),
        ("電球色 LED 電球、E27", None),
    ),
    "ar": (
        "ليلى الفارسي",
        ("مصباح أرضي مقوّس", "نحاس، غطاء من الكتان"),
        ("مصباح طاولة كروي", "زجاج أوبال، 25 سم"),
        ("لمبة بيضاء دافئة E27", None),
    ),
    "he": (
        "נועה לוי",
        ("מנורת רצפה קשתית", "פליז, אהיל פשתן"),
        ("מנורת שולחן כדורית", "זכוכית אופל, 25 ס״מ"),
        ("נורה לבנה חמה E27", None),
    ),
}
_CURRENCIES = {"ja": ("JPY", 160, Decimal(1)), "ar": ("AED", 4, Decimal("0.01")), "he": ("ILS", 4, Decimal("0.01"))}
"""The currency of a language, what of it goes for a euro, and its smallest amount; euros if a language is not here."""

_PRICES = (Decimal("189.00"), 1), (Decimal("64.50"), 2), (Decimal("7.90"), 3)


def left_open(locale: str = "en") -> CheckoutState:
    """Return an open checkout, in the locale's language if there are words for it here, else in English."""
    language = locale[:2].lower()
    name, *articles = _WORDS.get(language, _WORDS["en"])
    currency, rate, smallest = _CURRENCIES.get(language, ("EUR", 1, Decimal("0.01")))
    items = tuple(
        Item(name=article, variant=variant, price=(price * rate).quantize(smallest), quantity=many)
        for (article, variant), (price, many) in zip(articles, _PRICES, strict=True)
    )
    facts = Facts(
        customer=Customer(email="ada@example.com", name=str(name)),
        items=items,
        total=sum((item.price * item.quantity for item in items), Decimal(0)),
        currency=currency,
        checkout_url=CHECKOUT_URL,
        locale=locale,
    )
    return CheckoutState(
        id="lampshop.example/1042", status=Status.OPEN, facts=facts, opened_at=TIME, touched_at=TIME, revision=1
    )


def ordered(locale: str = "en") -> CheckoutState:
    """Return the same checkout, ordered five minutes later."""
    checkout = left_open(locale)
    return checkout.model_copy(
        update={
            "status": Status.ORDERED,
            "ordered_at": TIME + timedelta(minutes=5),
            "revision": 2,
            "facts": checkout.facts.model_copy(update={"order_url": ORDER_URL}),
        }
    )


def of(step_name: str, locale: str = "en") -> CheckoutState:
    """Return the sample for a step's mail: ordered for the confirmation, open for a reminder."""
    return ordered(locale) if MessageKind.of(step_name) is MessageKind.CONFIRMATION else left_open(locale)


def awkward(step_name: str, locale: str = "en") -> Iterator[tuple[str, CheckoutState]]:
    """Yield edge cases: checkouts with unusual or missing facts, each with its description."""
    plain = of(step_name, locale)
    first = plain.facts.items[0]
    cases: dict[str, dict[str, object]] = {
        "no name": {"customer": Customer(email="ada@example.com")},
        "no variant": {"items": (Item(name="Lamp", price=Decimal(1)),)},
        "one item": {"items": (first,)},
        "200 items": {"items": tuple(_long(number) for number in range(200))},
        "no link back": {"checkout_url": None},
        "a name from right to left": {
            "customer": Customer(email="ada@example.com", name="ليلى الفارسي"),
            "items": (Item(name="مصباح أرضي", variant="نحاس", price=Decimal("189.00")),),
        },
        "a name of emoji": {
            "customer": Customer(email="ada@example.com", name="👩🏽\u200d🚀"),
            "items": (Item(name="💡" * 40, price=Decimal(1), quantity=1_000_000),),
        },
    }
    cases["a total with its parts"] = {
        "discount": Decimal("34.17"),
        "discount_code": "SPRING-10",
        "shipping": Decimal("4.90"),
        "tax": Decimal("54.39"),
        "order_url": ORDER_URL,
        "metadata": {"gift": "yes"},
    }
    if MessageKind.of(step_name) is MessageKind.CONFIRMATION:  # an order may be reported with nothing but an address
        cases["nothing but an address"] = {
            **dict.fromkeys(Facts.model_fields),
            "items": (),
            "metadata": {},
            "customer": plain.facts.customer,
        }
    for what, facts in cases.items():
        yield what, plain.model_copy(update={"facts": plain.facts.model_copy(update=facts)})


def _long(number: int) -> Item:
    return Item(name=f"{number} " + "Lämpchen " * 30, variant="schön " * 40, price=Decimal(number))
