"""Files and tables that are quoted in documents, between two marks: `make quotations` quotes them again."""

import re

from tests.support import document_tables
from tests.support.paths import ROOT

QUOTING = ("CONTRIBUTING.md", "docs/architecture.md", "docs/shops.md")

LANGUAGES = {".graphql": "graphql"}
"""Languages of quoted files, by their suffixes; all others are Python."""

TABLES = {"fields-of-checkouts": document_tables.checkouts, "fields-of-others": document_tables.others}

_MARKED = re.compile(r"(<!-- begin (\S+) -->\n).*?(<!-- end \2 -->)", re.DOTALL)


def quoted(text: str) -> str:
    """Return a document with each file and table as it is now; a file that does not exist is quoted as nothing."""

    def quotation(found: re.Match[str]) -> str:
        if found[2] in TABLES:
            return f"{found[1]}{TABLES[found[2]]()}{found[3]}"
        file = ROOT / found[2]
        language = LANGUAGES.get(file.suffix, "python")
        block = f"```{language}\n{file.read_text().rstrip()}\n```\n" if file.exists() else ""
        return f"{found[1]}{block}{found[3]}"

    return _MARKED.sub(quotation, text)


if __name__ == "__main__":
    for name in QUOTING:
        (ROOT / name).write_text(quoted((ROOT / name).read_text()))
