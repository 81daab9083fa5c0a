"""Bodies of answers, which may be anything: bounded in size and nesting."""

import asyncio
import json
from typing import Any

import httpx

from vehicles import strict_json
from vehicles.connectors.errors import UnusableAnswer

MAX_BYTES = 1024 * 1024
# Beyond it, reading the JSON would keep the event loop from other vehicles.
MAX_BYTES_AT_ONCE = 32 * 1024
UNUSABLE = "Check `url`, then send it again."


async def read(response: httpx.Response) -> bytes:
    """Return the body. Raises UnusableAnswer if it is too large or compressed."""
    # A small compressed body could become a very large one; none was asked for.
    if response.headers.get("content-encoding", "identity") != "identity":
        raise UnusableAnswer(f"The server sent a compressed answer. {UNUSABLE}")
    found = bytearray()
    async for chunk in response.aiter_raw():
        found += chunk
        if len(found) > MAX_BYTES:
            raise UnusableAnswer(f"The server sent more than {MAX_BYTES} bytes. {UNUSABLE}")
    return bytes(found)


async def parse(body: str) -> Any:
    """Return the JSON in a body, None if it is empty. Raises UnusableAnswer."""
    if not body.strip():
        return None
    if len(body) <= MAX_BYTES_AT_ONCE:
        return _parse(body)
    return await asyncio.to_thread(_parse, body)


def _parse(body: str) -> Any:
    try:
        value = json.loads(body)
        strict_json.check(value)
    except (ValueError, RecursionError) as error:
        problem = str(error) if isinstance(error, strict_json.InvalidJSON) else "it is not JSON"
        raise UnusableAnswer(f"The server's answer is of no use: {problem}. {UNUSABLE}") from error
    return value


def expect_object(value: Any, what: str) -> dict[str, Any]:
    """Return the JSON object that an answer is. Raises UnusableAnswer."""
    if not isinstance(value, dict):
        raise UnusableAnswer(f"The server's answer is no JSON object: {what}. {UNUSABLE}")
    return value


def items_of(value: Any, *keys: str) -> list[dict[str, Any]]:
    """Return the objects of a list, which is in `items`, in one of `keys`, or bare.

    Raises UnusableAnswer if there is no list. Texts in it count as objects with that `id`.
    """
    found = value
    if isinstance(value, dict):
        found = next((value[key] for key in ("items", *keys) if key in value), None)
    if not isinstance(found, list):
        raise UnusableAnswer(f"The server's answer has no list `items`. {UNUSABLE}")
    objects = [{"id": item} if isinstance(item, str) else item for item in found]
    return [item for item in objects if isinstance(item, dict)]
