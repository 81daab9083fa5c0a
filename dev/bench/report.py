"""The table of a run, and its comparison with the committed one."""

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any, NamedTuple

TOLERANCE = 0.25  # of a ratio; below 15 % nothing is a finding on a virtual machine


class Row(NamedTuple):
    """A figure, the figure of the yardstick beside it, and the aim."""

    figure: str
    floor: str = ""
    aim: str = ""


ROWS = (
    Row("command_ms", "", "≤ 7"),
    Row("command_web_ms", "plain_web_ms", "≤ 0.6 times"),
    Row("command_worker_ms"),
    Row("command_postgres_ms", "plain_postgres_ms"),
    Row("completed_at_16_per_s", "plain_per_s", "≥ 1.0 times"),
    Row("completed_at_1_per_s"),
    Row("completed_at_64_per_s"),
    Row("worker_per_s", "", "≥ 400"),
    Row("end_to_end_at_1_p50_ms", "", "≤ 15"),
    Row("end_to_end_at_16_p50_ms", "", "≤ 120"),
    Row("end_to_end_at_64_p50_ms", "", "≤ 450"),
    Row("end_to_end_at_16_p99_ms"),
    Row("handshake_token_per_s", "handshake_bare_daphne_per_s", "≥ 0.7 times"),
    Row("handshake_ticket_per_s", "handshake_bare_daphne_per_s", "≥ 0.35 times"),
    Row("handshake_token_per_s", "handshake_bare_per_s"),
    Row("burst_per_s", "bare_burst_per_s", "≥ 0.75 times"),
    Row("burst_us", "bare_burst_us", "≤ 13 µs"),
    Row("paced_p50_ms", "bare_paced_p50_ms", "≤ 10"),
    Row("paced_p99_ms", "bare_paced_p99_ms", "≤ 40"),
    Row("memory_kib", "memory_bare_kib", "≤ 16"),
    Row("silent_client_mib", "", "≤ 1"),
    Row("silent_client_kept_mib", "", "≤ 0.1"),
    Row("list_per_s", "", "≥ 200"),
    Row("detail_per_s", "", "≥ 400"),
    Row("vehicles_per_s", "", "≥ 200"),
    Row("claim_ms", "", "≤ 5"),
    Row("claim_stale_ms", "", "≤ 5"),
    Row("insert_per_s"),
    Row("insert_us"),
    Row("publish_per_s"),
    Row("publish_us"),
)


def scaled(figures: Mapping[str, float], slowness: float) -> dict[str, float]:
    """Return the figures of a machine of nominal speed; memory stays as it is."""
    return {name: value * _power(name, slowness) for name, value in figures.items()}


def _power(name: str, slowness: float) -> float:
    if name.endswith("_per_s"):
        return slowness
    return 1 / slowness if name.endswith(("_ms", "_us")) else 1.0


def summary(runs: list[dict[str, float]]) -> dict[str, dict[str, Any]]:
    """Return the median of each figure, and its spread: the range as a share of the median."""
    found = {}
    for name in {name: None for run in runs for name in run}:
        values = [run[name] for run in runs if name in run]
        middle = median(values)
        spread = (max(values) - min(values)) / middle if middle else 0.0
        found[name] = {"median": middle, "spread": spread, "runs": values}
    return found


Summary = Mapping[str, Mapping[str, Any]]


def ratio(row: Row, figures: Summary) -> float | None:
    """Return the figure as a multiple of its yardstick's; None if one was not measured."""
    if not row.floor or row.floor not in figures or row.figure not in figures:
        return None
    floor = figures[row.floor]["median"]
    return figures[row.figure]["median"] / floor if floor else None


def table(figures: Summary) -> Iterator[str]:
    yield f"{'figure':26} {'median':>10} {'spread':>7} {'yardstick':>10} {'ratio':>6}  aim"
    for row in ROWS:
        if row.figure in figures:
            found, times = figures[row.figure], ratio(row, figures)
            floor = f"{figures[row.floor]['median']:10,.2f}" if times is not None else " " * 10
            shown = f"{times:6.2f}" if times is not None else " " * 6
            yield (
                f"{row.figure:26} {found['median']:10,.2f} {found['spread']:7.0%} {floor} {shown}"
                f"  {row.aim}"
            )
    shown_rows = [row for row in ROWS if row.figure in figures]
    listed = {name for row in shown_rows for name in (row.figure, row.floor)}
    for name in sorted(figures.keys() - listed):
        yield f"{name:26} {figures[name]['median']:10,.2f} {figures[name]['spread']:7.0%}"


def worse(now: Summary, baseline: Summary) -> Iterator[str]:
    """Describe the rows that got worse, by their ratio, or by their figure if they have none."""
    for row in ROWS:
        if row.figure in now and row.figure in baseline:
            before, after = _compared(row, baseline), _compared(row, now)
            change = before / after if row.figure.endswith("_per_s") else after / before
            if change > 1 + TOLERANCE:
                against = f" by {row.floor}" if ratio(row, now) else ""
                yield f"{row.figure}{against}: {before:.3g} before, {after:.3g} now"


def _compared(row: Row, figures: Summary) -> float:
    times = ratio(row, figures)
    return times if times is not None else float(figures[row.figure]["median"])
