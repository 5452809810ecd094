"""DNS lookups that distinguish "no record" from "no answer"."""

from typing import Any

import dns.asyncresolver
import dns.exception
import dns.resolver
from dns.rdtypes.txtbase import TXTBase

from recovery.checks.dns_records import DnsAnswer
from recovery.checks.rules import Question

TIMEOUT = 3.0
"""Seconds that one question may take, over all servers."""


async def look_up(question: Question, server: tuple[str, int] | None = None, timeout: float = TIMEOUT) -> DnsAnswer:
    """Return the records from this machine's resolver, or from the DNS server at this address."""
    name, kind = question
    try:
        resolver = dns.asyncresolver.Resolver(configure=server is None)
        if server is not None:
            resolver.nameservers, resolver.port = [server[0]], server[1]
        found = await resolver.resolve(f"{name}.", kind, lifetime=timeout)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return DnsAnswer()
    except dns.exception.Timeout:
        return DnsAnswer(fault=f"the DNS did not answer for {name} within {timeout:g} s")
    except dns.resolver.NoNameservers:
        return DnsAnswer(fault=f"the DNS servers of {name} answer with an error")
    except (dns.exception.DNSException, OSError) as exc:
        return DnsAnswer(fault=f"the DNS lookup of {name} failed ({exc})")
    return DnsAnswer(tuple(_text(record) for record in found))


def _text(record: Any) -> str:
    """Return a record as text; several strings are joined (RFC 7208 section 3.3)."""
    if isinstance(record, TXTBase):
        return b"".join(record.strings).decode(errors="replace")
    return str(record.to_text())
