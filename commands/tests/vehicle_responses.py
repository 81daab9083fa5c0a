"""Commands that were carried out with the responses that a test gives, and the codes then shown."""

from typing import Any

from django.contrib.auth.models import User

from commands import lifecycle
from commands.models import Command
from conftest import ClearDTC, ReadDTC, api, claim_one, submit
from vehicles.models import Vehicle


def shown(user: User, vehicle: Vehicle) -> dict[str, Any]:
    response = api(user).get(f"/api/v1/vehicles/{vehicle.pk}/trouble-codes/")
    assert response.status_code == 200, response.content
    body: dict[str, Any] = response.json()
    return body


def dtc(code: Any, status: Any = "0x2F", **more: Any) -> dict[str, Any]:
    answer = {"type": "dtc", "ecuAddress": "0x10", "dtcCode": code, "status": status}
    return answer | {"description": f"what {code} means"} | more


def read(user: User, vehicle: Vehicle, *answers: dict[str, Any], ecu: str = "0x10") -> Command:
    submit(user, vehicle, ReadDTC | {"command_params": {"ecuAddress": ecu}})
    return carry_out(*answers)


def read_masked(user: User, vehicle: Vehicle, mask: str, *answers: dict[str, Any]) -> Command:
    params = {"ecuAddress": "0x10", "statusMask": mask}
    submit(user, vehicle, ReadDTC | {"command_params": params})
    return carry_out(*answers)


def clear(user: User, vehicle: Vehicle, **params: str) -> Command:
    """Clear codes as a vehicle does that says no more than that it did."""
    submit(user, vehicle, ClearDTC | {"command_params": {"ecuAddress": "0x10"} | params})
    return carry_out()


def clear_verified(user: User, vehicle: Vehicle, code: str = "", **fields: Any) -> Command:
    """Clear codes as a vehicle does whose codes are read before and after."""
    params = {"ecuAddress": "0x10"} | ({"dtcCode": code} if code else {})
    submit(user, vehicle, ClearDTC | {"command_params": params})
    return carry_out(final={"type": "cleared", "ecuAddress": "0x10"} | fields)


def ecu(address: Any, *codes: Any, **more: Any) -> dict[str, Any]:
    """Return the response of a scan about one ECU."""
    about = {"name": "", "reachable": True, "problem": "", "identification": {}}
    return {"type": "ecu", "ecuAddress": address, "dtcs": list(codes)} | about | more


def scan(user: User, vehicle: Vehicle, *ecus: dict[str, Any]) -> Command:
    submit(user, vehicle, {"command_name": "ScanVehicle", "command_params": {}})
    return carry_out(*ecus, final={"type": "scan"})


def carry_out(*answers: dict[str, Any], final: dict[str, Any] | None = None) -> Command:
    command = claim_one()
    for answer in answers:
        lifecycle.respond(command, answer)
    lifecycle.complete(command, final or {"type": "summary"})
    command.refresh_from_db()
    return command


def changes(body: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["change"], each["dtc_code"]) for each in body["timeline"]]


def codes(body: dict[str, Any]) -> list[str]:
    return [each["dtc_code"] for each in body["stored"]]
