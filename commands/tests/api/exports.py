"""Exports, read to the end."""

import asyncio
import csv
import json
from io import StringIO
from typing import Any

from django.contrib.auth.models import User

from conftest import api

EXPORT = "/api/v1/commands/export/"


async def read(response: Any) -> str:
    return b"".join([part async for part in response]).decode()


def exported(user: User, query: str = "") -> str:
    response = api(user).get(f"{EXPORT}?{query}")
    assert response.status_code == 200, response.content
    return asyncio.run(read(response))


def as_rows(user: User, query: str = "") -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(exported(user, query), newline="")))


def as_objects(user: User, query: str = "") -> list[dict[str, Any]]:
    return [json.loads(line) for line in exported(user, f"format=jsonl&{query}").splitlines()]
