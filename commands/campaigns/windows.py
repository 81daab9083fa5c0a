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
    # Two weeks are enough: if daylight saving skips the only one of a week, the next one has it.
    until = now + 16 * DAY
    found = [each for window in windows for each in _between(window, now, until) if each[1] > now]
    return min(found, default=None)


def open_hours(
    windows: Sequence[Mapping[str, Any]], begin: datetime, end: datetime
) -> list[Window]:
    """Return when one of the windows is open between these times, in order and without overlaps."""
    openings = [each for window in windows for each in _between(window, begin, end)]
    found: list[Window] = []
    since = begin
    for opens, closes in sorted(openings) if windows else [(begin, end)]:
        hours = max(opens, since), min(closes, end)
        if hours[0] < hours[1]:
            found.append(hours)
            since = hours[1]
    return found


def _between(window: Mapping[str, Any], begin: datetime, end: datetime) -> Iterator[Window]:
    """Yield the openings of a window, from one that may be open at the beginning."""
    zone = ZoneInfo(window["time_zone"])
    opens, closes = time.fromisoformat(window["from"]), time.fromisoformat(window["to"])
    first = begin.astimezone(zone).date() - 2 * DAY
    days = (end - begin).days + 4
    for day in (first + number * DAY for number in range(days)):
        if DAYS[day.weekday()] in window["days"]:
            last = day if closes > opens else day + DAY
            at, until = instant(day, opens, zone), instant(last, closes, zone)
            if at < until:
                yield at, until


def instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    """Return when a clock in the zone first shows this time, or the first minute after a gap."""
    local = datetime.combine(day, at, zone)
    while local.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != local.replace(tzinfo=None):
        local += MINUTE
    return local.astimezone(UTC)
