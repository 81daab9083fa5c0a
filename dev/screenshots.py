"""`make screenshots`: the pictures of the README, or (--all DIRECTORY) every page, light and dark,
at three widths."""

import argparse
from pathlib import Path

from dev.chaos.processes import ROOT
from dev.showroom.chromium import SCHEMES, SIZES
from dev.showroom.pages import PAGES, Page
from dev.showroom.visit import Visit, visit

IN_README = {"command": "console", "dashboard": "dashboard", "batch": "batch"}
README_WIDTH = 1280


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m dev.screenshots", description=__doc__)
    parser.add_argument("--all", type=Path, metavar="DIRECTORY", help="every page, into there")
    options = parser.parse_args()
    with visit() as visiting:
        if options.all:
            take_all(visiting, options.all)
        else:
            take_those_of_the_readme(visiting, ROOT / "docs")


def take_all(visiting: Visit, directory: Path) -> None:
    for page in PAGES:
        for width in SIZES:
            take(visiting, page, width, directory / f"{page.name}-{width}", full_page=True)


def take_those_of_the_readme(visiting: Visit, docs: Path) -> None:
    for page in PAGES:
        if page.name in IN_README:
            take(visiting, page, README_WIDTH, docs / IN_README[page.name], full_page=False)


def take(visiting: Visit, page: Page, width: int, file: Path, *, full_page: bool) -> None:
    for scheme in SCHEMES:
        picture = file.with_name(f"{file.name}-{scheme}.png")
        with visiting.tab(page.who, width, scheme) as tab:
            visiting.show(tab, page)
            tab.screenshot(path=picture, full_page=full_page)
        print(picture, flush=True)


if __name__ == "__main__":
    main()
