"""The section on receivers: the mailbox providers, each of which is slowed down by itself where it throttles us."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from recovery.domain.receivers import OTHERS, Receivers
from recovery.settings.fields import Section, from_json, like, setting

Group = Annotated[
    str, like(r"[a-z][a-z0-9.-]{0,49}", "must be the name of a receiver: small letters, digits, full stops and -")
]


def _checked(groups: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
    if OTHERS in groups:
        raise ValueError(f"{OTHERS} stands for all receivers that are not named: choose another name")
    Receivers(groups)
    return groups


class ReceiversSettings(Section):
    """Receivers: whose servers take the mail of an address. One that throttles or blocks us is slowed by itself."""

    groups: Annotated[Mapping[Group, tuple[str, ...]], BeforeValidator(from_json), AfterValidator(_checked)] = setting(
        {},
        'Domains of one receiver, by a name, as in { google = ["lamps.example"], school = ["pupils.example"] }. A'
        " domain stands for those below it too; yahoo.* for that name under any ending. They are added to those of the"
        " large providers (google, microsoft, yahoo, apple, gmx and others), which are known. Any other domain is a"
        " receiver of its own. In the environment: JSON.",
    )
