"""Lint of the mail templates: all faults at once, for template authors, before any customer sees a mail."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from unicodedata import bidirectional

import jinja2
from jinja2 import meta, nodes

from recovery.domain.schedule import Step
from recovery.domain.state import CheckoutState
from recovery.mail.templates import samples
from recovery.mail.templates.files import File, Files, TemplateError
from recovery.mail.templates.isolation import not_isolated
from recovery.mail.templates.sandbox import GLOBALS, NAMES, Sandbox, as_template_error
from recovery.mail.templates.templates import Edition, Rendered
from recovery.mail.templates.words import FILE, LANGUAGE, PAGES, Words, file_of

LONGEST_HTML = 102_000
"""Bytes of HTML after which Gmail clips a mail, and with it the unsubscribe link."""

_LINKS = {"href", "src", "srcset", "background", "action", "formaction", "poster", "data", "xlink:href"}
_SCHEMES = ("https:", "http:", "mailto:", "tel:", "#")
_FIX_NAME = f"Use one of {', '.join(sorted(NAMES))}, or set it in the template."


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `detail` says where (file and line) and what, `fix` what to do. A warning stops no mail."""

    detail: str
    fix: str
    is_warning: bool = False


def lint(folder: Path | None, steps: Iterable[Step]) -> list[Fault]:
    """Return all faults in the mails of these steps, in every language, each once."""
    try:
        files = Files(folder)
        edition = Edition(files, "UTC")
        found = [
            fault
            for step in steps
            for locale in ("en", *files.locales)
            for fault in _mail(edition, files, step, locale)
        ]
        found += _missing_words(files, {step.template for step in steps})
        found += _words_not_for_all(files, folder)
        edition.pages.check()
    except TemplateError as error:
        return [Fault(str(error), "Fix this file first; the other files are checked after that.")]
    return list({fault.detail: fault for fault in reversed(found)}.values())[::-1]


def lint_mail(files: Files, step: Step, locale: str) -> list[Fault]:
    """Return the faults in one mail in one language, each once."""
    try:
        found = list(_mail(Edition(files, "UTC"), files, step, locale))
    except TemplateError as error:
        return [Fault(str(error), "Fix this file first; the mail is checked after that.")]
    return list({fault.detail: fault for fault in reversed(found)}.values())[::-1]


def _mail(edition: Edition, files: Files, step: Step, locale: str) -> Iterator[Fault]:
    chain = files.chain(locale)
    sandbox = edition.sandbox(step.template, chain)
    sources: list[File] = []
    for ending in ("txt.j2", "html.j2"):
        try:
            read = read_templates(sandbox, files, f"{step.template}.{ending}", chain)
        except Exception as exc:  # noqa: BLE001 - any error is reported
            yield Fault(str(as_template_error(exc, f"{step.template}.{ending}")), "Fix it there.")
            return
        sources += [file for file, _ in read]
        yield from _undefined(read)
    cases = {"the sample": samples.of(step.name, locale), **dict(samples.awkward(step.name, locale))}
    for what, checkout in cases.items():
        unsubscribe = samples.UNSUBSCRIBE_URL if step.kind.is_marketing else None
        try:
            mail = edition.render(step, checkout, checkout.facts.checkout_url, unsubscribe)
        except TemplateError as error:
            yield Fault(str(error), f"Fix it there, with an {{% if %}} around what may be missing; seen with {what}.")
        else:
            yield from _judged(step, sources, mail, unsubscribe)
            yield from _turned(sources, mail, checkout)


def read_templates(
    sandbox: Sandbox, files: Files, name: str, chain: tuple[str, ...]
) -> list[tuple[File, nodes.Template]]:
    """Return a template and all templates that it includes or extends, the template itself first."""
    if not (found := files.all(name, chain)):
        raise jinja2.TemplateNotFound(name)
    file = found[0]
    tree = sandbox.parse(file.text, name, str(file.path))
    parts = [part for part in meta.find_referenced_templates(tree) if part is not None]
    return [(file, tree), *(each for part in parts for each in read_templates(sandbox, files, part, chain))]


def _undefined(read: list[tuple[File, nodes.Template]]) -> Iterator[Fault]:
    """Yield undefined names, also in branches that no sample reaches."""
    made = {name.name for _, tree in read for name in tree.find_all(nodes.Name) if name.ctx == "store"}
    for file, tree in read:
        undefined = meta.find_undeclared_variables(tree) - NAMES - GLOBALS.keys() - made
        for name in tree.find_all(nodes.Name):
            if name.name in undefined:
                yield Fault(f"{file.path}, line {name.lineno}: {name.name!r} is undefined", _FIX_NAME)


def _judged(step: Step, sources: list[File], mail: Rendered, unsubscribe: str | None) -> Iterator[Fault]:
    text, html = (next(file for file in sources if file.path.name.endswith(ending)) for ending in ("txt.j2", "html.j2"))
    links = _Links(mail.html)
    if not mail.text.strip():
        yield Fault(
            f"{text.path}: {step.name} has no text", "Write the mail in plain text too: many read nothing else."
        )
    if unsubscribe and unsubscribe not in mail.text:
        yield _no_unsubscribe(text, "{{ unsubscribe_url }}")
    if unsubscribe and ("a", "href", unsubscribe) not in links.seen:
        yield _no_unsubscribe(html, '<a href="{{ unsubscribe_url }}">')
    if (size := len(mail.html.encode())) > LONGEST_HTML:
        fault = f"{html.path}: {step.name} can be {size} bytes long, and Gmail clips after {LONGEST_HTML}"
        yield Fault(fault, "Show fewer items, as in items[:12], or shorten the style sheet.")
    for tag, attribute, value in links.seen:
        if (unfit := _unfit(tag, attribute, value)) is not None:
            where = _place(sources, value or attribute or f"<{tag}", html)
            yield Fault(f"{where}: {unfit}", "Mail programs drop or distrust it: use a link with https://.")


def _turned(sources: list[File], mail: Rendered, checkout: CheckoutState) -> Iterator[Fault]:
    """Yield a warning for each name from right to left that would turn the text around it."""
    customer, items = checkout.facts.customer, checkout.facts.items
    named = [(customer and customer.name, "customer.name")]
    named += [(item.name, "item.name") for item in items] + [(item.variant, "item.variant") for item in items]
    fields = {text: field for text, field in named if text and bidirectional(text[0]) in ("R", "AL")}
    pages = [file for file in sources if file.path.name.endswith("html.j2")]
    for field in (fields[text] for text in not_isolated(mail.html, fields)):
        where = _place(pages, f"{field.removeprefix('item')} }}}}", pages[0])
        yield Fault(
            f"{where}: {field} without <bdi> around it",
            f"Write <bdi>{{{{ {field} }}}}</bdi>, or a name from right to left turns the text beside it.",
            is_warning=True,
        )


def _no_unsubscribe(file: File, link: str) -> Fault:
    return Fault(
        f"{file.path}: a reminder without the unsubscribe link",
        f"Write {{% if unsubscribe_url %}}{link}{{% endif %}} at its end, or extend the layout, which has it.",
    )


class _Links(HTMLParser):
    """Links and scripts of an HTML page: elements with their attributes and values."""

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
        return "it contains a script"
    if attribute.startswith("on"):
        return f"{attribute} is a script"
    if not value.strip().lower().startswith(_SCHEMES):
        return f"{attribute}={value!r} is not a valid link in a mail"
    return None


def _place(sources: list[File], needle: str, otherwise: File) -> str:
    """Return the file and line of a mail's text in its sources, or the file alone if it is not found."""
    for file in sources:
        for number, line in enumerate(file.text.splitlines(), 1):
            if needle.lower() in line.lower():
                return f"{file.path}, line {number}"
    return str(otherwise.path)


def _missing_words(files: Files, mails: set[str]) -> Iterator[Fault]:
    """Yield a warning for words missing in a language: the mail would take them from the default language."""
    common = Words(files, ("",)).keys()
    for locale in files.locales:
        chain = files.chain(locale)[:-1]
        if not (own := files.all(FILE, chain)):
            continue
        words = Words(files, chain)
        missing = sorted((mail, key) for mail, key in common if words.find(mail, key) is None)
        for mail in sorted({mail for mail, _ in missing if mail in mails or mail in PAGES or not mail}):
            keys = ", ".join(key for of, key in missing if of == mail)
            yield Fault(
                f"{own[0].path}: no {keys} for {mail or 'all mails'} in {locale}",
                f"Add the missing words{f' below [{mail}]' if mail else ' above the first table'}; until then"
                f" {'the whole page is' if mail in PAGES else 'the mail takes them'} from {FILE}, in another language.",
                is_warning=True,
            )


def _words_not_for_all(files: Files, folder: Path | None) -> Iterator[Fault]:
    """Yield a warning for a shop's words that other languages do not take, as they have one of their own."""
    if folder is None:
        return
    for (mail, key), word in Words(files, ("",)).items():
        others = [locale for locale in files.locales if Words(files, files.chain(locale)[:-1]).find(mail, key)]
        if others and key != LANGUAGE and word.path.is_relative_to(folder):
            yield Fault(
                f"{word.path}, line {word.line}: {key} is not used in {', '.join(others)}",
                f"Each of these has a word of its own: if that is to change too, write a {file_of(others[0])}.",
                is_warning=True,
            )
