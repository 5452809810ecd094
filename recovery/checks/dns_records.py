"""Checks of a domain's mail records in the DNS: SPF, DKIM, DMARC and MX."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from recovery.checks.finding import Finding, error, ok, warning

MOST_LOOKUPS = 10
"""Limit of DNS lookups that an SPF record may need, RFC 7208 section 4.6.4."""

_LOOKUP = re.compile(r"[-+~?]?(?:include:|a(?:[:/]|$)|mx(?:[:/]|$)|ptr(?:[:/]|$)|exists:)|redirect=", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """The answer of the DNS: its records as text, perhaps none. `fault` says why the records are unknown."""

    records: tuple[str, ...] = ()
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public DKIM key to publish for mails that are signed here; `public` is the key in base64."""

    domain: str
    selector: str
    algorithm: str
    public: str

    @property
    def name(self) -> str:
        """The DNS name of the key."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        """The TXT record to publish."""
        return f"v=DKIM1; k={self.algorithm}; p={self.public}"


def upwards(domain: str) -> list[str]:
    """Return a domain and its parents, without the top-level domain."""
    labels = domain.split(".")
    return [".".join(labels[start:]) for start in range(max(len(labels) - 1, 1))]


def spf(domain: str, answer: DnsAnswer) -> Finding:
    """Check the SPF record, which lists the servers that may send for a domain, RFC 7208."""
    check = f"SPF of {domain}"
    if answer.fault:
        return _unknown(check, answer)
    records = [record for record in answer.records if record.lower().split(" ")[0] == "v=spf1"]
    if not records:
        record = "v=spf1 include:<your relay's SPF domain> ~all"
        return error(check, "There is none", f'put a TXT record at {domain}, "{record}".')
    if len(records) > 1:
        return error(check, f"There are {len(records)}, which counts as an error (RFC 7208)", "merge them into one.")
    terms = records[0].lower().split()[1:]
    if "all" in terms or "+all" in terms:
        return error(check, f'"{records[0]}" lets anybody send as {domain}', "end it in ~all.")
    if (lookups := sum(_LOOKUP.match(term) is not None for term in terms)) > MOST_LOOKUPS:
        detail = f"This record needs {lookups} DNS lookups, and receivers stop at {MOST_LOOKUPS}"
        return error(check, detail, "remove some includes.")
    if not any(term in ("~all", "-all") or term.startswith("redirect=") for term in terms):
        return warning(check, f'"{records[0]}" says nothing about other senders', "end it in ~all.")
    return ok(check, records[0])


def dkim(key: PublicKey, answer: DnsAnswer) -> Finding:
    """Check that the published DKIM key belongs to the private key that signs."""
    check = f"DKIM key at {key.name}"
    if answer.fault:
        return _unknown(check, answer)
    if len(answer.records) != 1:
        there = f"There are {len(answer.records)}" if answer.records else "There is none"
        return error(check, there, f'put one TXT record at {key.name}, "{key.record}".')
    tags = _tags(answer.records[0])
    public = re.sub(r"\s", "", tags.get("p", ""))
    if tags.get("p") == "":
        return error(check, "It is revoked (p is empty)", f'choose another selector, or publish "{key.record}".')
    if (tags.get("v", "DKIM1"), tags.get("k", "rsa"), public) != ("DKIM1", key.algorithm, key.public):
        return error(check, "It is not the public half of dkim.private_key_file", f'publish "{key.record}".')
    if "y" in tags.get("t", "").split(":"):
        return warning(check, "t=y means testing, so receivers ignore the signature", "remove t=y.")
    return ok(check, f"{key.algorithm}, matches dkim.private_key_file")


class Dmarc:
    """The DMARC record that applies to a domain: its own, or that of the nearest parent that has one."""

    def __init__(self, sender: str, answers: Mapping[str, DnsAnswer]) -> None:
        self._sender = sender
        self.domain = sender
        self.tags: Mapping[str, str] = {}
        self._count = 0
        self._failed: DnsAnswer | None = None
        for domain in upwards(sender):
            answer = answers[domain]
            self._failed = self._failed or (answer if answer.fault else None)
            records = [_tags(record) for record in answer.records]
            if found := [tags for tags in records if tags.get("v") == "DMARC1" and tags.get("psd") != "y"]:
                self.domain, self.tags, self._count = domain, found[0], len(found)
                return

    def finding(self) -> Finding:
        """Check the record and its policy."""
        check = f"DMARC of {self._sender}"
        own = self.domain == self._sender
        policy = self.tags.get("p" if own or "sp" not in self.tags else "sp", "").lower()
        if not self.tags:
            if self._failed:
                return _unknown(check, self._failed)
            record = f"v=DMARC1; p=none; rua=mailto:dmarc@{self.domain}"
            return error(
                check,
                "There is none, and large providers require one from senders of many mails",
                f'put a TXT record at _dmarc.{self.domain}, "{record}".',
            )
        if self._count > 1:
            return error(check, f"There are {self._count} at _dmarc.{self.domain}, so none counts", "keep one.")
        if policy not in ("none", "quarantine", "reject"):
            detail = f"{policy!r} at _dmarc.{self.domain} is not a valid policy"
            return error(check, detail, "use none, quarantine or reject.")
        return ok(check, f"policy {policy}, at _dmarc.{self.domain}")

    def aligned(self, other: str, mode: str) -> bool:
        """Return whether a domain is aligned with the sender's. `mode` is the tag that may require the same domain.

        The organizational domain is the one with the DMARC record, instead of one by a list of public suffixes.
        """
        if self.tags.get(mode) == "s" or other == self._sender:
            return other == self._sender
        return all(_within(domain, self.domain) for domain in (other, self._sender)) or _within(self._sender, other)


def mx(domain: str, mail: str, answer: DnsAnswer) -> Finding:
    """Check that a domain has an MX record; `mail` is the kind of mail sent to it, such as "bounces"."""
    check = f"{domain} takes mail"
    if answer.fault:
        return _unknown(check, answer)
    hosts = [record.split()[-1].rstrip(".") for record in answer.records]
    if not any(hosts):
        return error(check, f"It has no mail server (MX record), so {mail} would get lost", "add an MX record.")
    return ok(check, f"{mail}, by {', '.join(hosts)}")


def _unknown(check: str, answer: DnsAnswer) -> Finding:
    return warning(check, f"Could not be checked, since {answer.fault}", "try again, or ask the operator of the DNS.")


def _within(domain: str, above: str) -> bool:
    return domain == above or domain.endswith(f".{above}")


def _tags(record: str) -> dict[str, str]:
    """Return the tags of a record such as `v=DMARC1; p=none` (RFC 6376 section 3.2)."""
    parts = (part.partition("=") for part in record.split(";"))
    return {name.strip(): value.strip() for name, _, value in parts if name.strip()}
