"""The entrance: signing in and out, the static files, and the page for what does not exist."""

from fastapi import Request, Response
from fastapi.responses import FileResponse, RedirectResponse

from recovery.console.forms import Form, posted
from recovery.console.rendering import STATIC, Rendering
from recovery.console.routes import Routes
from recovery.console.sessions import PATH, keeps_no_cookie
from recovery.console.viewer import Viewer
from recovery.domain.scopes import Scope
from recovery.engine.ports import Clock
from recovery.http.problems import Problem
from recovery.http.security import Guard

FILES = {path.name for path in STATIC.iterdir()}
KEPT = {"Cache-Control": "public, max-age=31536000, immutable"}

NOT_ENCRYPTED = (
    "The console needs https, or an address of this machine: over plain http a browser would not keep you signed in,"
    " and your key could be read on its way. Put a proxy with TLS in front of it, or open a tunnel to it with ssh -L."
)


class Entrance:
    """What answers without a session. `guard` knows the keys."""

    def __init__(self, routes: Routes, guard: Guard, clock: Clock) -> None:
        self._routes = routes
        self._guard = guard
        self._clock = clock
        routes.open("/sign-in", self.ask, "GET")
        routes.open("/sign-in", self.sign_in, "POST")
        routes.open("/static/{name}", self.static, "GET")
        routes.act("/sign-out", self.sign_out, Scope.READ)

    async def ask(self, request: Request) -> Response:
        """Answer with the form for a key; without keys, sign in whoever is on this machine."""
        to = _own(request.query_params.get("to"))
        if self._guard.has_keys:
            return self._form(request, to)
        caller = self._guard.signed_in("", request.headers)
        response = self._form(request, to, to_open=to)
        if caller is not None:
            # The page opens the next one by itself: a redirect from another site would come without the cookie.
            self._routes.sessions.open(caller, response, request, self._clock.now())
        return response

    async def sign_in(self, request: Request) -> Response:
        """Sign in with a key."""
        form = await posted(request)
        to = _own(form.one("to"))
        try:
            caller = await self._guard.sign_in(form.one("key") or "")
        except Problem as problem:
            return self._form(request, to, status=problem.status, fault="This is not a valid key.")
        if not caller.scopes & {Scope.READ, Scope.OPERATE}:
            fault = f"The key {caller.name} has neither the scope read nor operate, which the console requires."
            return self._form(request, to, status=403, fault=fault)
        if keeps_no_cookie(request):
            return self._form(request, to, status=403, fault=NOT_ENCRYPTED)
        response = RedirectResponse(to, 303)
        self._routes.sessions.open(caller, response, request, self._clock.now())
        return response

    async def sign_out(self, _request: Request, _viewer: Viewer, _form: Form) -> Response:
        """Sign out."""
        response = RedirectResponse(f"{PATH}/sign-in", 303)
        self._routes.sessions.close(response)
        return response

    async def static(self, request: Request) -> Response:
        """Answer with a static file."""
        name = request.path_params["name"]
        if name not in FILES:
            raise Problem(404, "There is no such file.")
        return FileResponse(STATIC / name, headers=KEPT)

    def _form(
        self, request: Request, to: str, *, status: int = 200, fault: str | None = None, to_open: str | None = None
    ) -> Response:
        rendering: Rendering = self._routes.rendering
        return rendering.page(request, None, "sign-in.html", status=status, to=to, fault=fault, to_open=to_open)


def _own(to: str | None) -> str:
    """Return the page to go to after signing in: one of the console, whatever was asked for."""
    inside = to is not None and (to == PATH or to.startswith((f"{PATH}/", f"{PATH}?"))) and "\\" not in to
    return to if to is not None and inside and to.isprintable() else PATH
