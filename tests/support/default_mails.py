"""The default mails, in all languages, with all that they can show."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from recovery.domain.brand import Brand
from recovery.domain.schedule import CONFIRMATION, Step
from recovery.domain.state import CheckoutState
from recovery.mail.templates import samples
from recovery.mail.templates.templates import Rendered, Templates
from recovery.settings import Settings

SCHEDULE = Settings().to_schedule()
STEPS = {step.name: step for step in (*SCHEDULE.steps, SCHEDULE.confirmation) if step is not None}
LANGUAGES = ("en", "de", "ja", "ar", "he")
BRAND = Brand(
    "Lamp Shop",
    logo_url="https://lampshop.example/logo.png",
    colour="#b3261e",
    address="1 Light Street\n10115 Berlin",
    website="https://lampshop.example",
)
TEMPLATES = Templates()


class Addresses:
    """Links as they are made for each mail."""

    def unsubscribe(self, shop: str, email: str, language: str = "") -> str | None:
        return samples.UNSUBSCRIBE_URL

    def back(self, checkout: CheckoutState, step: Step) -> str | None:
        return checkout.facts.checkout_url

    def return_path(self, shop: str, email: str) -> str | None:
        return "bounces+1f0c@in.lamps.example"


def whole(name: str, language: str, lines: int = 3) -> CheckoutState:
    """The sample of a mail with so many items, pictures, links, and all parts of its total."""
    checkout = samples.of(name, language)
    facts = checkout.facts
    items = [
        item.model_copy(
            update={"image_url": f"https://cdn.example/{n}.png", "url": f"https://lampshop.example/items/{n}"}
        )
        for n, item in enumerate((facts.items * lines)[:lines])
    ]
    update = {
        "items": tuple(items),
        "total": sum((item.price * item.quantity for item in items), Decimal(0)) - 5,
        "discount": Decimal(15),
        "discount_code": "SPRING",
        "shipping": Decimal(10),
        "tax": Decimal(20),
        "order_url": samples.ORDER_URL,
    }
    return checkout.model_copy(update={"facts": facts.model_copy(update=update)})


def rendered(name: str, checkout: CheckoutState, brand: Brand = BRAND, coupon: str | None = "LAMP-10") -> Rendered:
    """A default mail, with a coupon and all links."""
    unsubscribe = None if name == CONFIRMATION else samples.UNSUBSCRIBE_URL
    return TEMPLATES.render(
        step_of(name, coupon),
        checkout,
        checkout_url=checkout.facts.checkout_url,
        unsubscribe_url=unsubscribe,
        brand=brand,
    )


def step_of(name: str, coupon: str | None = None) -> Step:
    """The step of a default mail, with this coupon."""
    return replace(STEPS[name], coupon=coupon)


def every_mail() -> Iterator[tuple[str, str, Rendered]]:
    """Yield each default mail in each language with all that it can show, and with awkward samples."""
    for name in STEPS:
        for language in LANGUAGES:
            for what, checkout in (("whole", whole(name, language)), *samples.awkward(name, language)):
                yield f"{name} in {language}, {what}", language, rendered(name, checkout)
