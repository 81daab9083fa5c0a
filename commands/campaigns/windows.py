"""Weekly windows in which a campaign may send, as people write them: by the clock on their wall."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)

Window = tuple[datetime, datetime]


def next_window(windows: Sequence[Mapping[str, Any]], now: datetime) -> Window | None:
    """Return the window that is open or opens next, in UTC; None if there are no windows."""
    found = [each for window in windows for each in _around(window, now) if each[1] > now]
    return min(found, default=None)


def _around(window: Mapping[str, Any], now: datetime) -> Iterator[Window]:
    """Yield the openings of a window that may be open now, and of the week that follows.

    Two weeks are enough: if daylight saving skips the only one of a week, the next one has it.
    """
    zone = ZoneInfo(window["time_zone"])
    opens, closes = time.fromisoformat(window["from"]), time.fromisoformat(window["to"])
    first = now.astimezone(zone).date() - 2 * DAY
    for day in (first + number * DAY for number in range(18)):
        if DAYS[day.weekday()] in window["days"]:
            last = day if closes > opens else day + DAY
            begin, end = instant(day, opens, zone), instant(last, closes, zone)
            if begin < end:
                yield begin, end


def instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    """Return when a clock in the zone first shows this time, or the first minute after a gap."""
    local = datetime.combine(day, at, zone)
    while local.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != local.replace(tzinfo=None):
        local += MINUTE
    return local.astimezone(UTC)
