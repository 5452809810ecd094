"""Findings of axe-core, the accessibility checker, on a page in a browser."""

from playwright.async_api import Page

SERIOUS = ("serious", "critical")


async def findings(page: Page, *impacts: str) -> list[str]:
    """Return the findings of these impacts, by default those that axe-core calls serious or critical.

    Each names the rule, the element, and what is wrong. axe-core runs through the browser's debugger, so a page's
    Content-Security-Policy neither stops it nor reports it.
    """
    from axe_playwright_python.async_playwright import Axe  # reads half a megabyte of JavaScript when it is imported

    found = (await Axe().run(page)).response["violations"]
    return [
        f"{violation['id']} ({violation['impact']}): {node['target']}: {node['failureSummary']}"
        for violation in found
        if violation["impact"] in (impacts or SERIOUS)
        for node in violation["nodes"]
    ]
