"""A DNS server for tests: it answers over UDP with the given records, with an error, or not at all."""

import asyncio
from collections.abc import Mapping, Sequence
from types import TracebackType

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

SILENCE = "silence"
ERROR = "error"


class DnsServer(asyncio.DatagramProtocol):
    """Serves records by name and type on a free port of the loopback; an async context manager.

    Records are as in a zone file, or `SILENCE` or `ERROR`. What is not there does not exist.
    """

    def __init__(self, records: Mapping[tuple[str, str], Sequence[str] | str]) -> None:
        self._records = {(f"{name}.", kind): found for (name, kind), found in records.items()}
        self.address = ("127.0.0.1", 0)

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport
        self.address = transport.get_extra_info("sockname")

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        (question,) = query.question
        name, kind = str(question.name), dns.rdatatype.to_text(question.rdtype)
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        found = self._records.get((name, kind), ())
        if found == SILENCE:
            return
        if found == ERROR:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif found:
            response.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *found))
        elif not any(name == known for known, _ in self._records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        self._transport.sendto(response.to_wire(), addr)

    async def __aenter__(self) -> "DnsServer":
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, ("127.0.0.1", 0))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._transport.close()
