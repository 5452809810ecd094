"""The page of a checkout: its story, what is to come, its facts, its mails as they would look now, its dead letters."""

from collections.abc import Iterator
from dataclasses import dataclass

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from markupsafe import escape

from recovery.console.checkout_paths import MAIL_ROUTE, ROUTE, asked_for, mail_path_of, path_of, unknown
from recovery.console.checkouts import STATUS_TAGS, TAGS
from recovery.console.desk import Desk
from recovery.console.forms import asked
from recovery.console.recipients import as_seen, recipient_of
from recovery.console.rendering import frame, text_frame
from recovery.console.routes import Routes
from recovery.console.sessions import PATH
from recovery.console.story import is_sending, stops, story
from recovery.console.viewer import Viewer
from recovery.domain.checkout import shop_and_order
from recovery.domain.decision import decide, left
from recovery.domain.outlook import outlook
from recovery.domain.pauses import why
from recovery.domain.schedule import Schedule
from recovery.domain.state import CheckoutState
from recovery.http.problems import Problem
from recovery.mail.composer import RenderError
from recovery.mongo.dead_letters import DeadLetters, Filter, KeptLetter


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as it would look now: the path of its frame and its subject, or why it cannot be made."""

    step: str
    path: str
    subject: str = ""
    fault: str | None = None


class CheckoutPage:
    """The page, and the frames of its mails."""

    def __init__(self, routes: Routes, desk: Desk) -> None:
        self._routes = routes
        self._desk = desk
        self._letters = DeadLetters(desk.database)
        routes.page(ROUTE, self.page)
        routes.page(MAIL_ROUTE, self.mail)

    async def page(self, request: Request, viewer: Viewer) -> Response:
        """Answer with the page of a checkout, or lead to it from another of its names."""
        id_ = asked_for(request, viewer)
        state = await self._kept(id_)
        if state.id != id_:
            return RedirectResponse(path_of(state.id), 303)
        schedule, now = self._desk.schedules.of(id_), self._desk.clock.now()
        recipient = await recipient_of(self._desk, state)
        shop, order_id = shop_and_order(id_)
        customer = state.facts.customer
        return self._routes.rendering.page(
            request,
            viewer,
            "checkout.html",
            current="checkouts",
            state=state,
            shop=shop,
            order_id=order_id,
            path=path_of(id_),
            letters_path=f"{PATH}/dead-letters",
            address=viewer.address(customer.email if customer is not None else None),
            suppression=recipient.suppression,
            paused=None if recipient.paused is None else why(recipient.paused),
            story=list(reversed(story(state))),
            ahead=outlook(state, schedule, recipient.suppression, now, recipient.others),
            left=[step.name for step in left(state, schedule)],
            rest=decide(state, schedule, now).reason,
            stops=stops(state, schedule),
            sending=is_sending(state),
            mails=list(self._mails(state, schedule, viewer)),
            letters=await self._dead(state),
            tags=TAGS,
            status_tags=STATUS_TAGS,
            now=now,
        )

    async def mail(self, request: Request, viewer: Viewer) -> Response:
        """Answer with one mail of a checkout, as HTML or as text, for a frame."""
        id_ = asked_for(request, viewer)
        state = await self._kept(id_)
        steps = {step.name: step for step in self._desk.schedules.of(id_).messages_of(state.experiments)}
        step = steps.get(request.path_params["step"])
        if step is None:
            raise Problem(404, "There is no such message in the schedule of its shop.")
        try:
            rendered = self._desk.rendered(as_seen(state, viewer), step)
        except RenderError as exc:
            return frame(f"<p>The mail cannot be made: {escape(str(exc))}</p>")
        if asked(request).one("as") == "text":
            return text_frame(rendered.text)
        return frame(rendered.html)

    async def _kept(self, id_: str) -> CheckoutState:
        state = await self._desk.recovery.get(*shop_and_order(id_))
        if state is None:
            raise unknown()
        return state

    async def _dead(self, state: CheckoutState) -> list[KeptLetter]:
        steps = ["", *state.messages]
        return await self._letters.find(Filter(ids=tuple(f"{state.id}#{step}" for step in steps), replayed=True))

    def _mails(self, state: CheckoutState, schedule: Schedule, viewer: Viewer) -> Iterator[Mail]:
        for step in schedule.messages_of(state.experiments):
            path = mail_path_of(state.id, step.name)
            try:
                yield Mail(step.name, path, self._desk.rendered(as_seen(state, viewer), step).subject)
            except RenderError as exc:
                yield Mail(step.name, path, fault=str(exc))
