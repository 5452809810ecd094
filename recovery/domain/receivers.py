"""The receivers of mail: mailbox providers with all their domains; any other domain is a receiver of its own name."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

OTHERS = "others"
"""The name that stands for all receivers that are not named; no group may have it."""

KNOWN_AT_ONCE = 10_000
"""Domains whose receiver is remembered; after that all are looked up again."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A mailbox provider: its `domains`, and the `words` (a regular expression) by which its replies are known."""

    domains: tuple[str, ...]
    words: str


PROVIDERS: Mapping[str, Provider] = {
    "google": Provider(
        ("gmail.com", "googlemail.com"), r"gsmtp|google|gmail|(?<![\d.])[45]\.7\.(?:2[5-9]|30|32|40)(?![\d.]*\d)"
    ),
    "microsoft": Provider(
        ("outlook.*", "hotmail.*", "live.*", "msn.com", "windowslive.com", "passport.com"),
        r"outlook|hotmail|microsoft|office365|office\.com|s77[5-7]|s31[0-9]{2}|(?:sc|rp|dy|ou)-00[0-9]"
        r"|(?<![\d.])4\.7\.65\d|(?<![\d.])5\.7\.(?:60[6-9]|6[1-4]\d|7[0-9]{2})",
    ),
    "yahoo": Provider(
        ("yahoo.*", "ymail.com", "rocketmail.com", "myyahoo.com", "aol.*", "aim.com", "verizon.net", "netscape.net"),
        r"yahoo|yahooinc|aol|tss?[0-9]{2}|gl01",
    ),
    "yahoo-japan": Provider(("yahoo.co.jp", "ymail.ne.jp"), r"yahoo"),
    "apple": Provider(("icloud.com", "me.com", "mac.com"), r"icloud|apple|cs01|hm08"),
    "gmx": Provider(("gmx.*", "web.de", "mail.com", "email.de"), r"gmx|1und1|1and1|ionos|kundenserver"),
    "t-online": Provider(("t-online.de", "magenta.de"), r"t-online|telekom"),
    "orange": Provider(("orange.fr", "wanadoo.fr"), r"orange|wanadoo|ofr[0-9_]*"),
    "free": Provider(("free.fr",), r"proxad"),
    "comcast": Provider(("comcast.net",), r"comcast|xfinity"),
    "mail.ru": Provider(("mail.ru", "bk.ru", "inbox.ru", "list.ru", "internet.ru", "xmail.ru"), r"mailru"),
    "yandex": Provider(("yandex.*", "ya.ru"), r"yandex"),
    "qq": Provider(("qq.com", "foxmail.com"), r"qqmail|tencent"),
    "netease": Provider(("163.com", "126.com", "yeah.net", "vip.163.com", "188.com"), r"netease|dt:spm"),
    "proton": Provider(("proton.me", "protonmail.com", "protonmail.ch", "pm.me"), r"proton(?:mail)?"),
}
"""The receivers that are known by name."""

_RULE = re.compile(r"(?:[^\s.@*/]+\.)+(?:[^\s.@*/]+|\*)")
_REGISTRIES = frozenset({"ac", "co", "com", "edu", "gov", "ne", "net", "or", "org"})
"""Labels below a country's domain under which others register their names, as in `co.uk`."""


class Receivers:
    """The receiver of each address: a provider, a group of the settings, or the domain itself.

    A rule is a domain, which stands for those below it too, or a name under any ending: `yahoo.*`. The longest rule
    that matches counts. `groups` add to the providers' domains; a domain that they name is no other provider's.
    """

    def __init__(self, groups: Mapping[str, Sequence[str]] | None = None) -> None:
        """Raise `ValueError` for a rule that cannot be one, that matches all domains, or that is in two groups."""
        groups = groups or {}
        self._of_rule = {rule: name for name, each in PROVIDERS.items() for rule in each.domains}
        self._of_rule |= _of_rules(groups)
        self._named = frozenset(self._of_rule.values())
        self._of_domain: dict[str, str] = {}
        self._words: dict[str, re.Pattern[str]] = {}

    def of(self, address: str) -> str:
        """Return the receiver of an address."""
        domain = address.rpartition("@")[2]
        found = self._of_domain.get(domain)
        if found is None:
            if len(self._of_domain) >= KNOWN_AT_ONCE:
                self._of_domain.clear()
            found = self._of_domain[domain] = self._found(domain.lower())
        return found

    def is_named(self, receiver: str) -> bool:
        """Return whether a receiver is a provider or a group of the settings."""
        return receiver in self._named

    def are_words_of(self, receiver: str, text: str) -> bool:
        """Return whether a text, a reply or the name of a host, has words that only this receiver uses."""
        pattern = self._words.get(receiver)
        if pattern is None:
            if len(self._words) >= KNOWN_AT_ONCE:
                self._words.clear()
            pattern = self._words[receiver] = self._pattern(receiver)
        return pattern.search(text) is not None

    def _found(self, domain: str) -> str:
        labels = domain.split(".")
        for start in range(len(labels) - 1):
            name = self._of_rule.get(".".join(labels[start:]))
            if name is None and _is_ending(labels[start + 1 :]):
                name = self._of_rule.get(f"{labels[start]}.*")
            if name is not None:
                return name
        return domain

    def _pattern(self, receiver: str) -> re.Pattern[str]:
        domains = [re.escape(rule) for rule, name in self._of_rule.items() if name == receiver and "*" not in rule]
        words = PROVIDERS[receiver].words if receiver in PROVIDERS else ""
        found = "|".join(filter(None, [*domains, words])) or re.escape(receiver.removesuffix(".*"))
        return re.compile(rf"(?<![a-z0-9])(?:{found})(?![a-z0-9])", re.IGNORECASE)


def _of_rules(groups: Mapping[str, Sequence[str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, rules in groups.items():
        for written in rules:
            rule = written.strip().lower()
            if fault := _fault(rule):
                raise ValueError(f"{name}: {written!r} {fault}")
            if found.setdefault(rule, name) != name:
                raise ValueError(f"{rule} is in two groups, {found[rule]} and {name}: leave it in one of them")
    return found


def _fault(rule: str) -> str | None:
    """Return the fault of a rule, or None."""
    bare = rule.strip("*.@")
    if not bare:
        return "would match every domain: name the domains one by one, such as gmail.com"
    if _is_ending(bare.split(".")) and not rule.endswith(".*"):
        return f"would match every domain that ends in .{bare}: name the domains one by one, such as gmail.com"
    if not _RULE.fullmatch(rule):
        return "must be a domain, such as gmail.com, or a name under any ending, such as yahoo.*"
    return None


def _is_ending(labels: Sequence[str]) -> bool:
    """Return whether these last labels of a domain are what names are registered under: `com`, `de`, `co.uk`."""
    if len(labels) == 2:
        return labels[0] in _REGISTRIES and len(labels[1]) == 2
    return len(labels) == 1
