"""`make lock`: write docs/licences.md, the licences of the packages that the product needs."""

import re
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

LOCK = Path(__file__).parent.parent / "requirements.txt"
HEAD = """# Licences

The licences of the packages in `requirements.txt`, by their own metadata. Written by `make lock`.

| package | licence |
|---|---|
"""


def locked() -> Iterator[Distribution]:
    """Yield the packages of every platform, and not those with `; if …` for some of them."""
    lines = re.findall("^([a-z0-9-]+)==([^\n]+)", LOCK.read_text(), re.MULTILINE)
    number = Counter(name for name, _ in lines)
    for name in sorted({name for name, version in lines if ";" not in version or number[name] > 1}):
        yield distribution(name)


def licence(package: Distribution) -> str:
    """Return the licence from the first of three places in the metadata."""
    about = package.metadata
    classifiers = [text.split(" :: ") for text in about.get_all("Classifier") or []]
    names = [parts[-1] for parts in classifiers if parts[0] == "License"]
    (expression,) = about.get_all("License-Expression") or [""]
    return expression or ", ".join(names) or about["License"]


def table() -> str:
    rows = [f"| {package.name} | {licence(package)} |\n" for package in locked()]
    return HEAD + "".join(rows)


if __name__ == "__main__":
    print(table(), end="")
