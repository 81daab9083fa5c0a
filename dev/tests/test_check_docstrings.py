"""Fragments are told from docstrings that begin with a verb or a noun phrase."""

from pathlib import Path

import pytest

from dev.check_docstrings import FRAGMENT, docstrings_in


@pytest.mark.parametrize(
    "text", ["What it returns.", "Of each.", "as it is now", "To-do.", "`by` name"]
)
def test_a_fragment_is_found(text: str) -> None:
    assert FRAGMENT.match(text)


@pytest.mark.parametrize(
    "text", ["Return what it says.", "One of each.", "Offer a line.", "Tools.", "Asked once."]
)
def test_a_verb_or_a_noun_is_no_fragment(text: str) -> None:
    assert not FRAGMENT.match(text)


def test_docstrings_of_functions_and_classes_are_found(tmp_path: Path) -> None:
    (tmp_path / "migrations").mkdir()
    for name in ("a.py", "migrations/b.py"):
        (tmp_path / name).write_text(
            '"""Of the module."""\nclass A:\n    """First."""\n\n    async def b():\n'
            '        """Second."""\n\ndef c(): ...\n'
        )
    assert [text for _, text in docstrings_in(tmp_path)] == ["First.", "Second."]
