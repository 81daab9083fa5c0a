"""`make screenshots`: take the pictures of the README, light and dark.

With --all DIRECTORY: every page at four widths, with 5,000 vehicles and 20,000 commands.
"""

import argparse
from itertools import product
from pathlib import Path

from dev.demo_site.browser import DemoBrowser, browse
from dev.demo_site.chromium import SCHEMES, SIZES
from dev.demo_site.pages import PAGES, Page
from dev.demo_site.site import LargeDemoSite
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
WIDTHS = (375, 768, 1440, 1920)
PARTS = {"new-command-by-name": ".composer"}  # pictures of a part of the page


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m dev.screenshots", description=__doc__)
    parser.add_argument("--all", type=Path, metavar="DIRECTORY", help="for every page")
    options = parser.parse_args()
    if options.all:
        with browse(LargeDemoSite) as browser:
            take_all(browser, options.all)
    else:
        with browse() as browser:
            take_for_readme(browser, ROOT / "docs")


def take_all(browser: DemoBrowser, directory: Path) -> None:
    for page in PAGES:
        with browser.tab(page.username) as tab:
            browser.show(tab, page)
            for width, scheme in product(WIDTHS, SCHEMES):
                tab.set_viewport_size({"width": width, "height": SIZES[width]})
                tab.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                picture = directory / f"{page.name}-{width}-{scheme}.png"
                tab.screenshot(path=picture, full_page=True)
        print(directory / page.name, flush=True)


def take_for_readme(browser: DemoBrowser, docs: Path) -> None:
    for page in PAGES:
        if page.name in IN_README:
            take(browser, page, docs / IN_README[page.name])


def take(browser: DemoBrowser, page: Page, file: Path) -> None:
    for scheme in SCHEMES:
        picture = file.with_name(f"{file.name}-{scheme}.png")
        with browser.tab(page.username, README_WIDTH, scheme) as tab:
            browser.show(tab, page)
            part = tab.locator(PARTS[page.name]) if page.name in PARTS else tab
            part.screenshot(path=picture)
        print(picture, flush=True)


if __name__ == "__main__":
    main()
