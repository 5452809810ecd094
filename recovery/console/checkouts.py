"""The list of checkouts: filters, pages, a look-up by order id, and the cancellation of many."""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from recovery.console.checkout_paths import path_of, unknown
from recovery.console.desk import Desk
from recovery.console.filters import NAMES, Asked, read
from recovery.console.forms import Form, asked, query
from recovery.console.routes import Ask, Done, Routes, is_sure
from recovery.console.sessions import PATH
from recovery.console.viewer import Viewer
from recovery.domain.checkout import shop_and_order, shop_of
from recovery.domain.operations import Operator
from recovery.domain.state import CheckoutState, MessageState, Status
from recovery.http.problems import Problem
from recovery.mongo.listing import MOST_SHOPS, BadFilter, Filters, Page
from recovery.mongo.matching import Matching
from recovery.mongo.operations import Operations
from recovery.mongo.selections import Selections, TooMany

LIST = f"{PATH}/checkouts"
PAGE = 50
FIRST = "0"
"""The position of the first page, among those that one came from."""

MOST_BACK = 20
"""Pages that one can go back."""

SHOPS_FRESH_FOR = timedelta(seconds=10)

TAGS = {MessageState.SENT: "good", MessageState.DEAD: "bad", MessageState.SENDING: "fair"}
STATUS_TAGS = {Status.OPEN: "fair", Status.ORDERED: "good", Status.CANCELLED: "", Status.FINISHED: ""}


@dataclass(frozen=True, slots=True)
class Row:
    """One checkout of the list, as the viewer may see it."""

    state: CheckoutState
    path: str
    shop: str
    order_id: str
    address: str

    @property
    def is_open(self) -> bool:
        """Whether it can be cancelled."""
        return self.state.status is Status.OPEN


class Checkouts:
    """The page of the list, and its act."""

    def __init__(self, routes: Routes, desk: Desk) -> None:
        self._routes = routes
        self._desk = desk
        self._matching = Matching(desk.database)
        self._operations = Operations(desk.database)
        self._selections = Selections(desk.database)
        self._shops: tuple[datetime, list[str]] | None = None
        routes.rendering.pages.add("checkouts")
        routes.page("/checkouts", self.page)
        routes.act("/checkouts/cancel", self.cancel)

    async def page(self, request: Request, viewer: Viewer) -> Response:
        """Answer with a page of the list, or lead to the checkout with the order id that was asked for."""
        form = asked(request)
        shops = await self._shops_of(viewer)
        filters = read(form, viewer, shops, self._desk.clock.now())
        named: list[str] | None = None
        if order_id := form.one("order"):
            named = await self._named(order_id, viewer, shops, filters)
            if named is not None and len(named) == 1:
                return RedirectResponse(path_of(named[0]), 303)
        found = None if filters.faults or named else await self._found(filters, form)
        return self._routes.rendering.page(
            request,
            viewer,
            "checkouts.html",
            current="checkouts",
            asked=filters,
            order=order_id or "",
            named=[(path_of(id_), id_) for id_ in named or ()],
            shops=shops if len(shops) <= MOST_SHOPS else None,
            steps=self._steps(),
            found=found,
            rows=self._rows(found, viewer),
            newer=_newer(filters, form),
            older=_older(filters, form, found),
            tags=TAGS,
            status_tags=STATUS_TAGS,
            now=self._desk.clock.now(),
        )

    async def cancel(self, _request: Request, viewer: Viewer, form: Form) -> Done | Ask:
        """Cancel the chosen checkouts, or all that match the filters: those of them that are open."""
        back = query(LIST, [*form.only(*NAMES)])
        if is_sure(form):
            return await self._cancelled(form.one("selection") or "", viewer, back)
        every = form.one("which") == "all"
        ids = self._matching.open(await self._asked_again(form, viewer)) if every else self._chosen(form, viewer)
        try:
            name, count = await self._selections.keep(ids, viewer.name, self._desk.clock.now())
        except TooMany as exc:
            raise Problem(422, f"The checkouts cannot be cancelled together: {exc}.") from None
        if not count:
            nothing = "No checkout that matches is open." if every else "No checkout was chosen."
            return Done(nothing, back, 0)
        one, many = (
            ("open checkout that matches", "open checkouts that match")
            if every
            else ("chosen checkout", "chosen checkouts")
        )
        return Ask(
            f"Cancel {count:,} {one if count == 1 else many}?",
            "Cancel them" if count > 1 else "Cancel it",
            back,
            (("selection", name), *form.only(*NAMES)),
            (
                "Their customers get no more reminders, whatever is reported later. An order is still confirmed.",
                "What matches from now on is not touched.",
            ),
        )

    async def _cancelled(self, selection: str, viewer: Viewer, back: str) -> Done:
        operator, count, asked_about = Operator(viewer.name, "in the console"), 0, 0
        async for ids in self._selections.ids(selection, viewer.name):
            seen = [id_ for id_ in ids if viewer.sees(shop_of(id_))]
            asked_about += len(seen)
            count += await self._operations.cancel(seen, operator, self._desk.clock.now(), [Status.OPEN])
        if not asked_about:
            return Done("Nothing was cancelled: the question was asked more than an hour ago. Ask again.", back, 0)
        rest = asked_about - count
        meanwhile = f" {rest:,} of them were no longer open." if rest else ""
        return Done(f"{count:,} {'checkout is' if count == 1 else 'checkouts are'} cancelled.{meanwhile}", back, count)

    async def _asked_again(self, form: Form, viewer: Viewer) -> Filters:
        """Return the filters of a form that asks for all that match. Raises `Problem`."""
        filters = read(form, viewer, await self._shops_of(viewer), self._desk.clock.now())
        if filters.filters is None:
            faults = ", ".join(f"{name}: {fault}" for name, fault in filters.faults.items())
            raise Problem(422, f"The filters are not clear ({faults or 'choose a shop'}): go back and correct them.")
        return filters.filters

    async def _chosen(self, form: Form, viewer: Viewer) -> AsyncIterator[str]:
        ids = list(dict.fromkeys(form.all("id")))
        if any(not viewer.sees(shop_of(id_)) for id_ in ids):
            raise unknown()
        for id_ in ids:
            yield id_

    async def _found(self, filters: Asked, form: Form) -> Page | None:
        if filters.filters is None:
            return None
        which = filters.filters
        try:
            return await self._desk.recovery.list(
                shop=which.shops,
                status=which.status,
                step=which.step,
                state=which.state,
                reason=which.reason,
                since=which.since,
                until=which.until,
                email=which.email,
                limit=PAGE,
                after=form.one("after"),
            )
        except BadFilter as exc:
            filters.faults[exc.field] = exc.message
            return None

    async def _named(self, order_id: str, viewer: Viewer, shops: Sequence[str], filters: Asked) -> list[str] | None:
        """Return the ids of the checkouts with an order id; None, and a fault beside the field, if there is none."""
        among = [filters.typed["shop"]] if filters.typed["shop"] else shops
        found = await self._matching.named(among[:MOST_SHOPS], order_id)
        if ids := [id_ for id_ in found if viewer.sees(shop_of(id_))]:
            return ids
        many = len(among) > MOST_SHOPS
        filters.faults["order"] = "choose its shop as well" if many else "no checkout is known by this order id"
        return None

    async def _shops_of(self, viewer: Viewer) -> list[str]:
        """Return the shops that a viewer may choose from; one more than a list can have stands for too many."""
        if viewer.shops:
            return list(viewer.shops)
        now = self._desk.clock.now()
        if self._shops is None or now - self._shops[0] > SHOPS_FRESH_FOR:
            self._shops = now, await self._matching.shops(MOST_SHOPS + 1)
        return self._shops[1]

    def _steps(self) -> list[str]:
        return list(dict.fromkeys(name for each in self._desk.schedules.each() for name in each.by_name))

    def _rows(self, page: Page | None, viewer: Viewer) -> list[Row]:
        return [_row(state, viewer) for state in (page.checkouts if page is not None else ())]


def _row(state: CheckoutState, viewer: Viewer) -> Row:
    shop, order_id = shop_and_order(state.id)
    customer = state.facts.customer
    return Row(state, path_of(state.id), shop, order_id, viewer.address(customer.email if customer else None))


def _older(filters: Asked, form: Form, page: Page | None) -> str | None:
    """Return the path of the next page. It knows the positions that one came from."""
    if page is None or page.next is None:
        return None
    back = [*form.all("back"), form.one("after") or FIRST][-MOST_BACK:]
    return _page(filters.pairs, page.next, back)


def _newer(filters: Asked, form: Form) -> str | None:
    back = form.all("back")
    if back:
        return _page(filters.pairs, back[-1] if back[-1] != FIRST else None, back[:-1])
    return _page(filters.pairs, None, ()) if form.one("after") else None


def _page(pairs: Iterable[tuple[str, str]], after: str | None, back: Iterable[str]) -> str:
    return query(LIST, [*pairs, ("after", after), *(("back", each) for each in back)])
