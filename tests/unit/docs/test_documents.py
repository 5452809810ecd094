"""The documents name what there is: rooms, log events, files."""

import ast
import re
import tomllib
from pathlib import Path

from tests.support import log_events, quotations
from tests.support.paths import ROOT

AGAIN = "run: make logs"


def test_every_log_event_has_a_meaning():
    """docs/logs.toml explains each event that the code logs, and no other."""
    explained = set(tomllib.loads((ROOT / "docs/logs.toml").read_text()))
    logged = {event.name for event in log_events.found()}
    assert {"without a meaning": logged - explained, "not logged": explained - logged} == {
        "without a meaning": set(),
        "not logged": set(),
    }


def test_the_page_of_log_events_is_up_to_date():
    """docs/logs.md is what `make logs` writes."""
    assert (ROOT / "docs/logs.md").read_text() == log_events.page(), AGAIN


def test_the_scan_finds_a_chosen_level_too():
    """A logger's method that was put into a variable, as the watcher does, is found at each of its levels."""
    levels = {event.level for event in log_events.found() if event.file == "recovery/daemon/watcher.py"}
    assert levels == {"info", "warning"}


def _imports_between_rooms() -> set[tuple[str, str]]:
    found = set()
    for file in (ROOT / "recovery").rglob("*.py"):
        room = file.relative_to(ROOT / "recovery").parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                modules = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found |= {(room, module.split(".")[1]) for module in modules if module.startswith("recovery.")}
    return {(room, other) for room, other in found if room != other and not room.startswith("__")}


def _reachable(arrows: set[tuple[str, str]], room: str) -> set[str]:
    nearest = {end for begin, end in arrows if begin == room}
    return nearest.union(*(_reachable(arrows, other) for other in nearest))


def test_the_picture_of_the_rooms_is_true():
    """Each arrow in docs/architecture.md is an import, each import a way along the arrows, and no room is left out."""
    picture = re.search(r"```mermaid\nflowchart(.*?)```", (ROOT / "docs/architecture.md").read_text(), re.DOTALL)[1]
    arrows = set(re.findall(r"^ +(\w+)(?:\[.*?\])? --> (\w+)", picture, re.MULTILINE))
    imports = _imports_between_rooms()
    assert arrows <= imports
    assert {(room, other) for room, other in imports if other not in _reachable(arrows, room)} == set()
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    rooms = {room for layer in contract["layers"] for room in layer.split(" | ")}
    assert {room for arrow in arrows for room in arrow} == rooms


def _files_named(page: str) -> set[str]:
    """Return the files and folders of this repository that a page names, in its links and as code."""
    text = (ROOT / page).read_text()
    links = {(ROOT / page).parent / name for name in re.findall(r"\]\(((?!http)[^)#]+)", text)}
    code = {ROOT / name for name in re.findall(r"`((?:recovery|tests|docs|config|scripts)/[\w./-]+)`", text)}
    return {path.resolve().relative_to(ROOT).as_posix() for path in links | code}


def test_every_file_that_a_document_names_exists():
    """Links and paths in the documents lead somewhere."""
    pages = [
        *(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")),
        *(page.name for page in ROOT.glob("*.md")),
    ]
    gone = {page: sorted(name for name in _files_named(page) if not (ROOT / name).exists()) for page in pages}
    assert {page: names for page, names in gone.items() if names} == {}


FIELD_TERMS = {
    "idempotent", "at-least-once", "outbox", "lease", "fencing token", "dead letter", "backoff", "circuit breaker",
    "leader", "VERP", "DSN", "FBL", "tombstone", "bulkhead", "congestion window",
}  # fmt: skip
"""Terms of the field: a reader searches the code for them."""

TERMS = FIELD_TERMS | {
    "checkout", "order", "step", "reminder", "confirmation", "shadow", "look", "sweep", "lane", "share", "suppression",
    "claim", "completion", "expirer", "flight", "outcome", "plan", "report", "schedule",
}  # fmt: skip
"""What docs/glossary.md must explain."""


def _glossary() -> dict[str, str]:
    text = (ROOT / "docs/glossary.md").read_text()
    return dict(re.findall(r"^\*\*(.+?)\*\* — (.*?)(?=\n\n|\Z)", text, re.MULTILINE | re.DOTALL))


def _docstrings(file: str) -> str:
    """Return all texts of a Python file that stand by themselves: docstrings, also those below a constant."""
    nodes = (node for node in ast.walk(ast.parse((ROOT / file).read_text())) if isinstance(node, ast.Expr))
    return "\n".join(str(node.value.value) for node in nodes if isinstance(node.value, ast.Constant))


def test_the_files_that_the_glossary_names_use_its_terms():
    """Each term of the field is in a docstring of the first file that its entry names: searching finds it there."""
    first = {term: re.findall(r"`(recovery/[\w./]+)`", _glossary()[term])[0] for term in FIELD_TERMS}
    said = {term: " ".join(_docstrings(file).split()).lower() for term, file in first.items()}
    assert {term: first[term] for term in FIELD_TERMS if term.lower() not in said[term]} == {}


def test_the_glossary_explains_each_term_and_says_where_it_is_defined():
    """Each term of the list has an entry, and each entry ends with a file that there is."""
    entries = _glossary()
    assert TERMS - entries.keys() == set()
    for term, entry in entries.items():
        (files,) = re.findall(r"\(((?:`[\w./]+`,?\s*)+)\)$", entry.strip()) or [""]
        named = re.findall(r"`([\w./]+)`", files)
        assert named, term
        assert [name for name in named if not (ROOT / name).exists()] == [], term


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_within_the_documents_leads_to_a_heading():
    """A link with an anchor names a heading that its page has."""
    lost = []
    for page in [*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")]:
        for name, anchor in re.findall(r"\]\(((?!http)[^)#]*)#([^)]+)\)", page.read_text()):
            target = page.parent / name if name else page
            if target.suffix == ".md" and anchor not in _anchors(target):
                lost.append(f"{page.name}: {name}#{anchor}")
    assert lost == []


def test_what_is_quoted_is_what_the_file_says():
    """A file or table that a document quotes is quoted as it is now: `make quotations` does it."""
    for name in quotations.QUOTING:
        text = (ROOT / name).read_text()
        assert text == quotations.quoted(text), name
