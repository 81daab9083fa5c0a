"""Windows of campaigns, in time zones and on the days on which clocks are changed."""

from datetime import UTC, datetime
from typing import Any

import pytest

from commands.campaigns.windows import DAYS, next_window

ALL = list(DAYS)


def window(opens: str, closes: str, *days: str, zone: str = "Europe/Berlin") -> dict[str, Any]:
    return {"days": list(days) or ALL, "from": opens, "to": closes, "time_zone": zone}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("windows", "now", "opens", "closes"),
    [
        pytest.param(
            [window("22:00", "05:00", "mon")],
            "2026-12-01 03:30",
            "2026-11-30 21:00",
            "2026-12-01 04:00",
            id="opened yesterday, over midnight",
        ),
        pytest.param(
            [window("22:00", "05:00", "mon")],
            "2026-12-01 04:00",
            "2026-12-07 21:00",
            "2026-12-08 04:00",
            id="has just closed",
        ),
        pytest.param(
            [window("09:00", "17:00", "fri"), window("23:00", "01:00", "thu", zone="UTC")],
            "2026-12-02 12:00",
            "2026-12-03 23:00",
            "2026-12-04 01:00",
            id="the first of two",
        ),
        pytest.param(
            [window("08:00", "08:00", "sun")],
            "2026-12-06 06:00",
            "2026-12-06 07:00",
            "2026-12-07 07:00",
            id="a whole day",
        ),
        pytest.param(
            [window("02:30", "04:00", "sun")],
            "2027-03-27 12:00",
            "2027-03-28 01:00",
            "2027-03-28 02:00",
            id="opens in the hour that is skipped: at 03:00 summer time",
        ),
        pytest.param(
            [window("01:00", "02:30", "sun")],
            "2027-03-27 12:00",
            "2027-03-28 00:00",
            "2027-03-28 01:00",
            id="closes in the hour that is skipped",
        ),
        pytest.param(
            [window("02:15", "02:45", "sun")],
            "2027-03-27 12:00",
            "2027-04-04 00:15",
            "2027-04-04 00:45",
            id="lies in the hour that is skipped: not before the next week",
        ),
        pytest.param(
            [window("02:30", "02:45", "sun")],
            "2026-10-24 12:00",
            "2026-10-25 00:30",
            "2026-10-25 00:45",
            id="lies in the hour that comes twice: the first time",
        ),
        pytest.param(
            [window("02:30", "02:45", "sun")],
            "2026-10-25 00:45",
            "2026-11-01 01:30",
            "2026-11-01 01:45",
            id="lies in the hour that comes twice: not the second time",
        ),
        pytest.param(
            [window("01:00", "04:00", "sun")],
            "2026-10-25 02:30",
            "2026-10-24 23:00",
            "2026-10-25 03:00",
            id="over the hour that comes twice: an hour longer",
        ),
        pytest.param(
            [window("02:15", "03:00", "sun", zone="Australia/Lord_Howe")],
            "2026-10-03 12:00",
            "2026-10-03 15:30",
            "2026-10-03 16:00",
            id="opens in half an hour that is skipped",
        ),
    ],
)
def test_a_window_opens_and_closes_by_the_clock_of_its_zone(
    windows: list[Any], now: str, opens: str, closes: str
) -> None:
    assert next_window(windows, at(now)) == (at(opens), at(closes))


def test_without_windows_there_is_none() -> None:
    assert next_window([], at("2026-12-01 12:00")) is None
