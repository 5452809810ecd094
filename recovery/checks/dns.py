"""Asking the DNS: no record and no answer are two things."""

from typing import Any

import dns.asyncresolver
import dns.exception
import dns.resolver
from dns.rdtypes.txtbase import TXTBase

from recovery.checks.dns_records import Answer
from recovery.checks.rules import Question

PATIENCE = 3.0
"""Seconds that one question may take, whatever servers are asked for it."""


async def look_up(question: Question, server: tuple[str, int] | None = None) -> Answer:
    """Return what the DNS says: asked of the servers that this machine is set to, or of the one at this address."""
    name, kind = question
    try:
        resolver = dns.asyncresolver.Resolver(configure=server is None)
        if server is not None:
            resolver.nameservers, resolver.port = [server[0]], server[1]
        found = await resolver.resolve(f"{name}.", kind, lifetime=PATIENCE)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return Answer()
    except dns.exception.Timeout:
        return Answer(fault=f"the DNS did not answer for {name} within {PATIENCE:g} s; try again.")
    except dns.resolver.NoNameservers:
        return Answer(fault=f"the servers of {name} answer with an error; try again, or ask whoever runs them.")
    except (dns.exception.DNSException, OSError) as exc:
        return Answer(fault=f"the DNS cannot be asked for {name}: {exc}")
    return Answer(tuple(_text(record) for record in found))


def _text(record: Any) -> str:
    """Return a record as text; what stands in several strings is one (RFC 7208 section 3.3)."""
    if isinstance(record, TXTBase):
        return b"".join(record.strings).decode(errors="replace")
    return str(record.to_text())
