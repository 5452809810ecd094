"""The printer of findings, for all commands that check something."""

from typing import TYPE_CHECKING

from recovery.cli.terminal import say, say_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from recovery.checks.finding import Finding

_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "error": ("✗", "red")}


def print_finding(finding: "Finding") -> None:
    """Print one finding: a passed check on one line, anything else with its text below."""
    passed = finding.severity == "ok"
    say(
        _MARKS[finding.severity],
        f" {finding.check}",
        (f" ({finding.detail})" if passed and finding.detail else "", "dim"),
    )
    if not passed:
        say(f"  {finding.text}", keep="\n")


async def print_findings(findings: "AsyncIterator[Finding]") -> int:
    """Print findings as they come; return the exit code."""
    code = 0
    async for finding in findings:
        print_finding(finding)
        code |= finding.severity == "error"
    return int(code)


async def print_json(findings: "AsyncIterator[Finding]") -> int:
    """Print all findings as one JSON document; return the exit code."""
    listed = [_document(finding) async for finding in findings]
    well = not any(each["fault"] for each in listed)
    say_json({"well": well, "findings": listed})
    return int(not well)


def _document(finding: "Finding") -> dict[str, str | None]:
    """Return a finding with the names promised in docs/running.md: `fault` is an error's text, `doubt` a warning's."""
    texts = {finding.severity.value: finding.text}
    return {
        "what": finding.check,
        "fault": texts.get("error"),
        "doubt": texts.get("warning"),
        "note": texts.get("ok", ""),
    }
