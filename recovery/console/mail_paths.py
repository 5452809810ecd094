"""The names of mails in the console: of a shop, a step and a language; their addresses, and their samples."""

from dataclasses import dataclass
from urllib.parse import quote

from babel import Locale
from fastapi import Request

from recovery.console.desk import Desk
from recovery.console.sessions import PATH
from recovery.console.viewer import Viewer
from recovery.domain.checkout import shop_and_order
from recovery.domain.pauses import EVERYTHING
from recovery.domain.schedule import Step
from recovery.domain.state import CheckoutState
from recovery.http.problems import Problem
from recovery.mail.composer import Composer
from recovery.mail.templates import samples
from recovery.mail.templates.locales import known

LIST = f"{PATH}/mails"
NAMED = "{shop}/{step}/{locale:path}"
ROUTE, FRAME_ROUTE = f"/mails/{NAMED}", f"/mail-frames/{NAMED}"

ALL_SHOPS = EVERYTHING
"""The shop of the mails that all shops without settings of their own send."""


@dataclass(frozen=True, slots=True)
class Named:
    """The mail that an address names: its shop or `ALL_SHOPS`, step and language, and what composes it."""

    shop: str
    step: Step
    locale: str
    composer: Composer

    @property
    def path(self) -> str:
        """The path of its page."""
        return f"{LIST}/{self._quoted}"

    @property
    def frame(self) -> str:
        """The path of its frame."""
        return f"{PATH}/mail-frames/{self._quoted}"

    @property
    def _quoted(self) -> str:
        return "/".join(quote(each, safe="") for each in (self.shop, self.step.name, self.locale))


def composer_of(desk: Desk, viewer: Viewer, shop: str) -> Composer:
    """Return the composer of a shop, or of all. Raises `Problem` (404) if the viewer does not see it."""
    if desk.composers is None:
        raise Problem(503, "There are no templates here.")
    if shop == ALL_SHOPS and not viewer.shops:
        return desk.composers.default
    if not viewer.sees(shop):
        raise unknown()
    return desk.composers.of_shop(shop)


def asked_for(desk: Desk, request: Request, viewer: Viewer) -> Named:
    """Return the mail that a request names. Raises `Problem` (404) if there is none that the viewer sees."""
    shop, name, locale = (request.path_params[part] for part in ("shop", "step", "locale"))
    composer = composer_of(desk, viewer, shop)
    step = desk.schedules.of_shop(shop).by_name.get(name)
    if step is None or locale not in composer.templates.locales:
        raise unknown()
    return Named(shop, step, locale, composer)


def unknown() -> Problem:
    """Return the problem of a mail that does not exist."""
    return Problem(404, "There is no such mail: no shop, no step of its schedule, or no words in this language.")


def sample_of(mail: Named) -> CheckoutState:
    """Return the sample for a mail, as if it were of its shop."""
    sample = samples.of(mail.step.name, mail.locale)
    if mail.shop == ALL_SHOPS:
        return sample
    return sample.model_copy(update={"id": f"{mail.shop}/{shop_and_order(sample.id)[1]}"})


def language(locale: str) -> str:
    """Return the name of a language in English, as in "German (Switzerland)"."""
    found = known(locale)
    return (found.get_display_name(Locale("en")) if found is not None else None) or locale
