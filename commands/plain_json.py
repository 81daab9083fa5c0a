"""JSON that Postgres, browsers and people can hold: what clients send and what vehicles answer."""

import json
import math
from collections.abc import Iterator
from typing import Any

MAX_DEPTH = 32
MAX_BYTES = 256 * 1024
MAX_INTEGER = 2**63 - 1


class NotPlain(ValueError):
    """The message says what is wrong, and where: a path such as `command_params.a[0]`."""


def check(value: Any) -> None:
    """Raise NotPlain unless `value` is JSON of sane depth, numbers and text."""
    for path, depth, item in _walk(value):
        if depth > MAX_DEPTH:
            raise NotPlain(f"{path[:100]}: nested deeper than {MAX_DEPTH} levels")
        problem = _problem(item)
        if problem:
            raise NotPlain(f"{path[:100] or 'value'}: {problem}")


def check_object(value: Any) -> dict[str, Any]:
    """The JSON object that `value` is, of at most 256 KiB. Raises NotPlain."""
    if not isinstance(value, dict):
        raise NotPlain("not a JSON object")
    check(value)
    if len(json.dumps(value)) > MAX_BYTES:
        raise NotPlain(f"larger than {MAX_BYTES} bytes")
    return value


def _walk(value: Any) -> Iterator[tuple[str, int, Any]]:
    todo = [("", 0, value)]
    while todo:
        path, depth, item = todo.pop()
        yield path, depth, item
        if isinstance(item, dict):
            for key, child in item.items():
                yield f"{path} key", depth, key if isinstance(key, str) else NotPlain
                todo.append((f"{path}.{key}".lstrip("."), depth + 1, child))
        elif isinstance(item, list):
            todo.extend((f"{path}[{i}]", depth + 1, child) for i, child in enumerate(item))


def _problem(item: Any) -> str:
    if item is None or isinstance(item, bool | dict | list):
        return ""
    if isinstance(item, str):
        return _problem_of_text(item)
    if isinstance(item, int):
        return "" if abs(item) <= MAX_INTEGER else "an integer beyond 64 bits"
    if isinstance(item, float):
        return "" if math.isfinite(item) else "not a finite number"
    return f"not JSON ({type(item).__name__})"


def _problem_of_text(text: str) -> str:
    if "\x00" in text:
        return "contains a NUL character"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "contains a lone surrogate"
    return ""
