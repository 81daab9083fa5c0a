"""Rules of the layout: where code lies, how long it is, and how tests share it."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

from dev.processes import ROOT

PRODUCT = ("commands", "sovd", "sovd_client", "vehicles")
PACKAGES = (*PRODUCT, "dev", "monitoring")
IMPORT = re.compile(r"(?m)^\s*(?:from|import) .*\btest_\w+")
SUPPRESSION = re.compile(r"# (?:noqa|type: ignore)")

BESIDE = {"tests", "migrations"}
MAX_MODULES = 20  # in one folder
MAX_SUPPRESSIONS = 17
MEDIAN_LINES, MAX_LINES_OF_NINE_IN_TEN = 5, 12  # of a function's body, without its docstring


def files_of(packages: tuple[str, ...]) -> list[Path]:
    return [file for package in packages for file in (ROOT / package).rglob("*.py")]


def product() -> list[Path]:
    return [file for file in files_of(PRODUCT) if not BESIDE & set(file.relative_to(ROOT).parts)]


def test_no_module_imports_a_test_module() -> None:
    files = files_of(PACKAGES)
    assert len(files) > 200
    assert [str(file) for file in files if IMPORT.search(file.read_text())] == []


def test_no_folder_has_too_many_modules() -> None:
    folders = Counter(file.parent for file in product())
    assert {str(f): n for f, n in folders.items() if n > MAX_MODULES} == {}


def test_functions_are_short() -> None:
    lengths = [length for file in product() for length in lengths_of(ast.parse(file.read_text()))]
    assert len(lengths) > 1_000
    assert median(lengths) <= MEDIAN_LINES
    assert quantiles(lengths, n=10)[-1] <= MAX_LINES_OF_NINE_IN_TEN


def lengths_of(module: ast.Module) -> Iterator[int]:
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            yield (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_few_rules_are_suppressed_at_a_line() -> None:
    found = [len(SUPPRESSION.findall(file.read_text())) for file in product()]
    assert sum(found) <= MAX_SUPPRESSIONS
