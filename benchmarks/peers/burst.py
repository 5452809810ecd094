"""Many jobs due at one instant, a mail each."""

import tempfile
from email.parser import BytesHeaderParser
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.figures import benchmark
from benchmarks.figures.burst import burst, prepared_mails
from benchmarks.measured import Figure
from benchmarks.peers.programs import PEERS, Peer, run
from benchmarks.peers.rounds import in_turn

REACH = {"Agenda": 6.0, "arq": 2.0, "Celery": 1.5, "BullMQ": 1.15}


async def one_mail(bench: Bench) -> bytes:
    """Return a mail as ours are, with %NUMBER% in To and Message-ID, where the mails of the peers differ."""
    (_, recipient, content), *_ = await prepared_mails(bench, 1)
    message_id = BytesHeaderParser().parsebytes(content)["Message-ID"]
    for value, instead in ((recipient, "customer%NUMBER%@example.com"), (message_id, "<%NUMBER%@shop.example>")):
        if content.count(value.encode()) != 1:
            raise RuntimeError(f"{value} is not once in the mail")
        content = content.replace(value.encode(), instead.encode())
    return content


@benchmark("peers-burst", "a burst of mails due at one instant, beside the peers")
async def measure(bench: Bench) -> list[Figure]:
    """5,000 by each peer, 10,000 by ours; a peer's last mail is accepted `count / rate` seconds after it was due."""
    count = bench.size(5_000, 1_000)
    with tempfile.NamedTemporaryFile(prefix="mail-") as mail:
        mail.write(await one_mail(bench))
        mail.flush()
        again: dict[str, int] = {}

        async def theirs(peer: Peer) -> float:
            outcome = await run(bench, peer, [0.0] * count, mail=Path(mail.name))
            again[peer.name] = again.get(peer.name, 0) + outcome.again
            return count / outcome.late[-1]

        taken = await in_turn(bench, "burst", lambda: burst(bench, 2 * count), PEERS, theirs)
    notes = {name: f"{more} mails were sent again" for name, more in again.items() if more}
    return taken.figures("burst", "mails/s", float, reach=REACH, notes=notes)
