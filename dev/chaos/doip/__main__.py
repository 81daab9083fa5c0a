"""`make chaos-doip`: kill workers and cut connections while DoIP vehicles that others wrote carry
out commands, and compare what users were told with the vehicles' own journal.

Prints a table of counts and the seed; exits 1 if a promise was broken.
"""

import argparse
import json
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg

from dev.chaos import checker, nemesis
from dev.chaos.doip import rules
from dev.chaos.doip.commands import submissions
from dev.chaos.doip.processes import DoipProcesses, add_vehicles, running_fleet, schedule
from dev.chaos.doip.proxy import CUTS
from dev.chaos.evidence import Evidence
from dev.chaos.gather import gather, watch_authors
from dev.chaos.load import Load
from dev.chaos.report import exit_with, report, say
from dev.processes import ROOT

VEHICLES = 15
EXPIRES_SECONDS = 120.0

# The promises of `make chaos` that do not depend on the mocked vehicles.
GENERAL = {
    *(checker.idle, checker.lost, checker.invented, checker.still_open, checker.not_ended_once),
    *(checker.disagreeing, checker.gaps, checker.claimed_too_often),
    *(checker.different, checker.stuck, checker.broken_off),
    *(checker.sockets_left, checker.connections_left, checker.tracebacks, checker.problems),
}
TOLD = """
SELECT command_id::text, vin, command_name, command_params, status, error_code
FROM commands_command JOIN vehicles_vehicle USING (vehicle_id)
"""
EXCHANGES = """
SELECT vin, ecu_address, request, response, command_id::text
FROM commands_exchange
JOIN commands_command USING (command_id) JOIN vehicles_vehicle USING (vehicle_id)
WHERE response IS NOT NULL
"""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dev.chaos.doip", description=__doc__)
    parser.add_argument("--commands", type=int, default=1000, help="how many to submit")
    parser.add_argument("--seconds", type=float, default=240, help="duration of the load")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--mutant", default="", help="see dev/chaos/mutants.py")
    return parser.parse_args()


def run() -> bool:
    options = arguments()
    home = ROOT / "var" / "chaos" / f"doip-{options.seed}"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    processes = DoipProcesses(home, EXPIRES_SECONDS, options.seed, options.mutant)
    steps = schedule(options.seed, options.seconds, processes)
    (home / "schedule.txt").write_text("".join(f"{step}\n" for step in steps))
    say(f"seed {options.seed}: {options.commands} commands, {len(steps)} steps, kept in {home}")
    start = time.monotonic()
    journal = home / "vehicles.jsonl"
    with running_fleet(VEHICLES, options.seed, journal) as fleet, processes:
        evidence = disturbed(options, steps, processes, fleet)
        outcomes = rules.Outcomes(*read_outcomes(processes.servers.postgres.url, journal))
    counts = checker.check(evidence, GENERAL)
    numbers = {"seed": options.seed, "seconds": round(time.monotonic() - start)}
    numbers |= faults(steps, processes) | facts(outcomes, journal)
    return report(home, numbers, [], rules.check(outcomes) + counts)


def disturbed(
    options: argparse.Namespace,
    steps: Sequence[nemesis.Step],
    processes: DoipProcesses,
    fleet: Sequence[tuple[str, int]],
) -> Evidence:
    """Start the product, send the commands while things go wrong, and gather the evidence."""
    watch_authors(processes.servers.postgres.url)
    vehicles = add_vehicles(processes.servers.postgres.url, fleet)
    processes.start_all()
    about = {"seed": options.seed, "number": options.commands, "seconds": options.seconds}
    load = Load(processes, submissions(options.seed, vehicles), **about)
    load.start()
    nemesis.run(steps, processes, load)
    processes.end_with(load)
    return gather(processes, load.observations, vehicles)


def faults(steps: Sequence[nemesis.Step], processes: DoipProcesses) -> dict[str, int]:
    found = Counter(f"{step.action} {step.target}".split("-")[0] for step in steps)
    return {
        **{f: n for f, n in sorted(found.items()) if f.startswith(("kill", "pause"))},
        "workers killed just before or after sending, or before reading back": (
            processes.killed_at_failpoints
        ),
    }


def read_outcomes(
    database_url: str, journal: Path
) -> tuple[list[rules.Told], list[rules.Asked], list[rules.Asked]]:
    with psycopg.connect(database_url) as connection:
        told = [rules.Told(*row) for row in connection.execute(TOLD)]
        exchanges = [
            rules.Asked(vin, rules.ecu_number(ecu), *rest)
            for vin, ecu, *rest in connection.execute(EXCHANGES)
        ]
    asked = [
        rules.Asked(e["vin"], rules.ecu_number(e["ecu"]), e["request"], e["response"])
        for e in entries(journal)
        if "response" in e
    ]
    return told, asked, exchanges


def entries(journal: Path) -> Iterator[dict[str, Any]]:
    return map(json.loads, journal.read_text().splitlines())


def facts(outcomes: rules.Outcomes, journal: Path) -> dict[str, int]:
    found = Counter(entry["fault"] for entry in entries(journal) if "fault" in entry)
    unsafe = outcomes.unsafe
    ends = Counter(
        f"unsafe, {'done' if outcomes.is_any_done(told) else 'not done'}, told {told.status} "
        f"{told.error_code}".strip()
        for told in unsafe
    )
    return {
        "connections cut": sum(found[cut] for cut in CUTS),
        **{f"… {fault}": number for fault, number in sorted(found.items())},
        "requests that the vehicles answered": len(outcomes.journal),
        "exchanges with a response that were kept": len(outcomes.exchanges),
        "commands": len(outcomes.told),
        "unsafe commands": len(unsafe),
        **{
            f"… {name}": number
            for name, number in Counter(told.command_name for told in unsafe).items()
        },
        **dict(sorted(ends.items())),
    }


if __name__ == "__main__":
    exit_with(run)
