"""What is wrong with the mails, all at once: for whoever writes templates, before any customer sees them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import jinja2
from jinja2 import meta, nodes

from recovery.domain.schedule import Step
from recovery.mail.templates import samples
from recovery.mail.templates.files import File, Files, TemplateError
from recovery.mail.templates.sandbox import GLOBALS, NAMES, Sandbox, told
from recovery.mail.templates.templates import Edition, Rendered
from recovery.mail.templates.words import FILE, Words

LONGEST_HTML = 102_000
"""Bytes of HTML after which Gmail clips a mail, and with it the link to unsubscribe."""

_LINKS = {"href", "src", "srcset", "background", "action", "formaction", "poster", "data", "xlink:href"}
_SCHEMES = ("https:", "http:", "mailto:", "tel:", "#")
_MEND_NAME = f"Use one of {', '.join(sorted(NAMES))}, or set it in the template."


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, with its file and line, and how to mend it. A warning keeps nothing from being sent."""

    fault: str
    mend: str
    is_warning: bool = False


def lint(folder: Path | None, steps: Iterable[Step]) -> list[Finding]:
    """Return all that is wrong with the mails of these steps in every language, each once."""
    try:
        files = Files(folder)
        edition = Edition(files, "UTC")
        found = [
            finding
            for step in steps
            for locale in ("en", *files.locales)
            for finding in _mail(edition, files, step, locale)
        ]
        found += _missing_words(files, {step.template for step in steps})
    except TemplateError as fault:
        return [Finding(str(fault), "Mend the file; the others are looked at after that.")]
    return list({finding.fault: finding for finding in reversed(found)}.values())[::-1]


def _mail(edition: Edition, files: Files, step: Step, locale: str) -> Iterator[Finding]:
    chain = files.chain(locale)
    sandbox = edition.sandbox(step.template, chain)
    sources: list[File] = []
    for ending in ("txt.j2", "html.j2"):
        try:
            read = _read(sandbox, files, f"{step.template}.{ending}", chain)
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is told
            yield Finding(str(told(exc, f"{step.template}.{ending}")), "Mend it there.")
            return
        sources += [file for file, _ in read]
        yield from _undefined(read)
    cases = {"the sample": samples.of(step.name, locale), **dict(samples.awkward(step.name, locale))}
    for what, checkout in cases.items():
        unsubscribe = samples.UNSUBSCRIBE_URL if step.kind.is_marketing else None
        try:
            mail = edition.render(step, checkout, checkout.facts.checkout_url, unsubscribe)
        except TemplateError as fault:
            yield Finding(
                str(fault), f"Mend it there, with an {{% if %}} around what may be missing; seen with {what}."
            )
        else:
            yield from _judged(step, sources, mail, unsubscribe)


def _read(sandbox: Sandbox, files: Files, name: str, chain: tuple[str, ...]) -> list[tuple[File, nodes.Template]]:
    """Return a template and all that it is made of, the template itself first."""
    if not (found := files.all(name, chain)):
        raise jinja2.TemplateNotFound(name)
    file = found[0]
    tree = sandbox.parse(file.text, name, str(file.path))
    parts = [part for part in meta.find_referenced_templates(tree) if part is not None]
    return [(file, tree), *(each for part in parts for each in _read(sandbox, files, part, chain))]


def _undefined(read: list[tuple[File, nodes.Template]]) -> Iterator[Finding]:
    """Find names that no mail has, wherever they stand: also where no sample comes by."""
    made = {name.name for _, tree in read for name in tree.find_all(nodes.Name) if name.ctx == "store"}
    for file, tree in read:
        undefined = meta.find_undeclared_variables(tree) - NAMES - GLOBALS.keys() - made
        for name in tree.find_all(nodes.Name):
            if name.name in undefined:
                yield Finding(f"{file.path}, line {name.lineno}: {name.name!r} is undefined", _MEND_NAME)


def _judged(step: Step, sources: list[File], mail: Rendered, unsubscribe: str | None) -> Iterator[Finding]:
    text, html = (next(file for file in sources if file.path.name.endswith(ending)) for ending in ("txt.j2", "html.j2"))
    links = _Links(mail.html)
    if not mail.text.strip():
        yield Finding(f"{text.path}: {step.name} has no text", "Write the mail in plain text too: many read no other.")
    if unsubscribe and unsubscribe not in mail.text:
        yield _no_way_out(text, "{{ unsubscribe_url }}")
    if unsubscribe and ("a", "href", unsubscribe) not in links.seen:
        yield _no_way_out(html, '<a href="{{ unsubscribe_url }}">')
    if (size := len(mail.html.encode())) > LONGEST_HTML:
        fault = f"{html.path}: {step.name} can be {size} bytes long, and Gmail clips after {LONGEST_HTML}"
        yield Finding(fault, "Show fewer items, as in items[:12], or lighten the style sheet.")
    for tag, attribute, value in links.seen:
        if (unfit := _unfit(tag, attribute, value)) is not None:
            where = _place(sources, value or attribute or f"<{tag}", html)
            yield Finding(f"{where}: {unfit}", "Mail programs drop or distrust it: use an address with https://.")


def _no_way_out(file: File, mend: str) -> Finding:
    return Finding(
        f"{file.path}: a reminder without the link to unsubscribe",
        f"Write {{% if unsubscribe_url %}}{mend}{{% endif %}} at its end, or extend the layout, which has it.",
    )


class _Links(HTMLParser):
    """All that leads out of a page or runs in it: elements with their attributes and values."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, str, str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "script":
            self.seen.append((tag, "", ""))
        self.seen += [(tag, name, value or "") for name, value in attrs if name in _LINKS or name.startswith("on")]


def _unfit(tag: str, attribute: str, value: str) -> str | None:
    if tag == "script":
        return "there is a script"
    if attribute.startswith("on"):
        return f"{attribute} is a script"
    if not value.strip().lower().startswith(_SCHEMES):
        return f"{attribute}={value!r} is no address that a mail can lead to"
    return None


def _place(sources: list[File], needle: str, otherwise: File) -> str:
    """Return the file and line where something is written that stands in a mail, or the file that it comes from."""
    for file in sources:
        for number, line in enumerate(file.text.splitlines(), 1):
            if needle.lower() in line.lower():
                return f"{file.path}, line {number}"
    return str(otherwise.path)


def _missing_words(files: Files, mails: set[str]) -> Iterator[Finding]:
    """Warn of words that a language leaves to the words for all, which are in another language."""
    common = Words(files, ("",)).keys()
    for locale in files.locales:
        chain = files.chain(locale)[:-1]
        if not (own := files.all(FILE, chain)):
            continue
        missing = sorted(common - Words(files, chain).keys())
        for mail in sorted({mail for mail, _ in missing if mail in mails or not mail}):
            keys = ", ".join(key for of, key in missing if of == mail)
            yield Finding(
                f"{own[0].path}: no {keys} for {mail or 'all mails'} in {locale}",
                f"Add what is missing{f' below [{mail}]' if mail else ' above the first table'}; until then the mail"
                f" takes it from {FILE}, in another language.",
                is_warning=True,
            )
