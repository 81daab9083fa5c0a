"""The end of a campaign: its table, its violations, and its exit code."""

import json
import logging
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dev.chaos.promises import Count
from dev.chaos.recovery import Time
from dev.servers import ServerError

MAX_EXAMPLES = 5


def exit_with(run: Callable[[], bool]) -> None:
    """Run a campaign; exit 1 if a promise was broken, or if it could not run."""
    # It would log each connection that the campaign breaks.
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        is_proven = run()
    except KeyboardInterrupt:
        sys.exit("chaos: interrupted")
    except ServerError as error:
        sys.exit(f"chaos: {error}")
    sys.exit(0 if is_proven else 1)


def report(
    home: Path, numbers: Mapping[str, object], times: Sequence[Time], counts: Sequence[Count]
) -> bool:
    """Print and keep the table; return whether every promise was kept."""
    lines = [f"{name:68} {number:>8}" for name, number in numbers.items()]
    lines += ["", *(f"{count.promise:68} {len(count.broken):>8}" for count in counts)]
    lines += ["", *map(str, times)] if times else []
    table = "\n".join(lines)
    (home / "table.txt").write_text(f"{table}\n")
    (home / "broken.json").write_text(json.dumps({c.promise: c.broken for c in counts}, indent=1))
    print(table, flush=True)
    for count in counts:
        explain(count)
    is_proven = not any(count.broken for count in counts) and all(time.is_good for time in times)
    say("every promise was kept" if is_proven else f"PROMISES WERE BROKEN: see {home}")
    return is_proven


def explain(count: Count) -> None:
    if count.broken:
        print(f"\n{count.promise}:")
        for example in count.broken[:MAX_EXAMPLES]:
            print(f"  {example}")
        if len(count.broken) > MAX_EXAMPLES:
            print(f"  … and {len(count.broken) - MAX_EXAMPLES} more")


def say(message: str) -> None:
    print(f"chaos: {message}", flush=True)
