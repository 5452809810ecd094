"""Mails: every message of a shop in every language, and each one as it looks on a phone, a desktop, and in the dark."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from fastapi import Request, Response
from markupsafe import escape

from recovery.console.desk import Desk
from recovery.console.forms import Form, asked, query
from recovery.console.mail_paths import (
    ALL_SHOPS,
    FRAME_ROUTE,
    LIST,
    ROUTE,
    Named,
    asked_for,
    composer_of,
    language,
    sample_of,
)
from recovery.console.mail_test_acts import TOKEN
from recovery.console.recipients import as_seen
from recovery.console.rendering import frame, text_frame
from recovery.console.routes import Routes
from recovery.console.viewer import Viewer
from recovery.domain.schedule import Step
from recovery.domain.state import CheckoutState
from recovery.http.problems import Problem
from recovery.mail.composer import RenderError
from recovery.mail.templates.files import Stamp, TemplateError, stamp
from recovery.mail.templates.inbox import inbox_line
from recovery.mail.templates.lint import LONGEST_HTML, Fault, lint_mail
from recovery.mail.templates.templates import Edits, Templates

MOST_SHOPS = 500

WIDTHS: Mapping[str, str] = {"phone": "Phone", "desktop": "Desktop"}
SCHEMES: Mapping[str, str] = {"light": "Light", "dark": "Dark"}

UNREADABLE = "Fix this first; until then the mails are made as before its change."

_DARK = re.compile(r"\(\s*prefers-color-scheme\s*:\s*(dark|light)\s*\)")


@dataclass(frozen=True, slots=True)
class Card:
    """A mail in the list: its address, its language, and its subject, or why it cannot be made."""

    mail: Named
    language: str
    subject: str = ""
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """One of several ways to look at a mail."""

    title: str
    path: str
    is_chosen: bool


class Mails:
    """The pages of mails, and the frames in which they show them."""

    def __init__(self, routes: Routes, desk: Desk) -> None:
        self._routes = routes
        self._desk = desk
        self._linting = asyncio.Lock()
        routes.rendering.pages.add("mails")
        routes.page("/mails", self.all)
        routes.page(ROUTE, self.page)
        routes.page(FRAME_ROUTE, self.frame)

    async def all(self, request: Request, viewer: Viewer) -> Response:
        """Answer with all mails of a shop."""
        shops = self._shops(viewer)
        shop = asked(request).one("shop") or next(iter(shops))
        composer = composer_of(self._desk, viewer, shop)
        steps = tuple(self._desk.schedules.of_shop(shop).by_name.values())
        locales = composer.templates.locales
        cards = {step: [await _card(Named(shop, step, locale, composer)) for locale in locales] for step in steps}
        return self._routes.rendering.page(
            request, viewer, "mails.html", current="mails", shops=shops, shop=shop, cards=cards, path=LIST
        )

    async def page(self, request: Request, viewer: Viewer) -> Response:
        """Answer with the page of one mail."""
        mail, fields = asked_for(self._desk, request, viewer), asked(request)
        rendered, fault, wrong = None, None, None
        try:
            checkout = await self._checkout(mail, fields, viewer)
        except Problem as problem:
            checkout, wrong = sample_of(mail), problem.detail
        try:
            rendered = mail.composer.render(as_seen(checkout, viewer), mail.step)
        except RenderError as exc:
            fault = str(exc)
        shown = dict(fields.only("width", "scheme") if wrong else fields.only("width", "scheme", "shop", "order"))
        return self._routes.rendering.page(
            request,
            viewer,
            "mail.html",
            current="mails",
            mail=mail,
            language=language(mail.locale),
            languages=[
                Link(language(each), query(replace(mail, locale=each).path, shown), each == mail.locale)
                for each in mail.composer.templates.locales
            ],
            rendered=rendered,
            fault=fault,
            line=rendered and inbox_line(rendered.html),
            size=rendered and len(rendered.html.encode()),
            longest=LONGEST_HTML,
            sender=self._desk.sending.of_shop(mail.shop).sender,
            faults=await self._faults(mail),
            recipients=self._desk.tests.recipients(mail.shop) if self._desk.tests is not None else (),
            test_token=TOKEN,
            width=chosen(WIDTHS, fields, "width"),
            scheme=chosen(SCHEMES, fields, "scheme"),
            widths=links(mail.path, WIDTHS, shown, "width"),
            schemes=links(mail.path, SCHEMES, shown, "scheme"),
            frame=query(mail.frame, shown),
            fields=fields,
            wrong=wrong,
            all_shops=ALL_SHOPS,
            back=query(LIST, {"shop": mail.shop}),
        )

    async def frame(self, request: Request, viewer: Viewer) -> Response:
        """Answer with one mail, as HTML or as text, for a frame."""
        mail, fields = asked_for(self._desk, request, viewer), asked(request)
        checkout = await self._checkout(mail, fields, viewer)
        try:
            rendered = mail.composer.render(as_seen(checkout, viewer), mail.step)
        except RenderError as exc:
            return frame(f"<p>The mail cannot be made: {escape(str(exc))}</p>")
        if fields.one("as") == "text":
            return text_frame(rendered.text)
        return frame(in_scheme(rendered.html, chosen(SCHEMES, fields, "scheme")))

    def _shops(self, viewer: Viewer) -> Mapping[str, str]:
        """Return the shops whose mails a viewer may choose, each with its title."""
        if viewer.shops:
            return {shop: shop for shop in viewer.shops[:MOST_SHOPS]}
        own = self._desk.shops[:MOST_SHOPS]
        return {ALL_SHOPS: "all others" if own else "all shops"} | {shop: shop for shop in own}

    async def _checkout(self, mail: Named, fields: Form, viewer: Viewer) -> CheckoutState:
        """Return the checkout that a mail is shown with: the one asked for, or the sample. Raises `Problem` (404)."""
        order_id = fields.one("order")
        if order_id is None:
            return sample_of(mail)
        shop = mail.shop if mail.shop != ALL_SHOPS else fields.one("shop") or ""
        if not shop:
            raise Problem(422, "Say which shop's order it is.")
        found = await self._desk.recovery.get(shop, order_id) if viewer.sees(shop) else None
        if found is None:
            raise Problem(404, f"{shop} has no checkout {order_id}: it was never reported, or is deleted already.")
        return _in(mail.locale, found)

    async def _faults(self, mail: Named) -> list[Fault]:
        """Return the faults that lint finds in a mail. In a thread: what is due does not wait for its dozen mails."""
        templates = mail.composer.templates
        try:
            now = stamp(templates.folder)
        except TemplateError as exc:
            return [Fault(str(exc), UNREADABLE)]
        async with self._linting:
            return await asyncio.to_thread(_linted, templates, mail.shop, templates.edits, now, mail.step, mail.locale)


async def _card(mail: Named) -> Card:
    await asyncio.sleep(0)  # a mail that is compiled takes milliseconds, and others are due
    title = language(mail.locale)
    try:
        return Card(mail, title, mail.composer.render(sample_of(mail), mail.step).subject)
    except RenderError as exc:
        return Card(mail, title, fault=str(exc))


@lru_cache(maxsize=256)
def _linted(templates: Templates, shop: str, edits: Edits, _stamp: Stamp, step: Step, locale: str) -> list[Fault]:
    """Return the faults of a mail, found once as long as no file or word changes: it takes a tenth of a second."""
    try:
        return lint_mail(templates.files(shop, edits), step, locale)
    except TemplateError as exc:
        return [Fault(str(exc), UNREADABLE)]


def _in(locale: str, checkout: CheckoutState) -> CheckoutState:
    """Return a checkout as if its customer read this language."""
    return checkout.model_copy(update={"facts": checkout.facts.model_copy(update={"locale": locale})})


def in_scheme(html: str, scheme: str) -> str:
    """Return a mail as a mail program shows it that is light or dark, whatever the system of who looks at it is."""
    return _DARK.sub(lambda match: "(min-width: 0)" if match[1] == scheme else "not all", html)


def chosen(values: Mapping[str, str], fields: Form, name: str) -> str:
    """Return the chosen value, or the first."""
    value = fields.one(name) or ""
    return value if value in values else next(iter(values))


def links(path: str, values: Mapping[str, str], shown: Mapping[str, str], name: str) -> Iterator[Link]:
    """Yield a link for each value of a choice; what else is chosen stays."""
    now = shown.get(name) if shown.get(name) in values else next(iter(values))
    for value, title in values.items():
        yield Link(title, query(path, {**shown, name: value}), value == now)
