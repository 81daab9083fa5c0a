"""What must run inside the product: submit many commands, and time a claim among them.

python -m dev.with_django dev.bench.inside fill NUMBER | claim NUMBER
"""

import json
import sys
import time
from statistics import median

from django.contrib.auth.models import User
from django.db import connection
from django.db.models.functions import Now

from commands import lifecycle
from commands.models import Command
from dev.bench.load import PARAMS
from vehicles.models import Vehicle

AT_ONCE = 1_000
CLAIMS, CLAIMED = 8, 16


def fill(number: int) -> None:
    """Submit so many commands of one user, in turn to each connected vehicle."""
    user = User.objects.get(username="operator")
    vehicles = list(Vehicle.objects.connected())
    for first in range(0, number, AT_ONCE):
        lifecycle.submit_many(
            [
                Command(
                    vehicle=vehicles[place % len(vehicles)],
                    command_name="ReadDataByID",
                    command_params=PARAMS,
                    submitted_by=user,
                )
                for place in range(first, min(number, first + AT_ONCE))
            ]
        )


def claim(number: int) -> None:
    """Print the milliseconds of a claim: with the statistics of an empty table, and with true ones.

    Autovacuum must not run meanwhile.
    """
    _execute("ANALYZE commands_command")
    fill(number)
    Vehicle.objects.connected().update(last_seen_at=Now())
    stale = _claim_ms()
    _execute("VACUUM ANALYZE commands_command")
    print(json.dumps({"claim_stale_ms": stale, "claim_ms": _claim_ms()}))


def _claim_ms() -> float:
    times = []
    for _ in range(CLAIMS):
        start = time.perf_counter()
        claimed = lifecycle.claim(CLAIMED)
        times.append((time.perf_counter() - start) * 1000)
        if len(claimed) != CLAIMED:
            sys.exit(f"{len(claimed)} commands were claimed, and not {CLAIMED}")
    return median(times)


def _execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


if __name__ == "__main__":
    {"fill": fill, "claim": claim}[sys.argv[1]](int(sys.argv[2]))
