"""The backend of Postgres: how its values arrive."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from django.db import DataError, connection

pytestmark = pytest.mark.django_db

in_utc = partial(datetime, tzinfo=UTC)


def loaded(text: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::timestamptz", [text])
        return cursor.fetchall()[0][0]


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-29 23:46:16.013933+00", in_utc(2026, 11, 29, 23, 46, 16, 13_933)),
        ("2026-11-29 23:46:16.5+00", in_utc(2026, 11, 29, 23, 46, 16, 500_000)),
        ("2026-11-30 01:46:16+02", in_utc(2026, 11, 29, 23, 46, 16)),
        ("0001-01-01 00:00:00+00", in_utc(1, 1, 1)),
        ("9999-12-31 23:59:59.999999+00", in_utc(9999, 12, 31, 23, 59, 59, 999_999)),
    ],
)
def test_instants_are_in_utc(text: str, instant: datetime) -> None:
    found = loaded(text)
    assert (found, found.tzinfo) == (instant, UTC)


@pytest.mark.parametrize("text", ["infinity", "-infinity", "10000-01-01", "0044-03-15 BC"])
def test_instants_beyond_the_calendar_are_errors_of_the_data(text: str) -> None:
    with pytest.raises(DataError):
        loaded(text)
