"""Writes reports to the database directly, without the outbox."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from pymongo.errors import PyMongoError

from recovery.client.bounds import Bounds, Call
from recovery.client.reports import (
    CancelReport,
    CheckoutReport,
    ConsentReport,
    Kept,
    OrderReport,
    Report,
    SuppressReport,
)
from recovery.domain.checkout import Order
from recovery.domain.fields import normalised
from recovery.domain.pseudonyms import Pseudonyms
from recovery.domain.state import Status
from recovery.domain.suppression import SuppressionReason
from recovery.errors import Unavailable
from recovery.mongo.clock import MongoClock
from recovery.mongo.collections import CHECKOUTS, OPTIONS, SUPPRESSIONS, of_shop
from recovery.mongo.drivers import is_asynchronous, settled
from recovery.mongo.first_reports import FirstReports
from recovery.mongo.group_commit import BulkWrite, GroupCommit
from recovery.mongo.intake import CheckoutWrite, Write, as_update, cancelled, consented, order_write
from recovery.mongo.naming import all_names, called, namesakes
from recovery.mongo.suppressions import NewSuppression, suppress_write


class Direct:
    """Writes reports to a database, by any client that `recovery.client.Recovery` takes."""

    def __init__(self, client: Any, database: str, bounds: Bounds, pseudonyms: Pseudonyms) -> None:
        self._checkouts = client[database].get_collection(CHECKOUTS, **OPTIONS)
        self._suppressions = client[database].get_collection(SUPPRESSIONS, **OPTIONS)
        self._bounds = bounds
        self._paced = bounds.without_bulkhead()
        self._pseudonyms = pseudonyms
        firsts = FirstReports(MongoClock(client[database], time.monotonic))
        self._group = GroupCommit(self._checkouts, firsts) if is_asynchronous(client) else None
        self._bulk = BulkWrite(self._checkouts)

    async def send(self, report: Report, timeout: float | None = None) -> Any:
        """Store a report; return the result of its `Recovery` method. Raises `Unavailable`, `Refused`."""
        with self._bounds.call(timeout) as call:
            match report:
                case CheckoutReport():
                    return await self._checkout(report, call)
                case OrderReport():
                    return await self._order(report, call)
                case CancelReport():
                    return await self._cancel(report, call)
                case ConsentReport(shop=shop, email=email, consent=consent):
                    of_person = {"address": normalised(email), "_id": of_shop(shop)}
                    return await self.update(of_person, consented(consent), call)
                case SuppressReport():
                    return await self._suppress(report, call)

    async def send_all(
        self, reports: Sequence[CheckoutReport | OrderReport], timeout: float | None = None
    ) -> list[Kept | Exception]:
        """Store reports with a single name each, those of one checkout in order; return where, or the error of each.

        The bulkhead is for others: with an event loop, the caller itself limits how many there are at once.
        """
        writes = [_write_of(each) for each in reports]
        try:
            with (self._bounds if self._group is None else self._paced).call(timeout) as call:
                faults = await (self._group or self._bulk).write_all(writes, call.left)
        except Unavailable as exc:
            return [exc] * len(reports)
        return [
            Kept.DATABASE
            if fault is None
            else (call.translated(fault) if isinstance(fault, PyMongoError | TimeoutError) else fault)
            for fault in faults
        ]

    async def update(self, query: Mapping[str, Any], update: Any, call: Call) -> int:
        """Update all matching checkouts; return how many match. Raises PyMongo's errors."""
        with call.driver():
            result = await settled(self._checkouts.update_many(query, update))
        return int(result.matched_count)

    async def _checkout(self, asked: CheckoutReport, call: Call) -> Kept:
        report = asked.report
        names: list[str] = []
        known: list[str] = []
        if asked.aliases is not None or asked.cart is not None:
            names = [report.order_id, *(asked.aliases or ())]
            with call.driver():
                kept = await namesakes(self._checkouts, report, names, asked.cart)
            since = [each.order_id for each in kept.of_cart if each.ordered_since(report.touched_at)]
            if known := [each.order_id for each in kept.own] + since:
                report = report.model_copy(update={"order_id": known[0]})
        write = CheckoutWrite(report, all_names(names, asked.cart))
        await self._write(write.as_update() if known else write, call)
        return Kept.DATABASE

    async def _order(self, asked: OrderReport, call: Call) -> Kept:
        report = asked.report
        names: list[str] = []
        if asked.aliases is not None or asked.cart is not None:
            names = [report.order_id, *(asked.aliases or ())]
            with call.driver():
                own, of_cart = await namesakes(self._checkouts, report, names, asked.cart)
            others = [*own[1:], *(each for each in of_cart if each.status in (Status.OPEN, Status.FINISHED))]
            for each in others:
                also = Order(shop=report.shop, order_id=each.order_id, ordered_at=report.ordered_at, confirm=False)
                await self._write(order_write(also), call)
            if own:
                report = report.model_copy(update={"order_id": own[0].order_id})
        known_as = all_names(names, asked.cart)
        await self._write(order_write(report, confirm_default=asked.confirm_default, known_as=known_as), call)
        return Kept.DATABASE

    async def _cancel(self, asked: CancelReport, call: Call) -> bool:
        matched = await self.update(called(asked.shop, [asked.order_id, *asked.aliases]), cancelled(), call)
        if not matched and asked.cart:
            matched = await self.update(called(asked.shop, [asked.cart]), cancelled(), call)
        return bool(matched)

    async def _suppress(self, asked: SuppressReport, call: Call) -> bool:
        new = NewSuppression(asked.shop, self._pseudonyms.of(asked.email), SuppressionReason.SHOP, "service")
        with call.driver():
            result = await settled(self._suppressions.update_one(*suppress_write(new)))
        return result.upserted_id is not None or bool(result.modified_count)

    async def _write(self, write: Write | CheckoutWrite, call: Call) -> None:
        if self._group is not None:
            await self._group.write(write, call.left)
        else:
            with call.driver():
                await settled(self._checkouts.update_one(*as_update(write)))


def _write_of(asked: CheckoutReport | OrderReport) -> Write | CheckoutWrite:
    """Return the write of a report that has no name but its own."""
    if isinstance(asked, CheckoutReport):
        return CheckoutWrite(asked.report)
    return order_write(asked.report, confirm_default=asked.confirm_default)
