"""The mails as templates: found, checked at the start, and filled.

A step's mail is three templates: `<template>.html.j2`, `<template>.txt.j2` and the step's subject. Each is Jinja in a
sandbox, and sees:

| name           | what it is                                                                                |
|----------------|-------------------------------------------------------------------------------------------|
| `customer`     | `.email` and `.name` (may be None); None where nobody is known                            |
| `items`        | each with `.name`, `.price` of one piece, `.quantity`, and perhaps `.variant`, `.url`, `.image_url` |
| `total`        | the amount of the whole; None if unknown                                                  |
| `currency`     | ISO 4217 code; None if unknown                                                            |
| `checkout_url` | the link back to the checkout; None if unknown. Never anything but http(s)                |
| `shop`         | the shop's key, the part of the checkout's id before the slash                            |
| `order_id`     | the rest of it                                                                            |
| `locale`       | as reported, "en" if unknown                                                              |
| `money`        | a filter: `{{ total | money }}` is an amount in the checkout's currency and locale        |

A name that is not among these is an error, not an empty string. `style.css` is written into the elements of every HTML
template when it is loaded.
"""

import re
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
from babel import Locale, UnknownLocaleError
from babel.numbers import format_currency, format_decimal
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel

from recovery.checkout import CheckoutState, Customer, Item, web_address
from recovery.mail import samples
from recovery.mail.inlining import Altered, inline
from recovery.schedule import CONFIRMATION, Step

DEFAULTS = Path(__file__).with_name("defaults")
"""The folder of the templates that a shop may copy and change."""

_FIELDS = {model: frozenset(model.model_fields) for model in (Customer, Item)}


class TemplateError(Exception):
    """A template is missing, broken or cannot be filled: the message names the file, the line and the fault."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail in words: its subject, its text and its HTML."""

    subject: str
    text: str
    html: str


class Templates:
    """The templates of a shop's folder, and those of the package for every file that is not there."""

    def __init__(self, folder: Path | None = None) -> None:
        if folder is not None and not folder.is_dir():
            raise TemplateError(f"{folder}: no such folder of templates")
        self._environment = _Sandbox(
            loader=_Loader([DEFAULTS] if folder is None else [folder, DEFAULTS]),
            undefined=jinja2.StrictUndefined,
            autoescape=lambda name: name is not None and name.endswith(".html.j2"),
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["money"] = _money
        self._globals = dict(self._environment.globals)
        self._found: dict[tuple[str, bool], jinja2.Template] = {}

    def check(self, steps: Iterable[Step]) -> None:
        """Fill the templates of all these steps with a sample; raise `TemplateError` for the first that is at fault."""
        for step in steps:
            self.render(step, samples.ordered() if step.name == CONFIRMATION else samples.left_open())

    def render(self, step: Step, checkout: CheckoutState) -> Rendered:
        """Return the mail of this step for this checkout, or raise `TemplateError`."""
        context = self._globals | _context(checkout)
        return Rendered(
            subject=self._fill(step.subject, context, is_subject=True),
            text=self._fill(f"{step.template}.txt.j2", context),
            html=self._fill(f"{step.template}.html.j2", context),
        )

    def _fill(self, template: str, names: dict[str, Any], *, is_subject: bool = False) -> str:
        try:
            found = self._find(template, is_subject)
            try:
                # What `render()` does, without gathering the names anew for each of the templates of a mail.
                return "".join(found.root_render_func(found.new_context(names, shared=True)))
            except Exception:  # noqa: BLE001
                return found.render(names)  # fails in the same way, and knows the line of the template
        except Exception as exc:
            raise TemplateError(_told(exc, f'the subject "{template}"' if is_subject else template)) from exc

    def _find(self, template: str, is_subject: bool) -> jinja2.Template:
        if (found := self._found.get((template, is_subject))) is None:
            get = self._environment.from_string if is_subject else self._environment.get_template
            found = self._found[template, is_subject] = get(template)
        return found


class _Sandbox(ImmutableSandboxedEnvironment):
    """The sandbox, which of a customer or an item shows the fields and nothing else; it is faster by that, too."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if attribute in _FIELDS.get(type(obj), ()):
            return getattr(obj, attribute)
        return super().getattr(obj, attribute)

    def is_safe_attribute(self, obj: object, attr: str, value: object) -> bool:
        if isinstance(obj, BaseModel):
            return attr in type(obj).model_fields
        return super().is_safe_attribute(obj, attr, value)


class _Loader(jinja2.FileSystemLoader):
    """Files of the first folder that has them; HTML with the style sheet written into its elements."""

    def get_source(self, environment: jinja2.Environment, template: str) -> tuple[str, str, Any]:
        source, path, up_to_date = super().get_source(environment, template)
        if template.endswith(".html.j2"):
            environment.parse(source, template, path)  # a fault is told as it is written, not as it is inlined
            css, *_ = super().get_source(environment, "style.css")
            try:
                source = inline(source, css)
            except Altered as exc:
                raise jinja2.TemplateSyntaxError(str(exc), exc.line, template, path) from exc
        return source, path, up_to_date


def _told(exc: Exception, template: str) -> str:
    """Return where a fault is, as exactly as can be known, and what it is."""
    match exc:
        case jinja2.TemplateSyntaxError():
            return f"{exc.filename or template}, line {exc.lineno}: {exc.message}"
        case jinja2.TemplateNotFound() if exc.name == template:
            return f"{template}: no such template, neither in the shop's folder nor among the defaults"
    frames = [frame for frame in traceback.extract_tb(exc.__traceback__) if frame.filename.endswith(".j2")]
    where = f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else template
    what = f"no template {exc.name}" if isinstance(exc, jinja2.TemplateNotFound) else str(exc)
    return f"{where}: {what}" if isinstance(exc, jinja2.TemplateError) else f"{where}: {type(exc).__name__}: {what}"


def _context(checkout: CheckoutState) -> dict[str, Any]:
    facts = checkout.facts
    shop, _, order_id = checkout.id.partition("/")
    # Facts come from a database that others can write to, and escaping does not stop a "javascript:" link.
    for link in (facts.checkout_url, *(link for item in facts.items for link in (item.url, item.image_url))):
        if link is not None:
            _check(link)
    return {
        "customer": facts.customer,
        "items": facts.items,
        "total": facts.total,
        "currency": facts.currency,
        "checkout_url": facts.checkout_url,
        "shop": shop,
        "order_id": order_id,
        "locale": facts.locale or "en",
    }


def _check(link: str) -> None:
    try:
        web_address(link)
    except ValueError as exc:
        raise TemplateError(f"the link {link!r} cannot be written: it {exc}") from exc


@jinja2.pass_context
def _money(context: Context, amount: Decimal) -> str:
    return _written(amount, context["currency"], context["locale"])


@lru_cache(maxsize=4096)
def _written(amount: Decimal, currency: str | None, locale: str) -> str:
    if currency is None:
        return format_decimal(amount, locale=_known(locale))
    if (form := _form(currency, locale)) is not None:
        before, point, decimals, after = form
        digits = f"{amount:.{decimals}f}"
        if len(digits) <= 3 + len(point) + decimals and digits[0] != "-":  # nothing to group
            return f"{before}{digits.replace('.', point)}{after}"
    return format_currency(amount, currency, locale=_known(locale))


@lru_cache(maxsize=256)
def _form(currency: str, locale: str) -> tuple[str, str, int, str] | None:
    """Return how a currency is written there: what comes before, the decimal sign, how many decimals, what comes after.

    Babel finds out all of this anew for each amount. None where it writes other digits.
    """
    sample = format_currency(Decimal(111), currency, locale=_known(locale))
    match = re.fullmatch(r"(\D*)111(?:(\D)(0+))?(\D*)", sample, re.ASCII)
    if match is None:
        return None
    before, point, decimals, after = match.groups("")
    return before, point, len(decimals), after


@lru_cache(maxsize=256)
def _known(locale: str) -> Locale:
    """Return the locale, or its language where the rest is unknown, or English."""
    parts = locale.replace("-", "_")
    for candidate in (parts, parts.partition("_")[0]):
        try:
            return Locale.parse(candidate)
        except (ValueError, UnknownLocaleError):
            continue
    return Locale("en")
