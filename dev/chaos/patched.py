"""The product with failpoints, with a journal of its vehicles, or with one guard taken out.

python -m dev.with_django dev.chaos.patched --failpoints after_commit=kill@2 manage.py runworker
"""

import argparse
import runpy
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import cast
from unittest.mock import patch

from dev.chaos.failpoints import Failpoints
from dev.chaos.journal import Journal, WatchedConnector
from dev.chaos.mutants import MUTANTS
from vehicles import connectors
from vehicles.connectors.base import Connector


def main() -> None:
    options = arguments()
    failpoints = Failpoints(options.failpoints)
    journal = Journal(options.journal) if options.journal else None
    make_connectors = connectors.make_connectors

    def make_watched_connectors(names: Iterable[str]) -> dict[str, Connector]:
        made = make_connectors(names).items()
        return {n: cast(Connector, WatchedConnector(c, journal, failpoints)) for n, c in made}

    if options.mutant:
        MUTANTS[options.mutant]()
    with (
        failpoints.armed(),
        patch.object(connectors, "make_connectors", make_watched_connectors),
    ):
        run(options.program)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.chaos.patched", description=__doc__)
    parser.add_argument("--failpoints", default="", help="see dev/chaos/failpoints.py")
    parser.add_argument("--journal", type=Path, help="directory for the requests to vehicles")
    parser.add_argument("--mutant", choices=MUTANTS, help="see dev/chaos/mutants.py")
    parser.add_argument("program", nargs=argparse.REMAINDER, help="manage.py …")
    return parser.parse_args()


def run(program: list[str]) -> None:
    sys.argv = program
    if program[0] == "manage.py":
        runpy.run_path(program[0], run_name="__main__")
    else:
        runpy.run_module(program[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
