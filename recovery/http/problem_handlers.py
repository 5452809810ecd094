"""Handlers that make a FastAPI application answer every exception with a problem."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.routing import Match

from recovery.errors import Unavailable
from recovery.http.problems import Problem, answer, invalid

_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")


def add_problem_handlers(app: FastAPI) -> None:
    """Make `app` answer every exception with a problem."""
    for kind in (
        Problem,
        HTTPException,
        RequestValidationError,
        ClientDisconnect,
        Unavailable,
        Exception,
    ):
        app.add_exception_handler(kind, _answer)


async def _answer(request: Request, exc: Exception) -> JSONResponse:
    if isinstance(exc, HTTPException) and exc.status_code == 405:
        exc.headers = {**(exc.headers or {}), "Allow": ", ".join(_methods_of(request))}
    return answer(as_problem(exc), request.scope)


def as_problem(exc: Exception) -> Exception:
    """Return the problem of a parameter or form that FastAPI refuses; any other exception as it is."""
    return invalid(exc.errors()) if isinstance(exc, RequestValidationError) else exc


def _methods_of(request: Request) -> list[str]:
    """Return all methods of this path: the router only reports those of the first route that matches."""
    return [
        method
        for method in _METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.scope["router"].routes
        )
    ]
