"""`make chaos`: kill the real parts under real load, and prove that every promise was kept.

Prints a table of counts and the seed; exits 1 if a promise was broken.
"""

import argparse
import asyncio
import secrets
import shutil
import time
from collections import Counter
from typing import Any

from dev.chaos import nemesis, recovery
from dev.chaos.checker import check
from dev.chaos.evidence import Evidence
from dev.chaos.gather import gather, watch_authors
from dev.chaos.load import Load, submissions
from dev.chaos.processes import Processes
from dev.chaos.report import exit_with, report, say
from dev.clients import Observations, make_vehicles
from dev.processes import ROOT

MIN_VEHICLES = 200
COMMANDS_PER_VEHICLE = 40


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dev.chaos", description=__doc__)
    parser.add_argument("--commands", type=int, default=1000, help="how many to submit")
    parser.add_argument("--seconds", type=float, default=90, help="duration of the load")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--recovery", action="store_true", help="also measure the recovery times")
    parser.add_argument("--mutant", default="", help="see dev/chaos/mutants.py")
    return parser.parse_args()


def run() -> bool:
    options = arguments()
    home = ROOT / "var" / "chaos" / str(options.seed)
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    expires = min(60.0, max(15.0, options.seconds / 2))
    processes = Processes(home, expires, options.seed, options.mutant)
    steps = nemesis.schedule(options.seed, options.seconds, processes.web, processes.workers)
    (home / "schedule.txt").write_text("".join(f"{step}\n" for step in steps))
    say(f"seed {options.seed}: {options.commands} commands, {len(steps)} steps, kept in {home}")
    with processes:
        database_url = processes.servers.postgres.url
        watch_authors(database_url)
        number = max(MIN_VEHICLES, options.commands // COMMANDS_PER_VEHICLE)
        vehicles = make_vehicles(database_url, number)
        processes.start_all()
        about = {"seed": options.seed, "number": options.commands, "seconds": options.seconds}
        load = Load(processes, submissions(options.seed, vehicles), **about)
        start = time.monotonic()
        load.start()
        nemesis.run(steps, processes, load)
        load.join()
        seconds = time.monotonic() - start
        seen = load.observations
        times = []
        if options.recovery:
            times = asyncio.run(recovery.measure(processes, vehicles, seen))
        evidence = gather(processes, seen, vehicles)
    numbers = facts(options.seed, steps, seen, evidence, seconds)
    return report(home, numbers, times, check(evidence))


def facts(
    seed: int,
    steps: list[nemesis.Step],
    seen: Observations,
    evidence: Evidence,
    seconds: float,
) -> dict[str, Any]:
    faults = Counter(f"{s.action} {s.target.partition('-')[0]}".strip() for s in steps)
    ends = Counter(f"{row.status} {row.error_code}".strip() for row in evidence.rows)
    return {
        "seed": seed,
        "seconds": round(seconds),
        **{fault: n for fault, n in sorted(faults.items()) if "start" not in fault},
        "commands accepted": len(seen.accepted),
        "submissions without a response": len(seen.unknown),
        "… of them accepted": len(seen.unknown & {row.key for row in evidence.rows}),
        **{f"commands {end}": n for end, n in ends.most_common()},
        "events": sum(len(log) for log in evidence.logs.values()),
        "commands sent to vehicles": evidence.journal.total(),
        "… sent again after a worker was lost": sum(n - 1 for n in evidence.journal.values()),
        "streams": len(seen.recordings),
        "connects of these streams": sum(recording.connects for recording in seen.recordings),
        "frames received": sum(len(recording.frames) for recording in seen.recordings),
    }


if __name__ == "__main__":
    exit_with(run)
