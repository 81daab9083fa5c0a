"""Refusal to start: one line on stderr that says what to set."""

from typing import NoReturn


def refuse(message: str) -> NoReturn:
    raise SystemExit(f"sovd: will not start: {message}")
