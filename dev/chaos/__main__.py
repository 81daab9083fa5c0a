"""`make chaos`: kills the real parts while real load runs, and proves that nothing was lost, and
nothing done or told twice. Prints a table of counts and the seed; exits 1 on any violation."""

import argparse
import json
import logging
import random
import secrets
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from dev.chaos import nemesis, recovery
from dev.chaos.checker import Count, Evidence, check
from dev.chaos.evidence import gather, watch_authors
from dev.chaos.load import Load, Seen, make_cars
from dev.chaos.processes import ROOT, Processes
from dev.servers import ServerError

CARS = 200
COMMANDS_OF_A_CAR = 40
MOST_EXAMPLES = 5


def main() -> None:
    # A client whose connection breaks is no news here.
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        is_proven = run(arguments())
    except KeyboardInterrupt:
        sys.exit("chaos: interrupted")
    except ServerError as error:
        sys.exit(f"chaos: {error}")
    sys.exit(0 if is_proven else 1)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dev.chaos", description=__doc__)
    parser.add_argument("--commands", type=int, default=1000, help="how many to submit")
    parser.add_argument("--seconds", type=float, default=90, help="for how long things go wrong")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--recovery", action="store_true", help="also measure the recovery times")
    parser.add_argument("--variant", default="", help="a broken one: see dev/chaos/broken.py")
    return parser.parse_args()


def run(options: argparse.Namespace) -> bool:
    home = ROOT / "var" / "chaos" / str(options.seed)
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    expires = min(60.0, max(15.0, options.seconds / 2))
    chance = random.Random(f"{options.seed} failpoints")  # noqa: S311
    with Processes(
        home, expires_seconds=expires, failpoints=chance, variant=options.variant
    ) as processes:
        steps = nemesis.schedule(options.seed, options.seconds, processes.web, processes.workers)
        (home / "schedule.txt").write_text("".join(f"{step}\n" for step in steps))
        say(f"seed {options.seed}: {options.commands} commands, {len(steps)} steps, kept in {home}")
        processes.set_up()
        watch_authors(processes.servers.postgres.url)
        number = max(CARS, options.commands // COMMANDS_OF_A_CAR)
        cars = make_cars(processes.servers.postgres.url, number)
        processes.start_all()
        load = Load(
            processes, cars, seed=options.seed, number=options.commands, seconds=options.seconds
        )
        start = time.monotonic()
        load.start()
        nemesis.run(steps, processes, load)
        load.join()
        seconds = time.monotonic() - start
        times = recovery.measure(processes, cars, load.seen) if options.recovery else []
        evidence = gather(processes, load.seen)
    return report(home, facts(options, steps, load.seen, evidence, seconds), times, evidence)


def facts(
    options: argparse.Namespace,
    steps: list[nemesis.Step],
    seen: Seen,
    evidence: Evidence,
    seconds: float,
) -> dict[str, Any]:
    faults = Counter(f"{s.action} {s.target.partition('-')[0]}".strip() for s in steps)
    keys = {row.key for row in evidence.rows}
    return {
        "seed": options.seed,
        "seconds": round(seconds),
        **{fault: n for fault, n in sorted(faults.items()) if "start" not in fault},
        "commands answered 201": len(seen.accepted),
        "commands of which no answer came": len(seen.unknown),
        "… that had arrived all the same": len(seen.unknown & keys),
        **{f"commands {s}": n for s, n in Counter(r.status for r in evidence.rows).most_common()},
        "… of these by a lost worker": sum(r.error_code == "worker_lost" for r in evidence.rows),
        "events": sum(len(log) for log in evidence.logs.values()),
        "commands asked of vehicles": evidence.journal.total(),
        "… asked again after a worker was lost": sum(n - 1 for n in evidence.journal.values()),
        "streams": len(seen.recordings),
        "connects of these streams": sum(recording.connects for recording in seen.recordings),
        "frames received": sum(len(recording.frames) for recording in seen.recordings),
    }


def report(
    home: Path, numbers: dict[str, Any], times: list[recovery.Time], evidence: Evidence
) -> bool:
    counts = check(evidence)
    lines = [f"{name:60} {number:>8}" for name, number in numbers.items()]
    lines += ["", *(f"{count.promise:60} {len(count.broken):>8}" for count in counts)]
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
        for example in count.broken[:MOST_EXAMPLES]:
            print(f"  {example}")
        if len(count.broken) > MOST_EXAMPLES:
            print(f"  … and {len(count.broken) - MOST_EXAMPLES} more")


def say(message: str) -> None:
    print(f"chaos: {message}", flush=True)


if __name__ == "__main__":
    main()
