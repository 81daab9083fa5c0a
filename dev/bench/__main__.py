"""`make bench`: measure the product and its yardsticks on this machine.

Servers run on one core and the load on another. Times and rates are scaled by a loop that runs
before and after each measurement, to a machine on which it takes 10 ms.
"""

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

from dev.bench.load import Failed
from dev.bench.machine import CORES, LOAD, NOMINAL_MS, Usage, loop_ms, pinned_to
from dev.bench.measures import MEASURES
from dev.bench.measures.run import Run, Scale
from dev.bench.product import Bench
from dev.bench.report import scaled, summary, table, worse
from dev.processes import ROOT
from dev.servers import ServerError

BASELINE = Path(__file__).with_name("baseline.json")
MOST_FOREIGN = 0.05  # cores that other processes may use
FULL = Scale(seconds=5.0, streams=500, queue=2_000, waiting=20_000)
QUICK = Scale(seconds=1.5, streams=100, queue=300, waiting=2_000)


class Busy(Exception):
    """Error for figures of a machine that others used meanwhile."""


def main() -> None:
    options = arguments()
    try:
        with pinned_to(LOAD):
            report = measure(options)
    except (ServerError, Failed, Busy) as error:
        sys.exit(f"bench: {error}")
    for line in lines(report):
        print(line)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    if options.check:
        check(report)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dev.bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=[*MEASURES], help="may be repeated")
    parser.add_argument("--runs", type=int, help="of each measurement (3)")
    parser.add_argument("--quick", action="store_true", help="one short run: a hint, no figure")
    parser.add_argument("--force", action="store_true", help="report in spite of other processes")
    parser.add_argument("--json", type=Path, help="write the report to this file")
    parser.add_argument("--check", action="store_true", help=f"compare with {BASELINE.name}")
    return parser.parse_args()


def measure(options: argparse.Namespace) -> dict[str, Any]:
    names = options.only or [*MEASURES]
    scale, runs = (QUICK, 1) if options.quick else (FULL, 3)
    home = ROOT / "var" / "bench"
    shutil.rmtree(home, ignore_errors=True)
    figures: dict[str, Any] = {}
    foreign: list[float] = []
    with Bench(home, web=3, workers=3) as bench:
        for name in names:
            found: list[dict[str, float]] = []
            for _ in range(options.runs or runs):
                result, others = one(name, Run(bench, scale), is_forced=options.force)
                found.append(result)
                foreign.append(others)
            figures |= summary(found)
            print(f"bench: {name}", file=sys.stderr, flush=True)
    return {"machine": machine(foreign, is_quick=options.quick), "figures": figures}


def one(name: str, run: Run, *, is_forced: bool) -> tuple[dict[str, float], float]:
    """Return the scaled figures, and the cores that other processes used meanwhile."""
    before, start = loop_ms(), Usage.now({})
    figures = asyncio.run(MEASURES[name](run))
    used = Usage.now({}).since(start)
    others = max(0.0, used.others / used.at)
    if others > MOST_FOREIGN and not is_forced:
        raise Busy(
            f"other processes used {others:.2f} cores during {name!r}: stop them, or --force"
        )
    return scaled(figures, mean([before, loop_ms()]) / NOMINAL_MS), others


def machine(foreign: list[float], *, is_quick: bool) -> dict[str, Any]:
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return {
        "commit": commit,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cores": len(CORES),
        "load_average": os.getloadavg()[0],
        "others_cores": max(foreign),
        "is_quick": is_quick,
    }


def lines(report: dict[str, Any]) -> Iterator[str]:
    about = report["machine"]
    load = f"load average {about['load_average']:.1f}"
    yield f"commit {about['commit']}, {about['cores']} cores, {load}"
    if about["others_cores"] > MOST_FOREIGN:
        yield f"NOT ALONE: other processes used up to {about['others_cores']:.2f} cores"
    yield from table(report["figures"])


def check(report: dict[str, Any]) -> None:
    if not BASELINE.exists():
        sys.exit(f"bench: there is no {BASELINE.name} yet: make it with --json on a quiet machine")
    baseline = json.loads(BASELINE.read_text())
    if problems := [*worse(report["figures"], baseline["figures"])]:
        sys.exit("\n".join(["bench: worse than the baseline:", *problems]))
    print("bench: nothing is worse than the baseline")


if __name__ == "__main__":
    main()
