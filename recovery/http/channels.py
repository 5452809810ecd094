"""Counts of what shops report, by channel, from which `recovery check --shops` says when each last reported.

A report costs a dictionary lookup; a flusher stores the counts at intervals. No body, no address: masked reasons only.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from recovery.domain.channels import API, Answer, Heard
from recovery.domain.fields import ShopKey
from recovery.domain.masking import masked

MOST, MOST_UNPROVEN = 2000, 100
"""Counts that are kept between two flushes: of all reports, and of those without a right key or signature."""

LONGEST_REASON = 200

_ANSWERS = {answer.value: answer for answer in (Answer.IGNORED, Answer.UNMAPPED)}
_API_KINDS = {"checkout", "order", "checkouts", "orders"}
_NO_SHOPS = {"bounce"}
_SHOP: TypeAdapter[str] = TypeAdapter(ShopKey)

_Key = tuple[str, str, Answer]


class ChannelCounts:
    """The counts of each shop's reports since the last flush.

    Anyone may name any shop in a request that is refused: of such, only those with settings of their own are `known`.
    """

    def __init__(self, known: Collection[str] = ()) -> None:
        self._known = frozenset(known)
        self._heard: dict[_Key, list[Any]] = {}
        self._unproven = 0

    def note(self, kind: str, status: int, state: Mapping[str, Any]) -> None:
        """Count the answer to a report of this kind. `state` is the request's: its shop, answer and reason."""
        shop = state.get("shop")
        if not shop or kind in _NO_SHOPS or status >= 500:
            return
        answer = _ANSWERS.get(state.get("answer", ""), Answer.ACCEPTED) if status < 300 else Answer.REFUSED
        proven = status < 300 or status == 422 or shop in self._known
        self._add((shop, API if kind in _API_KINDS else kind, answer), 1, state.get("reason", ""), proven)

    def _add(self, key: _Key, times: int, reason: str, proven: bool) -> None:
        heard = self._heard.get(key)
        if heard is None:
            if len(self._heard) >= MOST or (not proven and self._unproven >= MOST_UNPROVEN):
                return
            if not _is_shop(key[0]):
                return
            self._unproven += not proven
            heard = self._heard[key] = [0, reason, proven]
        heard[0] += times
        heard[1] = reason
        heard[2] |= proven

    def taken(self) -> list[Heard]:
        """Return all counts, and begin again."""
        heard, self._heard, self._unproven = self._heard, {}, 0
        return [
            Heard(*key, times, "" if key[2] is Answer.ACCEPTED else _text(reason), proven)
            for key, (times, reason, proven) in heard.items()
        ]

    def count_again(self, heard: Sequence[Heard]) -> None:
        """Take back counts that could not be stored."""
        for each in heard:
            newer = self._heard.get((each.shop, each.channel, each.answer))
            reason = newer[1] if newer is not None else each.reason
            self._add((each.shop, each.channel, each.answer), each.times, reason, each.proven)


def _is_shop(name: str) -> bool:
    """Return whether a shop can have this name: a refused report may name anything, as half an emoji."""
    try:
        _SHOP.validate_python(name)
    except ValidationError:
        return False
    return "…" not in name


def _text(reason: str) -> str:
    """Return a reason as it is stored: without addresses, and without half an emoji, which no document can hold."""
    return masked(reason).encode(errors="replace").decode()[:LONGEST_REASON]
