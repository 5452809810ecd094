"""The addresses in a mail that lead to us, made and opened: unsubscribe, back to the checkout, the return path.

What they carry is sealed: none tells an address or an order, and none can be made by anybody else.
"""

import re
from collections.abc import Sequence
from urllib.parse import quote, unquote_plus

from recovery.domain.fields import normalised
from recovery.domain.pseudonyms import Pseudonyms
from recovery.domain.schedule import Step
from recovery.domain.state import CheckoutState
from recovery.mail.seals import Seals, base32, from_base32

UNSUBSCRIBE, BACK = "/u/", "/r/"
"""Where the links lead, below the public address."""

MOST_TRIED = 200
"""Marks in a text that are tried to be opened: anybody may write some that are none of ours."""

_RETURN_PATH = re.compile(r"\+([a-z2-7]{52})@", re.IGNORECASE)
_UNSUBSCRIBE = re.compile(rf"{UNSUBSCRIBE}([A-Za-z0-9_-]{{24,}})")
_AS_WRITTEN = "%!$'()*+,;:@/?=-._~"


class Links:
    """Makes the links of mails, and opens them.

    `base_url` is the public address of this service, without a slash at its end; without it there is no link to here.
    `return_path` is the address that bounces go to; without it there is none. `parameters`, `name=value`, are added to
    the checkout's own link; `{step}` in a value is the name of the step. `count_clicks` has people come back by way of
    this service. Whoever gives an address of either kind gives `seals` with a key.
    """

    def __init__(
        self,
        seals: Seals,
        pseudonyms: Pseudonyms,
        *,
        base_url: str | None = None,
        return_path: str | None = None,
        parameters: Sequence[str] = (),
        count_clicks: bool = False,
    ) -> None:
        self._seals = seals
        self._pseudonyms = pseudonyms
        self._base_url = base_url
        self._return_path = return_path
        self._parameters = [(name, value) for name, _, value in (each.partition("=") for each in parameters)]
        self._count_clicks = count_clicks

    @property
    def marked(self) -> bool:
        """Whether mails carry what tells them for ours, so that a report without it is of none of them."""
        return self._base_url is not None or self._return_path is not None

    def unsubscribe(self, shop: str, email: str) -> str | None:
        """Return the link by which this address wants no more reminders from this shop."""
        if self._base_url is None:
            return None
        return f"{self._base_url}{UNSUBSCRIBE}{self._seals.seal_text('unsubscribe', f'{shop}/{normalised(email)}')}"

    def back(self, checkout: CheckoutState, step: Step) -> str | None:
        """Return the link back to the checkout, if it has one."""
        if checkout.facts.checkout_url is None:
            return None
        if self._base_url is None or not self._count_clicks:
            return self.target(checkout.facts.checkout_url, step.name)
        return f"{self._base_url}{BACK}{self._seals.seal_text('back', f'{step.name}/{checkout.id}')}"

    def return_path(self, shop: str, email: str) -> str | None:  # noqa: ARG002 - a bounce is the same for all shops
        """Return the address to have bounces sent to: a bounce that comes there says whose it is."""
        if self._return_path is None:
            return None
        sealed = self._seals.seal("return path", bytes.fromhex(self._pseudonyms.of(email)))
        tag, _, domain = self._return_path.partition("@")
        return f"{tag}+{base32(sealed)}@{domain}"

    def target(self, checkout_url: str, step: str) -> str:
        """Return the checkout's own link with the parameters that it does not have yet."""
        page, hash_, fragment = checkout_url.partition("#")
        there, _, query = page.partition("?")
        present = {unquote_plus(part.partition("=")[0]) for part in query.split("&")}
        added = [
            f"{quote(name, safe=_AS_WRITTEN)}={quote(value.replace('{step}', step), safe=_AS_WRITTEN)}"
            for name, value in self._parameters
            if unquote_plus(name) not in present
        ]
        if not added:
            return checkout_url
        kept = [query] if query else []
        return f"{there}?{'&'.join([*kept, *added])}{hash_}{fragment}"

    def opened_unsubscribe(self, token: str) -> tuple[str, str] | None:
        """Return shop and address of the last part of an unsubscribe link, or None if it was not made here."""
        return _parted(self._seals.open_text("unsubscribe", token))

    def opened_back(self, token: str) -> tuple[str, str] | None:
        """Return the name of the step and the id of the checkout of a link back, or None if it was not made here."""
        return _parted(self._seals.open_text("back", token))

    def unsubscribe_in(self, text: str) -> tuple[str, str] | None:
        """Return shop and address of the first unsubscribe link in a text, such as a header, that was made here."""
        opened = (self.opened_unsubscribe(token) for token in _UNSUBSCRIBE.findall(text)[:MOST_TRIED])
        return next((found for found in opened if found is not None), None)

    def return_path_in(self, text: str) -> str | None:
        """Return the pseudonym in the first return path in a text, such as a header, that was made here."""
        for token in _RETURN_PATH.findall(text)[:MOST_TRIED]:
            pseudonym = self._seals.open("return path", from_base32(token) or b"")
            if pseudonym is not None:
                return pseudonym.hex()
        return None


def _parted(content: str | None) -> tuple[str, str] | None:
    if content is None:
        return None
    first, _, rest = content.partition("/")
    return first, rest
