"""Links of a mail that lead to this service: unsubscribe, return to the checkout, and the return path (VERP).

Their tokens are encrypted: none reveals an address or an order, and none can be forged.
"""

import re
from collections.abc import Sequence
from urllib.parse import quote, unquote_plus

from recovery.domain.fields import Address
from recovery.domain.pseudonyms import Pseudonyms
from recovery.domain.schedule import Step
from recovery.domain.state import CheckoutState
from recovery.mail.seals import Seals, base32, from_base32

UNSUBSCRIBE, BACK = "/u/", "/r/"
"""Paths of the links below the public base URL."""

MOST_TRIED = 200
"""Tokens in a text that are tried at most: anybody may write some that are not ours."""

_RETURN_PATH = re.compile(r"\+([a-z2-7]{52})@", re.IGNORECASE)
_UNSUBSCRIBE = re.compile(rf"{UNSUBSCRIBE}([A-Za-z0-9_-]{{24,}})")
_AS_WRITTEN = "%!$'()*+,;:@/?=-._~"


class Links:
    """Makes the links of mails, and decodes them.

    `base_url` is the public URL of this service, without a trailing slash; without it, no link leads here.
    `return_path` is the address for bounces; without it, bounces go to the sender. `parameters`, `name=value`, are
    added to the checkout's own link; `{step}` in a value is the step's name. With `count_clicks`, people return to the
    checkout through this service. `base_url` and `return_path` require `seals` with a key.
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
        """True if mails carry a token of ours, so that a report without one is not about them."""
        return self._base_url is not None or self._return_path is not None

    def unsubscribe(self, shop: str, address: Address, language: str = "") -> str | None:
        """Return the link that unsubscribes this address from this shop; None without a base URL.

        Its page is in the `language` of the mail, if that is known.
        """
        if self._base_url is None:
            return None
        content = f"{language} {shop}/{address}" if language else f"{shop}/{address}"  # no shop has a space
        return f"{self._base_url}{UNSUBSCRIBE}{self._seals.seal_text('unsubscribe', content)}"

    def back(self, checkout: CheckoutState, step: Step) -> str | None:
        """Return the link to the checkout for this step's mail, or None if the checkout has none."""
        if checkout.facts.checkout_url is None:
            return None
        if self._base_url is None or not self._count_clicks:
            return self.target(checkout.facts.checkout_url, step.name)
        return f"{self._base_url}{BACK}{self._seals.seal_text('back', f'{step.name}/{checkout.id}')}"

    def return_path(self, shop: str, address: Address) -> str | None:  # noqa: ARG002 - a bounce is the same for all shops
        """Return the VERP return path: a bounce to it identifies its recipient; None for the sender's address."""
        if self._return_path is None:
            return None
        sealed = self._seals.seal("return path", bytes.fromhex(self._pseudonyms.of(address)))
        tag, _, domain = self._return_path.partition("@")
        return f"{tag}+{base32(sealed)}@{domain}"

    def target(self, checkout_url: str, step: str) -> str:
        """Return the checkout's own link with the parameters added that it does not have yet."""
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
        """Return shop and address of an unsubscribe token, or None if it was not made here."""
        opened = _split(self._seals.open_text("unsubscribe", token))
        return opened and (opened[0].rpartition(" ")[2], opened[1])

    def language_of(self, token: str) -> str:
        """Return the language of the mail that an unsubscribe token is from, or "" if the token does not say."""
        opened = _split(self._seals.open_text("unsubscribe", token))
        return opened[0].rpartition(" ")[0] if opened else ""

    def opened_back(self, token: str) -> tuple[str, str] | None:
        """Return the step's name and the checkout's id of a return link's token, or None if it was not made here."""
        return _split(self._seals.open_text("back", token))

    def unsubscribe_in(self, text: str) -> tuple[str, str] | None:
        """Return shop and address of the first unsubscribe link of ours in a text, such as a header."""
        opened = (self.opened_unsubscribe(token) for token in _UNSUBSCRIBE.findall(text)[:MOST_TRIED])
        return next((found for found in opened if found is not None), None)

    def return_path_in(self, text: str) -> str | None:
        """Return the pseudonym of the first VERP return path of ours in a text, such as a header."""
        for token in _RETURN_PATH.findall(text)[:MOST_TRIED]:
            pseudonym = self._seals.open("return path", from_base32(token) or b"")
            if pseudonym is not None:
                return pseudonym.hex()
        return None


def _split(content: str | None) -> tuple[str, str] | None:
    if content is None:
        return None
    first, _, rest = content.partition("/")
    return first, rest
