"""The console: all its pages and acts, as one router."""

from collections.abc import Sequence

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from recovery.console.checkout import CheckoutPage
from recovery.console.checkout_acts import CheckoutActs
from recovery.console.checkouts import Checkouts
from recovery.console.desk import Desk
from recovery.console.entrance import Entrance
from recovery.console.letter_acts import LetterActs
from recovery.console.letters import Letters
from recovery.console.mail_test_acts import TestMailActs
from recovery.console.mails import Mails
from recovery.console.overview import Overview
from recovery.console.rendering import Rendering
from recovery.console.requests import Requests
from recovery.console.results import ResultsPages
from recovery.console.routes import Routes
from recovery.console.schedule import SchedulePage
from recovery.console.sessions import PATH, Sessions
from recovery.console.shops import Shops
from recovery.console.suppressions import SuppressionPages
from recovery.console.words import WordsPages
from recovery.http.keys import ApiKey
from recovery.http.problems import Problem
from recovery.http.security import Guard


def routes_of(desk: Desk, guard: Guard, keys: Sequence[ApiKey]) -> Routes:
    """Return the routes of the console. `guard` authenticates the `keys`."""
    sessions = Sessions(guard, [key.secret for key in keys])
    routes = Routes(sessions, Rendering(sessions), desk.clock)
    Entrance(routes, guard, desk.clock)
    Overview(routes, desk)
    Checkouts(routes, desk)
    CheckoutPage(routes, desk)
    CheckoutActs(routes, desk)
    Letters(routes, desk)
    LetterActs(routes, desk)
    SuppressionPages(routes, desk)
    Requests(routes, desk)
    Shops(routes, desk)
    WordsPages(routes, desk)  # before the pages of mails, whose language may be any path
    Mails(routes, desk)
    TestMailActs(routes, desk)
    SchedulePage(routes, desk)
    ResultsPages(routes, desk)
    routes.open("/{rest:path}", _unknown, "GET")
    return routes


def console(desk: Desk, guard: Guard, keys: Sequence[ApiKey]) -> APIRouter:
    """Return the router of the console."""
    return routes_of(desk, guard, keys).router


async def _unknown(request: Request) -> Response:
    if not request.path_params["rest"]:
        return RedirectResponse(PATH, 303)
    raise Problem(404, "The address is mistyped, or what it named is gone.")
