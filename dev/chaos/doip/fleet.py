"""A process of DoIP vehicles that others wrote, each behind a proxy that cuts its connections.

python -m dev.chaos.doip.fleet --count 3 --seed 1 --journal FILE

Prints VIN and port of each as one line of JSON. The journal has a line for each request that an
ECU carried out or refused, and for each fault of a proxy.
"""

import argparse
import asyncio
import json
import logging
import random
import threading
from pathlib import Path
from typing import Any, TextIO

from dev.chaos.doip.commands import CODES, ECUS
from dev.chaos.doip.proxy import Proxy
from dev.servers import free_port
from dev.vehicle import Vehicle


class Journal:
    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._lock = threading.Lock()

    def write(self, entry: dict[str, Any]) -> None:
        with self._lock:
            self._file.write(json.dumps(entry) + "\n")


async def serve(options: argparse.Namespace) -> None:
    with options.journal.open("a", buffering=1) as file:
        journal = Journal(file)
        fleet = [await start(number, options.seed, journal) for number in range(options.count)]
        print(json.dumps(fleet), flush=True)
        await asyncio.get_running_loop().create_future()


async def start(number: int, seed: int, journal: Journal) -> tuple[str, int]:
    """Start a vehicle and its proxy; every second one passes on vehicle identification."""
    vin = f"1M8GDM9AXKP{number:06}"
    codes = dict.fromkeys(ECUS.values(), CODES)
    vehicle = Vehicle(free_port(), vin, journal.write, codes)
    threading.Thread(target=vehicle.serve, daemon=True).start()
    vehicle.is_ready.wait()

    def note(fault: str, request: str) -> None:
        journal.write({"vin": vin, "fault": fault, "request": request})

    proxy = Proxy(vehicle.port, random.Random(f"{seed} {vin}"), note)
    await proxy.start(passes_identification=number % 2 == 0)
    return vin, proxy.port


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dev.chaos.doip.fleet", description=__doc__)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--journal", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    logging.getLogger("doip_server").setLevel(logging.CRITICAL)
    asyncio.run(serve(arguments()))
