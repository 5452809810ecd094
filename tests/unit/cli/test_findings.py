"""The printer of findings: one form for all checks, for people and for programs."""

import json

from recovery.checks.finding import error, ok, warning
from recovery.cli.findings import print_findings, print_json

FINDINGS = (
    ok("MX", "by mx.shop.zone"),
    warning("SPF", "It is open", "end it in ~all."),
    error("own.txt.j2", fix="Fix."),
)


async def given(*findings):
    """Findings as a check yields them."""
    for finding in findings:
        yield finding


async def test_each_severity_has_its_mark_and_only_errors_their_exit_code(capsys):
    """A passed check is one line; a warning and an error say what to do below; only an error makes the exit code 1."""
    assert await print_findings(given(*FINDINGS)) == 1
    assert (
        capsys.readouterr().out
        == "✓ MX (by mx.shop.zone)\n! SPF\n  It is open: end it in ~all.\n✗ own.txt.j2\n  Fix.\n"
    )
    assert await print_findings(given(*FINDINGS[:2])) == 0


async def test_the_document_keeps_its_names(capsys):
    """For programs each finding has the four names that are promised, whatever its severity."""
    assert await print_json(given(*FINDINGS)) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["well"] is False
    assert document["findings"] == [
        {"what": "MX", "fault": None, "doubt": None, "note": "by mx.shop.zone"},
        {"what": "SPF", "fault": None, "doubt": "It is open: end it in ~all.", "note": ""},
        {"what": "own.txt.j2", "fault": "Fix.", "doubt": None, "note": ""},
    ]
