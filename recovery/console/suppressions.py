"""Suppressions: how many by reason, the newest, and a look-up by address; to add one, and to lift one.

The addresses are not stored, so a list cannot show them. An address that somebody types is in no path and no log.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import Request, Response
from pydantic import TypeAdapter, ValidationError

from recovery.console.desk import Desk
from recovery.console.forms import Form, asked, query
from recovery.console.routes import Ask, Done, Routes, is_sure
from recovery.console.sessions import PATH
from recovery.console.viewer import Viewer
from recovery.domain.fields import Email, ShopKey
from recovery.domain.scopes import Scope
from recovery.domain.suppression import SuppressionReason
from recovery.http.problems import Problem
from recovery.mongo.listing import BadFilter
from recovery.mongo.suppressions import MOST_COUNTED

LIST = f"{PATH}/suppressions"
PAGE = 50
MOST_SHOPS = 200
"""Shops in which an address is looked up, unless one is named."""

REASONS: Mapping[str, str] = {
    SuppressionReason.UNSUBSCRIBED: "they asked for no more reminders",
    SuppressionReason.SHOP: "the shop, or one of us, said so",
    SuppressionReason.COMPLAINT: "they reported a mail as spam",
    SuppressionReason.HARD_BOUNCE: "the address does not exist",
    SuppressionReason.SOFT_BOUNCES: "too many bounces; it ends by itself",
    SuppressionReason.ERASED: "their data was erased at their request",
}
"""What each reason means."""

GIVEN = (
    SuppressionReason.SHOP,
    SuppressionReason.UNSUBSCRIBED,
    SuppressionReason.COMPLAINT,
    SuppressionReason.HARD_BOUNCE,
)
"""The reasons that a person may give."""

WARNINGS: Mapping[SuppressionReason, str] = {
    SuppressionReason.COMPLAINT: "They reported a mail as spam. Write to them again only if they themselves asked for "
    "it: one more complaint harms the delivery of all mails of the shop.",
    SuppressionReason.ERASED: "Their data was erased at their request, and this keeps them from being written to when "
    "they are reported again.",
    SuppressionReason.HARD_BOUNCE: "A relay said that the address does not exist. If it was a mistake, lift it: if it "
    "was not, the next mail bounces again.",
    SuppressionReason.UNSUBSCRIBED: "They unsubscribed. Write to them again only if they themselves asked for it.",
}
"""What a person must know who lifts a suppression."""

_EMAIL: TypeAdapter[str] = TypeAdapter(Email)
_SHOP: TypeAdapter[str] = TypeAdapter(ShopKey)


@dataclass(frozen=True, slots=True)
class Typed:
    """An address and a shop as they were typed, the fault of each by its name, and what they mean."""

    typed: Mapping[str, str]
    faults: Mapping[str, str]
    email: str = ""
    shop: str | None = None


class SuppressionPages:
    """The list, the look-up, and the acts."""

    def __init__(self, routes: Routes, desk: Desk) -> None:
        self._routes = routes
        self._desk = desk
        self._suppressions = desk.suppressions
        routes.rendering.pages.add("suppressions")
        routes.page("/suppressions", self.page)
        routes.act("/suppressions/look-up", self.look_up, Scope.READ)
        routes.act("/suppressions/add", self.add)
        routes.act("/suppressions/lift", self.lift)

    async def page(self, request: Request, viewer: Viewer) -> Response:
        """Answer with the numbers, and a page of the list."""
        return await self._page(request, viewer, asked(request))

    async def look_up(self, request: Request, viewer: Viewer, form: Form) -> Response:
        """Answer with the suppressions of an address, for all shops and for each that the viewer sees."""
        typed = _typed(form, viewer)
        if typed.faults:
            return await self._page(request, viewer, Form(), looked_up=typed, status=422)
        shops = [typed.shop] if typed.shop else viewer.shops or await self._desk.known_shops(MOST_SHOPS)
        found = await self._suppressions.look_up(typed.email, shops)
        return self._routes.rendering.page(
            request,
            viewer,
            "suppression.html",
            current="suppressions",
            email=viewer.address(typed.email),
            typed=typed,
            found=found,
            meanings=REASONS,
            reasons=_given(viewer),
            may_lift=lambda kept: _may_touch(viewer, kept.shop) and self._suppressions.is_of(kept, typed.email),
            looked_at=len(shops),
            most=MOST_SHOPS,
            list=LIST,
        )

    async def add(self, request: Request, viewer: Viewer, form: Form) -> Done | Ask | Response:
        """Suppress an address, for a shop or for all."""
        typed = _typed(form, viewer)
        given = form.one("reason")
        reason = next((each for each in GIVEN if each == given), None)
        faults = dict(typed.faults)
        if reason is None:
            faults["reason"] = f"is one of: {', '.join(GIVEN)}"
        elif viewer.shops and reason is SuppressionReason.HARD_BOUNCE:
            faults["reason"] = "a hard bounce is for all shops, and your key is for some"
        elif viewer.shops and typed.shop is None and "shop" not in faults:
            faults["shop"] = "your key is for some shops: name one of them"
        if faults or reason is None:
            wrong = Typed({**typed.typed, "reason": given or ""}, faults)
            return await self._page(request, viewer, Form(), added=wrong, status=422)
        shop = None if reason is SuppressionReason.HARD_BOUNCE else typed.shop
        where = f"from {shop}" if shop else "from any shop"
        if not is_sure(form):
            fields = (("email", typed.email), ("shop", shop or ""), ("reason", reason.value))
            stays = "Order confirmations are still sent, and an existing entry is never weakened."
            none_at_all = "Not even order confirmations are sent to it."
            detail = none_at_all if reason is SuppressionReason.HARD_BOUNCE else stays
            return Ask(
                f"Send no more reminders to {typed.email} {where}?", "Suppress 1 address", LIST, fields, (detail,)
            )
        new = await self._suppressions.add(typed.email, reason, shop=shop, source=f"{viewer.name} in the console")
        if not new:
            return Done(
                f"The address gets no reminders {where} already, for the same reason or a stronger one.", LIST, 0
            )
        return Done(f"The address gets no more reminders {where}.", LIST)

    async def lift(self, _request: Request, viewer: Viewer, form: Form) -> Done | Ask:
        """Lift a suppression of an address, as long as it is still there for the same reason."""
        typed = _typed(form, viewer)
        if typed.faults or not _may_touch(viewer, typed.shop):
            raise _unknown()
        shops = [typed.shop] if typed.shop else []
        found = await self._suppressions.look_up(typed.email, shops)
        kept = next((each for each in found if each.shop == typed.shop and each.reason == form.one("reason")), None)
        if kept is None:
            raise _unknown()
        where = f"for {kept.shop}" if kept.shop else "for all shops"
        if not is_sure(form):
            details = [
                f"It is there since {kept.at:%Y-%m-%d %H:%M} UTC: {kept.reason}, said by {kept.source or 'nobody'}."
            ]
            if warning := WARNINGS.get(kept.reason):
                details.append(warning)
            fields = (("email", typed.email), ("shop", typed.shop or ""), ("reason", kept.reason.value))
            question = f"Lift the suppression of {typed.email} {where}, so that they are written to again?"
            return Ask(question, "Lift 1 suppression", LIST, fields, tuple(details))
        lifted = await self._suppressions.remove(typed.email, shop=kept.shop, reason=kept.reason)
        if not lifted:
            raise _unknown()
        return Done(f"The suppression {where} is lifted: it was there for the reason {kept.reason}.", LIST)

    async def _page(
        self,
        request: Request,
        viewer: Viewer,
        form: Form,
        *,
        looked_up: Typed | None = None,
        added: Typed | None = None,
        status: int = 200,
    ) -> Response:
        shop, given = form.one("shop"), form.one("reason")
        reason = next((each for each in SuppressionReason if each == given), None)
        faults = {}
        if given and reason is None:
            faults["reason"] = f"is one of: {', '.join(SuppressionReason)}"
        if shop and not viewer.sees(shop):
            faults["shop"] = "there is no such shop"
        shops = [shop] if shop else viewer.shops
        found, following = [], None
        if not faults:
            try:
                page = await self._suppressions.page(shops, reason, PAGE, form.one("after"))
            except BadFilter as exc:
                raise Problem(422, f"{exc}.") from None
            found, following = list(page.suppressions), page.next
        pairs = [("reason", given), ("shop", shop)]
        return self._routes.rendering.page(
            request,
            viewer,
            "suppressions.html",
            status=status,
            current="suppressions",
            counts={} if faults else await self._suppressions.counts(shops),
            shown=_shown,
            meanings=REASONS,
            found=found,
            typed={"reason": given or "", "shop": shop or ""},
            faults=faults,
            looked_up=looked_up or Typed({"email": "", "shop": ""}, {}),
            added=added or Typed({"email": "", "shop": "", "reason": ""}, {}),
            reasons=_given(viewer),
            every=list(SuppressionReason),
            list=LIST,
            first=query(LIST, pairs) if form.one("after") else None,
            older=query(LIST, [*pairs, ("after", following)]) if following else None,
            now=self._desk.clock.now(),
        )


def _typed(form: Form, viewer: Viewer) -> Typed:
    typed = {"email": form.one("email") or "", "shop": form.one("shop") or ""}
    faults: dict[str, str] = {}
    email, shop = "", typed["shop"] or None
    try:
        email = _EMAIL.validate_python(typed["email"])
    except ValidationError:
        faults["email"] = "this is not an e-mail address"
    try:
        if shop is not None and not viewer.sees(_SHOP.validate_python(shop)):
            faults["shop"] = "there is no such shop"
    except ValidationError:
        faults["shop"] = "this is not the name of a shop: it has no spaces and no slashes"
    return Typed(typed, faults, email, shop)


def _given(viewer: Viewer) -> list[str]:
    """Return the reasons that a viewer may give: a hard bounce is for all shops."""
    return [each.value for each in GIVEN if not (viewer.shops and each is SuppressionReason.HARD_BOUNCE)]


def _may_touch(viewer: Viewer, shop: str | None) -> bool:
    """Return whether a viewer may change a suppression: one for all shops needs a key for all of them."""
    return not viewer.shops if shop is None else viewer.sees(shop)


def _shown(count: int) -> str:
    return f"{MOST_COUNTED:,}+" if count > MOST_COUNTED else f"{count:,}"


def _unknown() -> Problem:
    return Problem(404, "There is no such suppression: it was lifted already, or there is another reason for it now.")
