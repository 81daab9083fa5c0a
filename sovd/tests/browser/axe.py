"""axe-core in the page, through the protocol of the developer tools: the CSP would block it."""

from collections.abc import Collection, Iterator
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

GRAVE = {"serious", "critical"}
IS_THERE = "'axe' in window"
RUN = "axe.run({ resultTypes: ['violations'] }).then((results) => results.violations)"


def no_serious_findings(page: Page, besides: Collection[str] = ()) -> None:
    found = "\n".join(findings(page, besides))
    assert not found, found


def findings(page: Page, besides: Collection[str]) -> Iterator[str]:
    if not page.evaluate(IS_THERE):
        page.evaluate(Axe().axe_script)
    for rule in page.evaluate(RUN):
        if rule["impact"] in GRAVE and rule["id"] not in besides:
            yield from (describe(rule, node) for node in rule["nodes"])


def describe(rule: dict[str, Any], node: dict[str, Any]) -> str:
    return f"{rule['id']} at {node['target']}: {node['failureSummary']}"
