"""JSON that Postgres, browsers and people can hold: what clients send and what vehicles answer."""

import json
import math
from collections.abc import Iterator
from typing import Any

MAX_DEPTH = 32
MAX_BYTES = 256 * 1024
MAX_INTEGER = 2**63 - 1


class InvalidJSON(ValueError):
    """Says what is wrong, and where: `path` is such as `command_params.a[0]`, or empty."""

    def __init__(self, problem: str, path: str = "") -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path, self.problem = path, problem


class Decoder(json.JSONDecoder):
    """Reads what jsonb gives back: it writes 1.5e300 as an integer of 301 digits."""

    def __init__(self, **options: Any) -> None:
        super().__init__(parse_int=_integer_or_float, **options)


def _integer_or_float(digits: str) -> int | float:
    integer = int(digits)
    return integer if abs(integer) <= MAX_INTEGER else float(digits)


def check(value: Any) -> None:
    """Raise InvalidJSON unless `value` is JSON of sane depth, numbers and text."""
    for path, depth, item in _walk(value):
        problem = _problem(item)
        if depth > MAX_DEPTH:
            problem = f"is nested deeper than {MAX_DEPTH} levels"
        if problem:
            raise InvalidJSON(problem, path[:100])


def check_object(value: Any) -> dict[str, Any]:
    """The JSON object that `value` is, of at most 256 KiB. Raises InvalidJSON."""
    if not isinstance(value, dict):
        raise InvalidJSON("not a JSON object")
    check(value)
    if len(json.dumps(value)) > MAX_BYTES:
        raise InvalidJSON(f"larger than {MAX_BYTES} bytes")
    return value


def _walk(value: Any) -> Iterator[tuple[str, int, Any]]:
    """Each value before those within it, so that a path holds only keys that were looked at."""
    todo = [("", 0, value)]
    while todo:
        path, depth, item = todo.pop()
        yield path, depth, item
        if isinstance(item, dict):
            for key, child in item.items():
                todo.append((f"{path}.{key}".lstrip("."), depth + 1, child))
        elif isinstance(item, list):
            todo.extend((f"{path}[{i}]", depth + 1, child) for i, child in enumerate(item))


def _problem(item: Any) -> str:
    if item is None or isinstance(item, bool | list):
        return ""
    if isinstance(item, dict):
        problem = next(filter(None, map(_problem_of_key, item)), "")
        return f"has a key that {problem}" if problem else ""
    if isinstance(item, str):
        return _problem_of_text(item)
    if isinstance(item, int):
        return "" if abs(item) <= MAX_INTEGER else "is an integer beyond 64 bits"
    if isinstance(item, float):
        return "" if math.isfinite(item) else "is not a finite number"
    return f"is not JSON ({type(item).__name__})"


def _problem_of_key(key: Any) -> str:
    return _problem_of_text(key) if isinstance(key, str) else "is not text"


def _problem_of_text(text: str) -> str:
    if "\x00" in text:
        return "contains a NUL character"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "contains a lone surrogate"
    return ""
