"""What a domain's records in the DNS say of its mail: SPF, DKIM, DMARC and MX."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from recovery.checks.finding import Finding

MOST_LOOKUPS = 10
"""Terms of an SPF record that have receivers ask the DNS again, RFC 7208 section 4.6.4."""

_LOOKUP = re.compile(r"[-+~?]?(?:include:|a(?:[:/]|$)|mx(?:[:/]|$)|ptr(?:[:/]|$)|exists:)|redirect=", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the DNS answers: records as text, none where there are none. `fault` says why nothing is known."""

    records: tuple[str, ...] = ()
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What the DNS must say for mails that are signed here. `public` is the key in base64."""

    domain: str
    selector: str
    algorithm: str
    public: str

    @property
    def name(self) -> str:
        """Where the key stands."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        """What stands there."""
        return f"v=DKIM1; k={self.algorithm}; p={self.public}"


def upwards(domain: str) -> list[str]:
    """Return a domain and those above it, but for the top."""
    labels = domain.split(".")
    return [".".join(labels[start:]) for start in range(max(len(labels) - 1, 1))]


def spf(domain: str, answer: Answer) -> Finding:
    """Judge who may send for a domain, RFC 7208."""
    what = f"SPF of {domain}"
    if answer.fault:
        return _untold(what, answer)
    records = [record for record in answer.records if record.lower().split(" ")[0] == "v=spf1"]
    if not records:
        return Finding(
            what,
            f'There is none: put a TXT record at {domain}, "v=spf1 include:<what your relay tells you> ~all".',
        )
    if len(records) > 1:
        return Finding(what, f"There are {len(records)}, which counts as an error (RFC 7208): make them one.")
    terms = records[0].lower().split()[1:]
    if "all" in terms or "+all" in terms:
        return Finding(what, f'"{records[0]}" lets anybody send as {domain}: end it in ~all.')
    if (lookups := sum(_LOOKUP.match(term) is not None for term in terms)) > MOST_LOOKUPS:
        return Finding(what, f"It has receivers ask {lookups} times, and they stop at {MOST_LOOKUPS}: leave some out.")
    if not any(term in ("~all", "-all") or term.startswith("redirect=") for term in terms):
        return Finding(what, doubt=f'"{records[0]}" says nothing of other senders: end it in ~all.')
    return Finding(what, note=records[0])


def dkim(key: PublicKey, answer: Answer) -> Finding:
    """Judge whether what signed mails are verified by is the key that they are signed with."""
    what = f"DKIM key at {key.name}"
    if answer.fault:
        return _untold(what, answer)
    if len(answer.records) != 1:
        there = f"There are {len(answer.records)}" if answer.records else "There is none"
        return Finding(what, f'{there}: put one TXT record at {key.name}, "{key.record}".')
    tags = _tags(answer.records[0])
    public = re.sub(r"\s", "", tags.get("p", ""))
    if tags.get("p") == "":
        return Finding(what, f'It is revoked (p is empty): choose another selector, or publish "{key.record}".')
    if (tags.get("v", "DKIM1"), tags.get("k", "rsa"), public) != ("DKIM1", key.algorithm, key.public):
        return Finding(what, f'It is not the public half of dkim.private_key_file, which is "{key.record}".')
    if "y" in tags.get("t", "").split(":"):
        return Finding(what, doubt="t=y says that you are testing, so receivers do not count it: take t=y out.")
    return Finding(what, note=f"{key.algorithm}, matches dkim.private_key_file")


class Dmarc:
    """The DMARC record that holds for a domain, out of the answers for it and those above: the nearest."""

    def __init__(self, sender: str, answers: Mapping[str, Answer]) -> None:
        self._sender = sender
        self.domain = sender
        self.tags: Mapping[str, str] = {}
        self._count = 0
        self._unknown: Answer | None = None
        for domain in upwards(sender):
            answer = answers[domain]
            self._unknown = self._unknown or (answer if answer.fault else None)
            records = [_tags(record) for record in answer.records]
            if found := [tags for tags in records if tags.get("v") == "DMARC1" and tags.get("psd") != "y"]:
                self.domain, self.tags, self._count = domain, found[0], len(found)
                return

    def finding(self) -> Finding:
        """Return what is to be said of it."""
        what = f"DMARC of {self._sender}"
        own = self.domain == self._sender
        policy = self.tags.get("p" if own or "sp" not in self.tags else "sp", "").lower()
        if not self.tags:
            if self._unknown:
                return _untold(what, self._unknown)
            return Finding(
                what,
                "There is none, and large providers want one of whoever sends many mails: put a TXT record at"
                f' _dmarc.{self.domain}, "v=DMARC1; p=none; rua=mailto:dmarc@{self.domain}".',
            )
        if self._count > 1:
            return Finding(what, f"There are {self._count} at _dmarc.{self.domain}, so none counts: leave one.")
        if policy not in ("none", "quarantine", "reject"):
            return Finding(what, f"{policy!r} at _dmarc.{self.domain} is no policy: say none, quarantine or reject.")
        return Finding(what, note=f"policy {policy}, at _dmarc.{self.domain}")

    def aligned(self, other: str, mode: str) -> bool:
        """Return whether a domain counts as the sender's own. `mode` is the tag that may ask for the very same.

        Where two domains part is told by the DMARC record rather than a list of public suffixes.
        """
        if self.tags.get(mode) == "s" or other == self._sender:
            return other == self._sender
        return all(_within(domain, self.domain) for domain in (other, self._sender)) or _within(self._sender, other)


def mx(domain: str, what: str, answer: Answer) -> Finding:
    """Judge whether a domain takes mail: `what` it is that would come there."""
    title = f"{domain} takes mail"
    if answer.fault:
        return _untold(title, answer)
    hosts = [record.split()[-1].rstrip(".") for record in answer.records]
    if not any(hosts):
        return Finding(title, f"It names no host for mail (MX), so {what} would get lost: name one.")
    return Finding(title, note=f"{what}, by {', '.join(hosts)}")


def _untold(what: str, answer: Answer) -> Finding:
    return Finding(what, doubt=f"This could not be told: {answer.fault}")


def _within(domain: str, above: str) -> bool:
    return domain == above or domain.endswith(f".{above}")


def _tags(record: str) -> dict[str, str]:
    """Return the tags of a record such as `v=DMARC1; p=none` (RFC 6376 section 3.2)."""
    parts = (part.partition("=") for part in record.split(";"))
    return {name.strip(): value.strip() for name, _, value in parts if name.strip()}
