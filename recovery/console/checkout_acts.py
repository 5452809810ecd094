"""What people do with one checkout: send now, skip, postpone, pause, resume, cancel, export, erase."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import structlog
from fastapi import Request, Response

from recovery.console.checkout_paths import ROUTE, asked_for, path_of, unknown
from recovery.console.checkouts import LIST
from recovery.console.desk import Desk
from recovery.console.forms import Form
from recovery.console.recipients import recipient_of
from recovery.console.routes import Ask, Done, Routes, is_sure
from recovery.console.viewer import Viewer
from recovery.domain.checkout import Customer, shop_and_order
from recovery.domain.operations import Change, NotPossible, Operator, pause, postpone, resume, send_now, skip
from recovery.domain.outlook import outlook
from recovery.domain.pauses import why
from recovery.domain.schedule import Schedule
from recovery.domain.scopes import Scope
from recovery.domain.state import CheckoutState
from recovery.http.problems import Problem
from recovery.mongo.operations import Operations
from recovery.settings.durations import parse_duration

CONSOLE = "in the console"

Decided = Callable[[CheckoutState, Schedule, Operator, datetime], Change]
Act = Callable[[Request, Viewer, Form], Awaitable[Done | Ask | Response]]

log = structlog.get_logger()


class CheckoutActs:
    """The acts of the page of a checkout. Each is refused, with a sentence, if the checkout has changed too far."""

    def __init__(self, routes: Routes, desk: Desk) -> None:
        self._routes = routes
        self._desk = desk
        self._operations = Operations(desk.database)
        acts: dict[str, Act] = {
            "send-now": self.send_now,
            "skip": self.skip,
            "postpone": self.postpone,
            "pause": self.pause,
            "resume": self.resume,
            "cancel": self.cancel,
        }
        for name, act in acts.items():
            routes.act(f"{ROUTE}/{name}", self._told(act))
        routes.act(f"{ROUTE}/export", self.export, Scope.PRIVACY)
        routes.act(f"{ROUTE}/erase", self.erase, Scope.PRIVACY)

    async def send_now(self, request: Request, viewer: Viewer, form: Form) -> Done | Ask:
        """Make the next message due now."""
        step = form.one("step")

        def decided(state: CheckoutState, schedule: Schedule, _operator: Operator, now: datetime) -> Change:
            return send_now(state, schedule, step, now)

        return await self._changed(
            request,
            viewer,
            form,
            decided,
            "Send {step} now?",
            "Make it due now",
            "{step} is due now: it goes as soon as the rules of the schedule allow.",
        )

    async def skip(self, request: Request, viewer: Viewer, form: Form) -> Done | Ask:
        """Skip a message."""
        step = form.one("step")

        def decided(state: CheckoutState, schedule: Schedule, operator: Operator, now: datetime) -> Change:
            return skip(state, schedule, step, operator, now)

        return await self._changed(
            request, viewer, form, decided, "Skip {step}?", "Skip it", "{step} is skipped: it will never be sent."
        )

    async def postpone(self, request: Request, viewer: Viewer, form: Form) -> Done | Ask:
        """Postpone the next message."""
        step = form.one("step")
        until = await self._until(asked_for(request, viewer), form)

        def decided(state: CheckoutState, schedule: Schedule, operator: Operator, now: datetime) -> Change:
            return postpone(state, schedule, step, until, operator, now)

        then = f"{until:%Y-%m-%d %H:%M} UTC"
        return await self._changed(
            request,
            viewer,
            form,
            decided,
            f"Postpone {{step}} to {then}?",
            "Postpone it",
            f"{{step}} is postponed to {then}.",
            (("until", until.isoformat()),),
        )

    async def pause(self, request: Request, viewer: Viewer, form: Form) -> Done | Ask:
        """Pause the reminders of a checkout."""

        def decided(state: CheckoutState, _schedule: Schedule, operator: Operator, now: datetime) -> Change:
            return pause(state, operator, now)

        details = ("It gets no reminders until it is resumed, or its customer is active in it again.",)
        question = "Pause the reminders of this checkout?"
        return await self._changed(
            request, viewer, form, decided, question, "Pause it", "It is paused.", details=details
        )

    async def resume(self, request: Request, viewer: Viewer, form: Form) -> Done | Ask:
        """End the pause of a checkout."""

        def decided(state: CheckoutState, _schedule: Schedule, _operator: Operator, _now: datetime) -> Change:
            return resume(state)

        details = ("Reminders whose time is long over are skipped; the others are sent when they are due.",)
        question = "Resume the reminders of this checkout?"
        return await self._changed(
            request, viewer, form, decided, question, "Resume it", "It is resumed.", details=details
        )

    async def cancel(self, request: Request, viewer: Viewer, form: Form) -> Done | Ask:
        """Cancel a checkout."""
        id_ = asked_for(request, viewer)
        state = await self._kept(id_)
        to = path_of(id_)
        if not is_sure(form):
            sending = ("A message that is being sent at this moment may still arrive.",) if state.claim else ()
            rule = "Its customer gets no more reminders, whatever is reported later. An order is still confirmed."
            return Ask(f"Cancel the checkout {id_}?", "Cancel it", to, details=(rule, *sending))
        operator = Operator(viewer.name, CONSOLE)
        if not await self._operations.cancel([id_], operator, self._desk.clock.now()):
            raise NotPossible(f"It is {state.status} already: there is nothing to cancel.")
        return Done("It is cancelled.", to)

    async def export(self, request: Request, viewer: Viewer, _form: Form) -> Response:
        """Answer with all data about the checkout's customer at its shop, as a file."""
        id_ = asked_for(request, viewer)
        shop, order_id = shop_and_order(id_)
        customer = await self._customer(id_)
        found = await self._desk.recovery.export(customer.email, shop=shop)
        log.info("console act", act="/checkouts/export", by=viewer.name, count=len(found["checkouts"]))
        name = "".join(each if each.isascii() and each.isalnum() else "-" for each in f"{shop}-{order_id}")[:100]
        headers = {"Content-Disposition": f'attachment; filename="{name}.json"', "Cache-Control": "no-store"}
        content = json.dumps(found, ensure_ascii=False, indent=2)
        return Response(content, media_type="application/json", headers=headers)

    async def erase(self, request: Request, viewer: Viewer, form: Form) -> Done | Ask:
        """Erase the checkout's customer, at its shop or, for those who see all shops, everywhere."""
        id_ = asked_for(request, viewer)
        customer = await self._customer(id_)
        everywhere = form.one("everywhere") == "yes" and not viewer.shops
        shop = None if everywhere else shop_and_order(id_)[0]
        where = "at all shops" if shop is None else f"at {shop}"
        if not is_sure(form):
            found = await self._desk.recovery.export(customer.email, shop=shop)
            checkouts, letters = len(found["checkouts"]), len(found["dead_letters"])
            return Ask(
                f"Erase {viewer.address(customer.email)} {where}: {_count(checkouts, 'checkout')} and"
                f" {_count(letters, 'dead letter')}?",
                "Erase for good",
                path_of(id_),
                tuple(form.only("everywhere")),
                (
                    "This cannot be undone.",
                    "A pseudonym of the address stays in the suppressions, so that it is never written to again.",
                ),
            )
        receipt = await self._desk.recovery.erase(customer.email, shop=shop)
        erased = f"{_count(len(receipt.checkouts), 'checkout')} and {_count(len(receipt.dead_letters), 'dead letter')}"
        return Done(f"The person is erased {where}: {erased}.", LIST, len(receipt.checkouts))

    async def _changed(
        self,
        request: Request,
        viewer: Viewer,
        form: Form,
        decided: Decided,
        question: str,
        button: str,
        said: str,
        fields: tuple[tuple[str, str], ...] = (),
        details: tuple[str, ...] = (),
    ) -> Done | Ask:
        """Ask whether to change a checkout, with what follows from it; after the yes, change it.

        The change is decided on anew from what is stored then. `{step}` in a text is the message that it is about.
        """
        id_ = asked_for(request, viewer)
        schedule, operator = self._desk.schedules.of(id_), Operator(viewer.name, CONSOLE)
        now = self._desk.clock.now()
        if is_sure(form):
            after = await self._operations.change(
                id_, lambda state: decided(state, schedule, operator, now), operator, now
            )
            if after is None:
                raise unknown()
            return Done(said.format(step=form.one("step")), path_of(id_))
        state = await self._kept(id_)
        change = decided(state, schedule, operator, now)
        step = next(iter(change.messages), None)
        after = change.applied(state, now)
        follows = details or (await self._forecast(after, schedule, step, now))
        again = (("step", step),) if step is not None else ()
        return Ask(question.format(step=step), button, path_of(id_), (*again, *fields), follows, grave=False)

    async def _forecast(
        self, after: CheckoutState, schedule: Schedule, step: str | None, now: datetime
    ) -> tuple[str, ...]:
        """Return the messages to come, a line for each; the line of the one that it is about is the first."""
        recipient = await recipient_of(self._desk, after)
        ahead = outlook(after, schedule, recipient.suppression, now, recipient.others)
        lines = [] if recipient.paused is None else [f"Nothing goes before it is resumed: {why(recipient.paused)}."]
        for each in sorted(ahead, key=lambda each: each.step != step):
            if each.at is None:
                lines.append(f"{each.step} will not be sent: {each.why}.")
            elif each.at <= now:
                lines.append(f"{each.step} goes at once.")
            else:
                because = f": {each.why}" if each.why else ""
                lines.append(f"{each.step} goes at {each.at:%Y-%m-%d %H:%M} UTC{because}.")
        return tuple(lines) or ("Then nothing more is to come.",)

    async def _until(self, id_: str, form: Form) -> datetime:
        """Return the time to postpone to: as given, in UTC if it has no zone, or so long after the message is due."""
        given, by = form.one("until"), form.one("by")
        try:
            if given:
                at = datetime.fromisoformat(given)
                return at.astimezone(UTC) if at.tzinfo is not None else at.replace(tzinfo=UTC)
            span = parse_duration(by or "")
        except (ValueError, OverflowError):
            raise Problem(422, "The time is not clear: give one as in 2026-03-01T14:05, which is in UTC.") from None
        state, now = await self._kept(id_), self._desk.clock.now()
        ahead = outlook(state, self._desk.schedules.of(id_), None, now)
        return max(next((each.at for each in ahead if each.at is not None), now), now) + span

    async def _kept(self, id_: str) -> CheckoutState:
        state = await self._desk.recovery.get(*shop_and_order(id_))
        if state is None or state.id != id_:
            raise unknown()
        return state

    async def _customer(self, id_: str) -> Customer:
        customer = (await self._kept(id_)).facts.customer
        if customer is None:
            raise Problem(422, "No customer of this checkout is known, so there is nobody to export or erase.")
        return customer

    def _told(self, act: Act) -> Act:
        """Return an act whose refusal is a page that leads back to the checkout."""

        async def told(request: Request, viewer: Viewer, form: Form) -> Done | Ask | Response:
            try:
                return await act(request, viewer, form)
            except NotPossible as exc:
                back = path_of(asked_for(request, viewer))
                return self._routes.rendering.page(
                    request, viewer, "not-possible.html", status=409, why=str(exc), back=back, current="checkouts"
                )

        return told


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
