"""Fills the showroom: a fleet, and commands of every kind over the last hours, each with the log
that it would have. Writes the IDs of an example of each to the file that is named."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sovd.settings")
django.setup(set_prefix=False)

from django.contrib.auth.models import User  # noqa: E402
from django.db.models import DateTimeField, ExpressionWrapper, F  # noqa: E402
from django.utils import timezone  # noqa: E402

from commands import lifecycle  # noqa: E402
from commands.management.commands.demo_data import VEHICLES as DEMO  # noqa: E402
from commands.models import Batch, Command  # noqa: E402
from vehicles.connector import Answer, VehicleError  # noqa: E402
from vehicles.mock_vehicle import MockVehicle  # noqa: E402
from vehicles.models import ConnectionStatus, Vehicle  # noqa: E402

MODELS = [
    ("Honda", "Civic"),
    ("Volkswagen", "Golf"),
    ("Ford", "Transit"),
    ("Toyota", "Yaris Cross"),
    ("Mercedes-Benz", "Sprinter 316 CDI"),
    ("Škoda", "Octavia"),
]
FLEET = 60
PAST = 160  # commands of the last hours
MINUTES_BETWEEN = 0.7
BATCH = 24
MANY = 1000

READ = ("ReadDTC", {"ecuAddress": "0x10"})
ORDERS: list[tuple[str, dict[str, str]]] = [
    READ,
    ("ReadDataByID", {"ecuAddress": "0x10", "dataId": "0x010C"}),
    ("ReadDTC", {"ecuAddress": "0x20"}),
    ("ReadDataByID", {"ecuAddress": "0x10", "dataId": "0xF190"}),
    ("ClearDTC", {"ecuAddress": "0x30"}),
    ("ReadDataByID", {"ecuAddress": "0x10", "dataId": "0x0105"}),
]
UNREACHABLE = "The vehicle cannot be reached. Check that it is online, then send it again."
SILENT = "The vehicle did not answer within 30 s. It may be out of coverage."
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>\u202egnp.exe ${7*7} {{7*7}}"
FORMULA = "=1+1"  # to a spreadsheet
HOSTILE_ANSWERS: list[dict[str, Any]] = [
    {"type": "dtc", "dtcCode": HOSTILE, "description": HOSTILE, "status": HOSTILE},
    {"type": "dtc", "dtcCode": ["P0113"], "description": {"a": None}, "statusBits": "no list"},
    {"type": "data", "name": HOSTILE, "value": {"__proto__": {"x": 1}}, "unit": [[]]},
    {"type": HOSTILE, HOSTILE: HOSTILE},
    {"__proto__": {"polluted": True}, "constructor": "x", "toString": 1, "type": "summary"},
    {"type": "cleared", "clearedCount": -1e308, "long": "W" * 3000},
    {},
]

answering = MockVehicle(seed=1)


def main() -> None:
    ids = {name: str(key) for name, key in furnished().items()}
    Path(sys.argv[1]).write_text(json.dumps(ids))


def furnished() -> dict[str, Any]:
    make_fleet()
    connected = [*Vehicle.objects.filter(connection_status=ConnectionStatus.CONNECTED)]
    offline = Vehicle.objects.get(vin=DEMO[-1][0])
    make_past(connected[6:])
    return {
        "vehicle": make_timeline(Vehicle.objects.get(vin=DEMO[0][0])),
        "offline_vehicle": offline.pk,
        "pending": submit(offline).pk,
        "batch": make_batch(connected[6:], offline),
        "many": make_answers(connected[0], [dtc(n) for n in range(MANY)]).pk,
        "hostile": make_answers(connected[2], HOSTILE_ANSWERS).pk,
        "failed": failed(connected[3]).pk,
        "completed": lately(played(submit(connected[4]))).pk,
        "running": running(connected[5]).pk,
    }


def make_fleet() -> None:
    for n, (make, model) in enumerate(islice(cycle(MODELS), FLEET)):
        status = ConnectionStatus.DISCONNECTED if n % 5 == 3 else ConnectionStatus.CONNECTED
        about = {"make": make, "model": model, "year": 2015 + n % 10, "connection_status": status}
        Vehicle.objects.create(vin=f"WVWZZZ1KZ6W{n:06}", **about)
    Vehicle.objects.create(vin="HACKED00000000001", make=HOSTILE, model=HOSTILE)


def submit(
    vehicle: Vehicle, order: tuple[str, dict[str, str]] = READ, by: str = "operator"
) -> Command:
    return lifecycle.submit(User.objects.get(username=by), vehicle, *order)


def played(command: Command) -> Command:
    """Carried out by a mocked vehicle, at once."""
    lifecycle._take([command])
    try:
        for answer in answers(command):
            write = lifecycle.complete if answer.is_final else lifecycle.respond
            write(command, answer.response)
    except VehicleError as error:
        lifecycle.fail(command, error.error_code, str(error))
    return command


def answers(command: Command) -> list[Answer]:
    async def collect() -> list[Answer]:
        name, params = command.command_name, command.command_params
        return [answer async for answer in answering.execute(command.vehicle, name, params)]

    return asyncio.run(collect())


def make_past(vehicles: list[Vehicle]) -> None:
    people = cycle(["operator", "operator", "admin", "operator"])
    orders = cycle(ORDERS)
    for n, vehicle in enumerate(islice(cycle(vehicles), PAST)):
        command = submit(vehicle, next(orders), next(people))
        ended(command, n)
        put_back(command, minutes=(PAST - n) * MINUTES_BETWEEN, seconds=0.4 + n % 7)


def ended(command: Command, n: int) -> None:
    if n % 15 == 11:
        lifecycle.cancel(command)
    elif n % 15 == 9:
        lifecycle.expire(command)
    elif n % 15 in (3, 7):
        lifecycle._take([command])
        if n % 15 == 3:
            lifecycle.fail(command, "vehicle_unreachable", UNREACHABLE)
        else:
            lifecycle.time_out(command, SILENT)
    else:
        played(command)


def put_back(command: Command, minutes: float, seconds: float) -> None:
    """So long ago it was submitted, and so long it took."""
    begin = timezone.now() - timedelta(minutes=minutes)
    times: Mapping[str, Any] = {
        "started_at": begin + timedelta(seconds=seconds / 10),
        "completed_at": begin + timedelta(seconds=seconds),
    }
    Command.objects.filter(pk=command.pk).update(submitted_at=begin, **times)
    step = timedelta(seconds=seconds) / max(1, command.last_sequence_number - 1)
    at = ExpressionWrapper(begin + (F("sequence_number") - 1) * step, DateTimeField())
    command.events.update(created_at=at)


def lately(command: Command) -> Command:
    put_back(command, minutes=1, seconds=2.1)
    return command


def make_timeline(vehicle: Vehicle) -> Any:
    """Read, one code cleared, read, all cleared, read."""
    cleared = {"ecuAddress": "0x10", "dtcCode": first_code(vehicle)}
    orders = [READ, ("ClearDTC", cleared), READ, ("ClearDTC", {"ecuAddress": "0x10"}), READ]
    for n, order in enumerate([*orders, ("ReadDTC", {"ecuAddress": "0x20"})]):
        put_back(played(submit(vehicle, order)), minutes=300 - 50 * n, seconds=2)
    return vehicle.pk


def first_code(vehicle: Vehicle) -> str:
    command = played(submit(vehicle))
    put_back(command, minutes=350, seconds=2)
    first = command.events.filter(kind="response")[0]
    return str(first.payload["response"]["dtcCode"])


def dtc(n: int) -> dict[str, Any]:
    return {
        "type": "dtc",
        "ecuAddress": "0x10",
        "dtcCode": f"P{n:04}",
        "description": "Intake air temperature sensor signal too high",
        "status": "0x28",
        "statusBits": ["confirmedDTC", "testFailedSinceLastClear"],
        "confirmed": True,
    }


def make_answers(vehicle: Vehicle, responses: list[dict[str, Any]]) -> Command:
    command = submit(vehicle)
    lifecycle._take([command])
    pour(command, responses)
    return command


def pour(command: Command, responses: list[dict[str, Any]]) -> None:
    for response in responses:
        lifecycle.respond(command, response)
    summary = {"type": "summary", "ecuAddress": "0x10", "dtcCount": len(responses)}
    lifecycle.complete(command, summary)


def failed(vehicle: Vehicle) -> Command:
    command = submit(vehicle)
    lifecycle._take([command])
    lifecycle.fail(command, "vehicle_refused", f"{FORMULA} {HOSTILE}")
    return command


def running(vehicle: Vehicle) -> Command:
    """It has given two answers, and takes its time for the third."""
    command = submit(vehicle)
    lifecycle._take([command])
    for answer in islice(answers(command), 2):
        lifecycle.respond(command, answer.response)
    held = timezone.now() + timedelta(days=1)
    Command.objects.filter(pk=command.pk).update(lease_expires_at=held)
    return command


def make_batch(vehicles: list[Vehicle], offline: Vehicle) -> Any:
    batch = Batch.objects.create(
        command_name=READ[0],
        command_params=READ[1],
        submitted_by=User.objects.get(username="operator"),
        vehicle_count=BATCH,
        stop_above_failed_percent=50,
    )
    for command in batch_commands(vehicles, offline):
        Command.objects.filter(pk=command.pk).update(batch=batch)
    return batch.pk


def batch_commands(vehicles: list[Vehicle], offline: Vehicle) -> Iterator[Command]:
    yield submit(offline)
    for n, vehicle in enumerate(vehicles[1:BATCH]):
        if n in (4, 9):
            yield running(vehicle)
        else:
            command = submit(vehicle)
            ended(command, n + 15)
            yield command


if __name__ == "__main__":
    main()
