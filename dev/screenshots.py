"""`make screenshots`: take the pictures of the README, light and dark.

With --all DIRECTORY: every page, at three widths.
"""

import argparse
from pathlib import Path

from dev.demo_site.browser import DemoBrowser, browse
from dev.demo_site.chromium import SCHEMES, SIZES
from dev.demo_site.pages import PAGES, Page
from dev.processes import ROOT

IN_README = {
    "command": "console",
    "dashboard": "dashboard",
    "batch": "batch",
    "command-scan": "scan",
    "report": "report",
    "new-command-by-name": "composer",
}
README_WIDTH = 1280
PARTS = {"new-command-by-name": ".composer"}  # pictures of a part of the page


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m dev.screenshots", description=__doc__)
    parser.add_argument("--all", type=Path, metavar="DIRECTORY", help="for every page")
    options = parser.parse_args()
    with browse() as browser:
        if options.all:
            take_all(browser, options.all)
        else:
            take_for_readme(browser, ROOT / "docs")


def take_all(browser: DemoBrowser, directory: Path) -> None:
    for page in PAGES:
        for width in SIZES:
            take(browser, page, width, directory / f"{page.name}-{width}", full_page=True)


def take_for_readme(browser: DemoBrowser, docs: Path) -> None:
    for page in PAGES:
        if page.name in IN_README:
            take(browser, page, README_WIDTH, docs / IN_README[page.name], full_page=False)


def take(browser: DemoBrowser, page: Page, width: int, file: Path, *, full_page: bool) -> None:
    for scheme in SCHEMES:
        picture = file.with_name(f"{file.name}-{scheme}.png")
        with browser.tab(page.username, width, scheme) as tab:
            browser.show(tab, page)
            part = tab.locator(PARTS[page.name]) if page.name in PARTS and not full_page else None
            if part:
                part.screenshot(path=picture)
            else:
                tab.screenshot(path=picture, full_page=full_page)
        print(picture, flush=True)


if __name__ == "__main__":
    main()
