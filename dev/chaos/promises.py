"""Rules of a checker: each finds the violations of one promise."""

from collections.abc import Callable, Collection, Iterable
from typing import Generic, NamedTuple, TypeVar

E = TypeVar("E")
Rule = Callable[[E], Iterable[str]]


class Count(NamedTuple):
    """The violations of one promise."""

    promise: str
    broken: list[str]


class Rules(Generic[E]):
    """The rules about one kind of evidence, in the order in which they are reported."""

    def __init__(self) -> None:
        self._rules: list[tuple[str, Rule[E]]] = []

    def add(self, promise: str) -> Callable[[Rule[E]], Rule[E]]:
        def add(function: Rule[E]) -> Rule[E]:
            self._rules.append((promise, function))
            return function

        return add

    def check(self, evidence: E, only: Collection[Rule[E]] = ()) -> list[Count]:
        """Count the violations, of these rules `only` if there are some."""
        return [
            Count(promise, list(function(evidence)))
            for promise, function in self._rules
            if not only or function in only
        ]
