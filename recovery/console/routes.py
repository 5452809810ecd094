"""The routes of the console: pages that need a viewer, acts that need a scope, a token and a yes, and faults as pages.

A page is a function of a request and a viewer; an act also gets the posted form. Both are entered with `Routes`, so
there is one place that lets somebody in.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from urllib.parse import quote

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from recovery.console.forms import Form, posted
from recovery.console.rendering import Rendering
from recovery.console.sessions import PATH, Sessions
from recovery.console.viewer import Viewer
from recovery.domain.scopes import Scope
from recovery.engine.ports import Clock
from recovery.errors import Damaged, Refused, Unavailable
from recovery.http.problem_handlers import as_problem
from recovery.http.problems import Problem, problem_of

Page = Callable[[Request, Viewer], Awaitable[Response]]
Act = Callable[[Request, Viewer, Form], Awaitable["Done | Ask | Response"]]

TOKEN, SURE = "token", "sure"

FAULTS = {
    500: "It is in the log of the daemon. If you did something, see whether it was done before you repeat it.",
    503: "Load the page again in a moment. If you did something, see whether it was done before you repeat it.",
}
"""What is said of faults that are ours or the database's, by status: a report is not what they are about."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Done:
    """What an act has done: `said` is a sentence for the person, `to` the page that says it.

    The log gets the number of what it touched, and never an address.
    """

    said: str
    to: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked before an act: `question` says how many it touches, `button` what it does.

    `fields` are posted again with the yes. `details` are lines of what it touches, as far as they are worth reading.
    """

    question: str
    button: str
    back: str
    fields: tuple[tuple[str, str], ...] = ()
    details: tuple[str, ...] = ()
    grave: bool = True


class Routes:
    """The routes of the console. `sessions` knows who is signed in."""

    def __init__(self, sessions: Sessions, rendering: Rendering, clock: Clock) -> None:
        self.router = APIRouter(include_in_schema=False)
        self.sessions = sessions
        self.rendering = rendering
        self._clock = clock
        self.scopes: dict[str, Scope] = {}
        """The scope that each act needs, by its path."""

    def page(self, path: str, page: Page) -> None:
        """Enter a page that every viewer may see."""

        async def answered(request: Request) -> Response:
            viewer = self.viewer(request)
            if viewer is None:
                asked_for = _written_path(request) + (f"?{request.url.query}" if request.url.query else "")
                return RedirectResponse(f"{PATH}/sign-in?to={quote(asked_for)}", 303)
            return await page(request, viewer)

        self.router.add_route(f"{PATH}{path}", self._guarded(answered), methods=["GET"])

    def open(self, path: str, handle: Callable[[Request], Awaitable[Response]], method: str) -> None:
        """Enter what answers without a session."""
        self.router.add_route(f"{PATH}{path}", self._guarded(handle), methods=[method])

    def act(self, path: str, act: Act, scope: Scope = Scope.OPERATE) -> None:
        """Enter an act that needs a scope. Its form has a token for this path, without the values in braces."""
        name = token_name(path)
        self.scopes[path] = scope

        async def answered(request: Request) -> Response:
            viewer = self.viewer(request)
            if viewer is None:
                raise Problem(401, "You are no longer signed in: sign in, and do it again.")
            viewer.caller.needs(scope)
            form = await posted(request)
            if not self.sessions.fits(viewer.session, name, form.one(TOKEN) or ""):
                raise Problem(403, "This form is not from this session: load the page again, and repeat what you did.")
            outcome = await act(request, viewer, form)
            return self._answer(request, viewer, name, outcome)

        self.router.add_route(f"{PATH}{path}", self._guarded(answered), methods=["POST"])

    def viewer(self, request: Request) -> Viewer | None:
        """Return the viewer who makes a request, or None if nobody is signed in."""
        session = self.sessions.of(request, self._clock.now())
        if session is None or not session.caller.scopes & {Scope.READ, Scope.OPERATE}:
            return None
        return Viewer(session, self.sessions)

    def _answer(self, request: Request, viewer: Viewer, name: str, outcome: Done | Ask | Response) -> Response:
        if isinstance(outcome, Done):
            log.info("console act", act=name, by=viewer.name, count=outcome.count)
            said = self.sessions.seal("said", outcome.said)
            joint = "&" if "?" in outcome.to else "?"
            return RedirectResponse(f"{outcome.to}{joint}said={said}", 303)
        if isinstance(outcome, Ask):
            ask = replace(outcome, fields=(*outcome.fields, (SURE, "yes"), (TOKEN, viewer.token(name))))
            return self.rendering.page(request, viewer, "ask.html", ask=ask, action=_written_path(request))
        return outcome

    def _guarded(self, handle: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            try:
                return await handle(request)
            except Exception as exc:  # noqa: BLE001 - people get a page, whatever happens; the log says where
                return self.fault(request, exc)

        return guarded

    def fault(self, request: Request, exc: Exception) -> Response:
        """Return the page of a fault."""
        problem = Problem(409, _sentence(exc)) if isinstance(exc, Damaged) else problem_of(as_problem(exc))
        detail = problem.detail if isinstance(exc, Problem) else FAULTS.get(problem.status, problem.detail)
        try:
            viewer = self.viewer(request)
        except Problem:
            viewer = None
        return self.rendering.page(
            request,
            viewer,
            "fault.html",
            status=problem.status,
            fault=problem,
            detail=_sentence(exc) if isinstance(exc, Refused) else detail,
            refused=isinstance(exc, Refused),
            away=isinstance(exc, Unavailable),
        )


def _sentence(exc: Exception) -> str:
    return f"{exc}".rstrip(".") + "."


def _written_path(request: Request) -> str:
    """Return the path of a request as it was written, with what is quoted in it: a value may have a slash or a #."""
    written: bytes = request.scope.get("raw_path") or request.url.path.encode()
    return written.decode("ascii", "replace")


def token_name(path: str) -> str:
    """Return the name of an act for its token: the path without what stands for values."""
    return path.partition("{")[0].rstrip("/") + path.rpartition("}")[2] if "{" in path else path


def is_sure(form: Form) -> bool:
    """Return whether the person has said yes to what was asked."""
    return form.one(SURE) == "yes"
