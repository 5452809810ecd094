"""How collected bounces are read, by the family of the mail system that wrote them.

`python -m tests.support.bounce_families` prints the table of docs/guarantees.md.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from recovery.mail.bounces import NoReport, read

COLLECTED = Path(__file__).parents[3] / "shared" / "data" / "bounces"

FAMILIES = {
    "Postfix": "lhost-postfix",
    "Sendmail": "lhost-sendmail lhost-v5sendmail",
    "Exim": "lhost-exim",
    "qmail": "lhost-qmail",
    "OpenSMTPD": "lhost-opensmtpd",
    "DragonFly": "lhost-dragonfly",
    "Amazon SES, WorkMail": "lhost-amazonses lhost-amazonworkmail lhost-receivingses",
    "Gmail, Google Workspace": "lhost-gmail lhost-gsuite lhost-googlegroups rhost-google",
    "Microsoft": "lhost-office365 lhost-outlook lhost-exchange2003 lhost-exchange2007 rhost-microsoft",
    "Yahoo, AOL": "lhost-yahoo lhost-aol rhost-yahooinc lhost-x2",
    "Mail.ru, Yandex, Zoho, GMX": "lhost-mailru lhost-yandex lhost-zoho lhost-gmx",
    "RFC 3464, unknown software": "rfc3464",
    "complaints (ARF, JMRP)": "arf",
    "automatic replies": "rfc3834",
}


@dataclass(frozen=True, slots=True)
class Collected:
    """A collected mail, and what it is: `hard`, `soft`, `hard+soft` (several addresses), `complaint` or `ignore`."""

    path: Path
    kind: str

    def read(self) -> set[str]:
        """Return the kinds of what is read from it; none if it is not a report."""
        try:
            return {found.kind.value for found in read(self.path.read_bytes())}
        except NoReport:
            return set()

    def is_right(self, found: set[str]) -> bool:
        """Return whether these kinds are right: of what is soft, also `blocked`, which suppresses nobody either."""
        match self.kind:
            case "ignore":
                return not found
            case "soft":
                return bool(found) and found <= {"soft", "blocked"}
            case "hard+soft":
                return bool(found) and found <= {"soft", "hard"}
            case _:
                return found == {self.kind}

    @property
    def family(self) -> str:
        """The family of the mail system."""
        name = self.path.stem.rpartition("-")[0]
        return next((family for family, names in FAMILIES.items() if name in names.split()), "others")


@dataclass(slots=True)
class Tally:
    """The count of a family's mails."""

    mails: int = 0
    right: int = 0
    missed_hard: int = 0
    false_hard: int = 0
    unread: int = 0
    wrong: list[str] = field(default_factory=list)


def collected_in(folder: Path) -> Iterator[Collected]:
    """Yield the mails of a folder with `expected.tsv`."""
    with (folder / "expected.tsv").open(newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            yield Collected(folder / row["file"], row["kind"])


def tallied(folder: Path) -> dict[str, Tally]:
    """Return the count of each family, and of `all`."""
    tallies = {family: Tally() for family in (*FAMILIES, "others", "all")}
    for mail in collected_in(folder):
        found = mail.read()
        for tally in (tallies[mail.family], tallies["all"]):
            tally.mails += 1
            tally.right += mail.is_right(found)
            tally.missed_hard += mail.kind == "hard" and "hard" not in found
            tally.false_hard += "hard" in found and "hard" not in mail.kind
            tally.unread += not found and mail.kind != "ignore"
            if not mail.is_right(found):
                tally.wrong.append(f"{mail.path.name}: {mail.kind}, read as {sorted(found)}")
    return tallies


def table(folder: Path) -> str:
    """Return the table in Markdown."""
    lines = [
        "| family | mails | right | dead address missed | called dead wrongly | unread |",
        "|---|---|---|---|---|---|",
    ]
    for family, tally in tallied(folder).items():
        if tally.mails:
            share = 100 * tally.right // tally.mails
            cells = tally.mails, f"{tally.right} ({share} %)", tally.missed_hard, tally.false_hard, tally.unread
            lines.append(f"| {family} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(COLLECTED))
