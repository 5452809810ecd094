"""Files that are quoted in documents, between two marks: `python -m tests.support.quotations` quotes them again."""

import re

from tests.support.paths import ROOT

QUOTING = ("CONTRIBUTING.md",)

_MARKED = re.compile(r"(<!-- begin (\S+) -->\n).*?(<!-- end \2 -->)", re.DOTALL)


def quoted(text: str) -> str:
    """Return a document with each file as it is now; one that does not exist is quoted as nothing."""

    def quotation(found: re.Match[str]) -> str:
        file = ROOT / found[2]
        block = f"```python\n{file.read_text().rstrip()}\n```\n" if file.exists() else ""
        return f"{found[1]}{block}{found[3]}"

    return _MARKED.sub(quotation, text)


if __name__ == "__main__":
    for name in QUOTING:
        (ROOT / name).write_text(quoted((ROOT / name).read_text()))
