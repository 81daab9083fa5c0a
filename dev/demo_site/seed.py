"""Fill the demo site: a fleet, and commands of every kind over the last hours, with their events.

python -m dev.with_django dev.demo_site.seed FILE    (for the IDs of an example of each kind)
"""

import asyncio
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.db.models import DateTimeField, ExpressionWrapper, F, prefetch_related_objects
from django.db.models.functions import Now
from django.utils import timezone

from commands import lifecycle
from commands.campaigns import plan
from commands.lifecycle import claim_statements
from commands.management.commands.demo_data import VEHICLES as DEMO
from commands.models import Batch, Campaign, Command
from vehicles.connectors.base import Exchange, Response, VehicleError
from vehicles.connectors.mock import MockConnector
from vehicles.connectors.mock.car import ECU_NAMES
from vehicles.descriptions import storage
from vehicles.descriptions.models import Description
from vehicles.models import ConnectionStatus, Vehicle

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
SCAN: tuple[str, dict[str, str]] = ("ScanVehicle", {})
COMMANDS: list[tuple[str, dict[str, str]]] = [
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
HOSTILE_RESPONSES: list[dict[str, Any]] = [
    {"type": "dtc", "dtcCode": HOSTILE, "description": HOSTILE, "status": HOSTILE},
    {"type": "dtc", "dtcCode": ["P0113"], "description": {"a": None}, "statusBits": "no list"},
    {"type": "data", "name": HOSTILE, "value": {"__proto__": {"x": 1}}, "unit": [[]]},
    {"type": HOSTILE, HOSTILE: HOSTILE},
    {"__proto__": {"polluted": True}, "constructor": "x", "toString": 1, "type": "summary"},
    {"type": "cleared", "clearedCount": -1e308, "long": "W" * 3000},
    {},
]

ENTRIES = [
    ("dtc", 0x042000, "Catalyst system efficiency below threshold"),
    ("data", 0xD001, "Engine oil temperature"),
    ("data", 0xD002, "Engine oil pressure"),
    ("data", 0xD003, "Engine oil level"),
    ("data", 0xD004, "Coolant temperature"),
    ("data", 0xF189, "Version of the application software"),
    ("routine", 0x0203, "Self-test of the injectors"),
]
LEFT_OUT = [
    ("Scalings of the kind RAT-FUNC are not read.", ["LambdaRead.value", "TorqueRead.value"]),
    ("It reads several identifiers at once.", ["ReadAll"]),
    (HOSTILE, [HOSTILE]),
]

connector = MockConnector(seed=1)


class UnrecordedAttempt:
    """An attempt without evidence."""

    async def about_to_send(self, before: list[str] | None = None) -> None:
        pass

    def record(self, exchange: Exchange) -> None:
        pass


def main() -> None:
    ids = {name: str(key) for name, key in seed().items()}
    Path(sys.argv[1]).write_text(json.dumps(ids))


def seed() -> dict[str, Any]:
    make_fleet()
    connected = [*Vehicle.objects.exclude(connector_settings__online=False)]
    offline = Vehicle.objects.get(vin=DEMO[-1][0])
    make_past(connected[6:])
    before, after = make_scans(connected[-1])
    return {
        "scanned_vehicle": connected[-1].pk,
        "scan_before": before.pk,
        "scan": after.pk,
        "description": make_description(connected[-2]).pk,
        "described_vehicle": connected[-2].pk,
        "vehicle": make_timeline(Vehicle.objects.get(vin=DEMO[0][0])),
        "offline_vehicle": offline.pk,
        "pending": submit(offline).pk,
        "batch": make_batch(connected[6:], offline),
        "campaign": make_campaign().pk,
        "many": completed_with(connected[0], [trouble_code(n) for n in range(MANY)]).pk,
        "hostile": completed_with(connected[2], HOSTILE_RESPONSES).pk,
        "failed": failed(connected[3]).pk,
        "completed": put_back_a_minute(carried_out(submit(connected[4]))).pk,
        "running": running(connected[5]).pk,
    }


def make_fleet() -> None:
    for n, (make, model) in enumerate(islice(cycle(MODELS), FLEET)):
        status = ConnectionStatus.DISCONNECTED if n % 5 == 3 else ConnectionStatus.CONNECTED
        about: dict[str, Any] = {"make": make, "model": model, "year": 2015 + n % 10}
        about |= {"connection_status": status, "connector_settings": {"online": n % 5 != 3}}
        Vehicle.objects.create(vin=f"WVWZZZ1KZ6W{n:06}", **about)
    Vehicle.objects.create(vin="HACKED00000000001", make=HOSTILE, model=HOSTILE)
    Vehicle.objects.create(vin="NAMELESS000000001", connector_settings={"online": False})


def make_description(vehicle: Vehicle) -> Description:
    """Give the ECUs of a vehicle a description, as the import of a file would make it."""
    description = storage.add("engine-control.pdx", [b""])
    storage.take(description, timedelta(minutes=1))
    layers = [
        {"name": "ENGINE", "base": None, "patterns": []},
        {"name": "ENGINE_V2", "base": 0, "patterns": []},
    ]
    left_out = [{"name": name, "reason": reason} for reason, names in LEFT_OUT for name in names]
    report = {"revision": "4.2", "layers": layers, "left_out": left_out}
    entries = ([0, kind, number, name, {}] for kind, number, name in ENTRIES)
    storage.store(description, report, entries)
    for address, name in ECU_NAMES.items():
        vehicle.ecus.create(address=address, name=name, description=description)
    return description


def make_campaign() -> Campaign:
    """Write a draft for all vehicles, which waits for somebody to submit it."""
    about: dict[str, Any] = {"command_name": READ[0], "command_params": READ[1]}
    about |= {"waves": [1, 10, 100], "expires_at": timezone.now() + timedelta(days=30)}
    campaign = Campaign(submitted_by=User.objects.get(username="operator"), **about)
    plan.write(campaign, Vehicle.objects.all())
    return campaign


def submit(
    vehicle: Vehicle, command: tuple[str, dict[str, str]] = READ, by: str = "operator"
) -> Command:
    return lifecycle.submit(User.objects.get(username=by), vehicle, *command)


def carried_out(command: Command) -> Command:
    """Let a mocked vehicle carry it out at once."""
    claim_statements.assign([command])
    try:
        for response in responses_to(command):
            write = lifecycle.complete if response.is_final else lifecycle.respond
            write(command, response.response)
    except VehicleError as error:
        lifecycle.fail(command, error.error_code, str(error))
    return command


def responses_to(command: Command) -> list[Response]:
    prefetch_related_objects([command.vehicle], "ecus")

    async def collect() -> list[Response]:
        name, params = command.command_name, command.command_params
        responses = connector.execute(command.vehicle, name, params, UnrecordedAttempt())
        return [response async for response in responses]

    return asyncio.run(collect())


def make_past(vehicles: list[Vehicle]) -> None:
    usernames = cycle(["operator", "operator", "admin", "operator"])
    commands = cycle(COMMANDS)
    for n, vehicle in enumerate(islice(cycle(vehicles), PAST)):
        command = submit(vehicle, next(commands), next(usernames))
        ended(command, n)
        put_back(command, minutes=(PAST - n) * MINUTES_BETWEEN, seconds=0.4 + n % 7)


def ended(command: Command, n: int) -> None:
    if n % 15 == 11:
        lifecycle.cancel(command)
    elif n % 15 == 9:
        Command.objects.filter(pk=command.pk).update(expires_at=Now())
        lifecycle.expire_overdue()
    elif n % 15 in (3, 7):
        claim_statements.assign([command])
        if n % 15 == 3:
            lifecycle.fail(command, "vehicle_unreachable", UNREACHABLE)
        else:
            lifecycle.time_out(command, SILENT)
    else:
        carried_out(command)


def put_back(command: Command, minutes: float, seconds: float) -> None:
    """Move its times: submitted so long ago, and carried out in so many seconds."""
    begin = timezone.now() - timedelta(minutes=minutes)
    times: Mapping[str, Any] = {
        "started_at": begin + timedelta(seconds=seconds / 10),
        "completed_at": begin + timedelta(seconds=seconds),
    }
    Command.objects.filter(pk=command.pk).update(submitted_at=begin, **times)
    step = timedelta(seconds=seconds) / max(1, command.last_sequence_number - 1)
    at = ExpressionWrapper(begin + (F("sequence_number") - 1) * step, DateTimeField())
    command.events.update(created_at=at)


def put_back_a_minute(command: Command) -> Command:
    put_back(command, minutes=1, seconds=2.1)
    return command


def make_timeline(vehicle: Vehicle) -> Any:
    """Read, clear one code, read, clear all, read."""
    cleared = {"ecuAddress": "0x10", "dtcCode": first_code(vehicle)}
    commands = [READ, ("ClearDTC", cleared), READ, ("ClearDTC", {"ecuAddress": "0x10"}), READ]
    for n, command in enumerate([*commands, ("ReadDTC", {"ecuAddress": "0x20"})]):
        put_back(carried_out(submit(vehicle, command)), minutes=300 - 50 * n, seconds=2)
    return vehicle.pk


def make_scans(vehicle: Vehicle) -> tuple[Command, Command]:
    """Scan, clear the codes of one ECU, and scan again."""
    clear = ("ClearDTC", {"ecuAddress": "0x10"})
    commands = [submit(vehicle, each) for each in (SCAN, clear, SCAN)]
    for n, command in enumerate(commands):
        put_back(carried_out(command), minutes=30 - 10 * n, seconds=2)
    return commands[0], commands[-1]


def first_code(vehicle: Vehicle) -> str:
    command = carried_out(submit(vehicle))
    put_back(command, minutes=350, seconds=2)
    first = command.events.filter(kind="response")[0]
    return str(first.payload["response"]["dtcCode"])


def trouble_code(n: int) -> dict[str, Any]:
    return {
        "type": "dtc",
        "ecuAddress": "0x10",
        "dtcCode": f"P{n:04}",
        "description": "Intake air temperature sensor signal too high",
        "status": "0x28",
        "statusBits": ["confirmedDTC", "testFailedSinceLastClear"],
        "confirmed": True,
    }


def completed_with(vehicle: Vehicle, responses: list[dict[str, Any]]) -> Command:
    command = submit(vehicle)
    claim_statements.assign([command])
    complete_with(command, responses)
    return command


def complete_with(command: Command, responses: Iterable[dict[str, Any]]) -> None:
    sent = [lifecycle.respond(command, response) for response in responses]
    summary = {"type": "summary", "ecuAddress": "0x10", "dtcCount": len(sent)}
    lifecycle.complete(command, summary)


def failed(vehicle: Vehicle) -> Command:
    command = submit(vehicle)
    claim_statements.assign([command])
    lifecycle.fail(command, "vehicle_refused", f"{FORMULA} {HOSTILE}")
    return command


def running(vehicle: Vehicle) -> Command:
    """Make a command that has two responses and waits for the third."""
    command = submit(vehicle)
    claim_statements.assign([command])
    for response in islice(responses_to(command), 2):
        lifecycle.respond(command, response.response)
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
