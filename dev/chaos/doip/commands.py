"""The commands of a campaign with DoIP vehicles, and the UDS requests that they stand for.

No two commands of a vehicle share a request that changes it: its journal tells them apart. The
requests are written down here a second time, without the code of the product.
"""

import random
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from dev.clients import Submission, Vehicle
from dev.vehicle import BRAKES, ENGINE, REPAIR_SHOP_CODE, SELF_TEST, TRANSMISSION

ECUS = {"0x10": ENGINE, "0x18": TRANSMISSION, "0x28": BRAKES}
CLEARED_AS_A_WHOLE = "0x28"
CLEARED_BY_CODE = ("0x10", "0x18")

# Raw codes without the failure type: those with two of them, and those with one.
PAIRS = range(0x0200, 0x0206)
SINGLES = range(0x0300, 0x0314)
FAILURE_TYPES = (0x00, 0x13)
CONFIRMED = 0x2F
CODES = {
    **{raw << 8 | failure: CONFIRMED for raw in PAIRS for failure in FAILURE_TYPES},
    **{raw << 8 | FAILURE_TYPES[1]: CONFIRMED for raw in SINGLES},
}

DATA_IDS = ("0xF190", "0xF187", "0xF189", "0xF18C", "0xF40C", "0xF405")
ACTIONS = {"start": 1, "stop": 2, "results": 3}

UNSAFE = {"ClearDTC": 0x14, "WriteDataByID": 0x2E, "RoutineControl": 0x31}


def submissions(seed: int, vehicles: Sequence[Vehicle]) -> Iterator[Submission]:
    """Yield different commands: as many for each vehicle, and for as long as there are more."""
    chance = random.Random(f"{seed} DoIP submissions")
    commands = {vehicle.vin: _commands(chance) for vehicle in vehicles}
    while True:
        for vehicle in chance.sample(vehicles, len(vehicles)):
            name, params = next(commands[vehicle.vin])
            cancel_after = chance.uniform(0, 3) if chance.random() < 0.1 else None
            yield Submission(vehicle, name, params, cancel_after)


def _commands(chance: random.Random) -> Iterator[tuple[str, dict[str, str]]]:
    clears, reads, numbers = iter(_clears(chance)), iter(_reads(chance)), count(1)
    while True:
        ecu, data = chance.choice(tuple(ECUS)), f"{next(numbers):08X}"
        kind = chance.random()
        if kind < 0.5 and (clear := next(clears, None)):
            yield "ClearDTC", clear
        elif kind < 0.7:
            params = {"ecuAddress": ecu, "dataId": f"0x{REPAIR_SHOP_CODE:04X}", "data": data}
            yield "WriteDataByID", params
        elif kind < 0.8:
            action, routine = chance.choice(tuple(ACTIONS)), f"0x{SELF_TEST:04X}"
            params = {"ecuAddress": ecu, "routineId": routine, "action": action, "data": data}
            yield "RoutineControl", params
        else:
            yield next(reads)


def _clears(chance: random.Random) -> list[dict[str, str]]:
    clears = [{"ecuAddress": CLEARED_AS_A_WHOLE}]
    for ecu in CLEARED_BY_CODE:
        codes = [f"P{raw:04X}" for raw in PAIRS]
        codes += [f"P{raw:04X}-{FAILURE_TYPES[1]:02X}" for raw in SINGLES]
        clears += [{"ecuAddress": ecu, "dtcCode": code} for code in codes]
    return chance.sample(clears, len(clears))


def _reads(chance: random.Random) -> list[tuple[str, dict[str, str]]]:
    reads = [
        ("ReadDTC", {"ecuAddress": ecu, "statusMask": f"0x{mask:02X}"})
        for ecu in ECUS
        for mask in range(1, 256)
    ]
    reads += [
        ("ReadDataByID", {"ecuAddress": ecu, "dataId": data_id})
        for ecu in ECUS
        for data_id in DATA_IDS
    ]
    return chance.sample(reads, len(reads))


def unsafe_requests(command_name: str, params: dict[str, Any]) -> list[str]:
    """Return the requests that carry out a command which is not safe to repeat."""
    if command_name == "ClearDTC":
        code = params.get("dtcCode", "")
        groups = _groups(code) if code else ["FFFFFF"]
        return [f"14{group}" for group in groups]
    if command_name == "WriteDataByID":
        return [f"2E{params['dataId'][2:]}{params['data']}"]
    if command_name == "RoutineControl":
        return [f"31{ACTIONS[params['action']]:02X}{params['routineId'][2:]}{params['data']}"]
    return []


def _groups(code: str) -> list[str]:
    base, _, failure = code[1:].partition("-")
    return [f"{base}{failure}"] if failure else [f"{base}{kind:02X}" for kind in FAILURE_TYPES]
