"""Templates in a folder of a test's own."""

import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

from recovery.domain.schedule import Step
from recovery.domain.state import CheckoutState
from recovery.mail.templates import samples
from recovery.mail.templates.templates import Rendered, Templates

SUBJECTS = {
    "reminder-1": "You left {{ items[0].name }} behind",
    "reminder-2": "Still thinking it over?",
    "reminder-3": "One last reminder",
    "confirmation": "Your order {{ order_id }}",
}


def step(template: str, subject: str | None = "Subject", name: str | None = None) -> Step:
    return Step(name or template, timedelta(), template, subject, timedelta(hours=1))


STEPS = [step(name, subject) for name, subject in SUBJECTS.items()]


def sample(**facts: object) -> CheckoutState:
    """The sample with some facts replaced, unchecked: what a database may hand out."""
    checkout = samples.left_open()
    return checkout.model_copy(update={"facts": checkout.facts.model_copy(update=facts)})


def filled(templates: Templates, mail: Step, checkout: CheckoutState) -> Rendered:
    """The mail, with the checkout's own link as the way back."""
    return templates.render(mail, checkout, checkout_url=checkout.facts.checkout_url)


def own(folder: Path, html: str = "<p>{{ shop }}</p>", text: str = "{{ shop }}") -> Templates:
    (folder / "own.html.j2").write_text(html)
    (folder / "own.txt.j2").write_text(text)
    return Templates(folder)


def text_of(html: str) -> str:
    """What a reader sees of a page, in one line; `<bdi>` parts no words."""
    seen: list[str] = []
    parser = HTMLParser()
    parser.handle_data = seen.append  # type: ignore[method-assign]
    parser.feed(re.sub(r"</?bdi[^>]*>", "", html))
    return " ".join(" ".join(seen).split())
