"""`make lint`: check that docstrings of functions and classes begin with a verb or a noun phrase.

Prints the share of those that do, and the others. Exits 1 below the minimum share.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("commands", "sovd", "vehicles", "sovd_client", "dev")
MIN_SHARE = 0.95
FRAGMENT = re.compile(
    r"\W*(what|who|whose|whom|which|where|when|whatever|whoever|of|as|by|at|with|for|from|in|on|to|"
    r"under|until|also|and|but|or|such|not|else|how|that|those|because|since)\b",
    re.IGNORECASE,
)
DOCUMENTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def main() -> int:
    docstrings = [found for package in PACKAGES for found in docstrings_in(Path(package))]
    fragments = [
        f"{place}: {text.splitlines()[0]}" for place, text in docstrings if FRAGMENT.match(text)
    ]
    share = 1 - len(fragments) / len(docstrings)
    print(
        *fragments,
        f"docstrings: {share:.1%} of {len(docstrings)} begin with a verb or a noun phrase",
        sep="\n",
    )
    return 0 if share >= MIN_SHARE else 1


def docstrings_in(package: Path) -> Iterator[tuple[str, str]]:
    """Yield the place and the text of each docstring of a function or class."""
    for file in sorted(package.rglob("*.py")):
        if "migrations" not in file.parts:
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, DOCUMENTED) and (text := ast.get_docstring(node)):
                    yield f"{file}:{node.lineno}", text


if __name__ == "__main__":
    sys.exit(main())
