"""The command types: their parameters, the rights they need, and the vehicles that can get them."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission, User

from commands.database.threads import in_thread
from commands.models import Batch, Command
from conftest import ReadDTC, api, drain, log_of, make_user, make_vehicle, submit
from vehicles.connectors import CONNECTORS
from vehicles.connectors.mock import CHANGES_THE_VEHICLE, MockConnector
from vehicles.models import Ecu, Vehicle
from vehicles.tests.targets import responses

COMMANDS = "/api/v1/commands/"
BATCHES = "/api/v1/batches/"
DOCUMENT = (Path(settings.BASE_DIR) / "docs/commands.md").read_text()

ENGINE = {"ecuAddress": "0x10"}
# One right body of each type.
BODIES: dict[str, dict[str, Any]] = {
    "ReadDTC": ENGINE | {"statusMask": "0x08"},
    "ReadDTCSnapshot": ENGINE | {"dtcCode": "P0420", "recordNumber": 1},
    "ClearDTC": ENGINE | {"dtcCode": "P0420"},
    "ReadDataByID": ENGINE | {"dataId": "0xF190"},
    "WriteDataByID": ENGINE | {"dataId": "0xF198", "data": "01a4"},
    "RoutineControl": ENGINE | {"routineId": "0x0203", "action": "start", "data": "FF"},
    "ECUReset": ENGINE | {"resetType": "hard"},
    "ScanVehicle": {},
}
INTRUSIVE = ["WriteDataByID", "RoutineControl", "ECUReset"]


def body_of(name: str, **params: Any) -> dict[str, Any]:
    return {"command_name": name, "command_params": BODIES[name] | params}


def post(user: User | None, vehicle: Vehicle, body: dict[str, Any]) -> Any:
    return api(user).post(COMMANDS, {"vehicle_id": str(vehicle.pk), **body})


def complaints(response: Any) -> dict[str, list[str]]:
    assert (response.status_code, response.json()["code"]) == (400, "invalid"), response.content
    fields: dict[str, list[str]] = response.json()["fields"]
    return fields


@pytest.fixture
def engineer(transactional_db: None) -> User:
    """A user who may send intrusive commands to one vehicle at a time."""
    return make_user("engineer", "add_command", "send_intrusive")


@pytest.fixture
def fleet_admin(transactional_db: None) -> User:
    return make_user("fleet_admin", "add_command", "send_intrusive", "send_unsafe_to_many")


def types_of(user: User) -> dict[str, dict[str, Any]]:
    page = api(user).get("/api/v1/command-types/").json()
    assert (page["next"], page["previous"]) == (None, None)
    return {each["name"]: each for each in page["results"]}


# The list


def test_the_list_says_of_each_type_how_and_by_whom_it_may_be_sent(viewer: User) -> None:
    types = types_of(viewer)

    assert types.keys() == BODIES.keys()
    for each in types.values():
        assert each.keys() == {
            *("name", "description", "schema", "safe_to_repeat", "permission", "connectors")
        }
    safe = {name for name, each in types.items() if each["safe_to_repeat"]}
    assert safe == BODIES.keys() - CHANGES_THE_VEHICLE
    assert {name: each["permission"] for name, each in types.items() if each["permission"]} == (
        dict.fromkeys(INTRUSIVE, "commands.send_intrusive")
    )
    for name, each in types.items():
        able = [connector for connector in CONNECTORS.values() if name in connector.command_names]
        assert each["connectors"] == [connector.name for connector in able]
        assert "mock" in each["connectors"]


ADDRESS = ("^0x([0-9A-Fa-f]{2}){1,2}$", 6)
CODE = ("^[PCBUpcbu][0-3][0-9A-Fa-f]{3}(-[0-9A-Fa-f]{2})?$", 8)
IDENTIFIER = ("^0x[0-9A-Fa-f]{4}$", 6)
DATA = ("^([0-9A-Fa-f]{2})+$", 8182)


def test_the_parameters_of_each_type(viewer: User) -> None:
    schemas = {name: each["schema"] for name, each in types_of(viewer).items()}

    assert {name: schema["required"] for name, schema in schemas.items()} == {
        "ReadDTC": ["ecuAddress"],
        "ReadDTCSnapshot": ["ecuAddress", "dtcCode"],
        "ClearDTC": ["ecuAddress"],
        "ReadDataByID": ["ecuAddress", "dataId"],
        "WriteDataByID": ["ecuAddress", "dataId", "data"],
        "RoutineControl": ["ecuAddress", "routineId", "action"],
        "ECUReset": ["ecuAddress", "resetType"],
        "ScanVehicle": [],
    }
    assert {name: rules(schema) for name, schema in schemas.items()} == {
        "ReadDTC": {"ecuAddress": ADDRESS, "statusMask": ("^0x[0-9A-Fa-f]{2}$", 4)},
        "ReadDTCSnapshot": {"ecuAddress": ADDRESS, "dtcCode": CODE, "recordNumber": (0, 255)},
        "ClearDTC": {"ecuAddress": ADDRESS, "dtcCode": CODE},
        "ReadDataByID": {"ecuAddress": ADDRESS, "dataId": IDENTIFIER},
        "WriteDataByID": {"ecuAddress": ADDRESS, "dataId": IDENTIFIER, "data": DATA},
        "RoutineControl": {
            "ecuAddress": ADDRESS,
            "routineId": IDENTIFIER,
            "action": ["start", "stop", "results"],
            "data": DATA,
        },
        "ECUReset": {"ecuAddress": ADDRESS, "resetType": ["hard", "keyOffOn", "soft"]},
        "ScanVehicle": {},
    }


def rules(schema: dict[str, Any]) -> dict[str, Any]:
    assert (schema["type"], schema["additionalProperties"]) == ("object", False)
    return {name: rule(each) for name, each in schema["properties"].items()}


def rule(schema: dict[str, Any]) -> Any:
    if schema["type"] == "integer":
        return schema["minimum"], schema["maximum"]
    return schema.get("enum") or (schema["pattern"], schema["maxLength"])


# Submissions


@pytest.mark.embedded
@pytest.mark.parametrize("name", BODIES)
async def test_each_type_is_carried_out_by_a_mocked_vehicle(
    engineer: User, vehicle: Vehicle, name: str
) -> None:
    command = await in_thread(submit, engineer, vehicle, body_of(name))
    await drain()
    *_, final, end = await in_thread(log_of, engineer, command)

    assert (end["event"], end.get("status")) == ("status", "completed"), end
    assert final["is_final"]
    assert final["response"]["type"] != "generic"


@pytest.mark.parametrize(
    ("name", "params", "stored"),
    [
        ("ReadDTC", {"ecuAddress": "0xaF"}, {"ecuAddress": "0xaF"}),
        ("ReadDTC", {"ecuAddress": "0x00aF"}, {"ecuAddress": "0x00aF"}),
        ("ClearDTC", {"dtcCode": "p0420"}, {"dtcCode": "P0420"}),
        ("ClearDTC", {"dtcCode": "u3fff-1a"}, {"dtcCode": "U3FFF-1A"}),
        ("ReadDTCSnapshot", {"dtcCode": "b1234-00"}, {"dtcCode": "B1234-00"}),
        ("ReadDTCSnapshot", {"recordNumber": 7.0}, {"recordNumber": 7}),
        ("WriteDataByID", {"data": "ff" * 4_091}, {"data": "ff" * 4_091}),
    ],
)
def test_parameters_are_stored_as_they_are_sent_to_vehicles(
    engineer: User, vehicle: Vehicle, name: str, params: Any, stored: Any
) -> None:
    found = submit(engineer, vehicle, body_of(name, **params)).command_params

    assert found == BODIES[name] | stored
    assert {key: type(found[key]) for key in stored} == {
        key: type(value) for key, value in stored.items()
    }


def test_a_batch_stores_its_parameters_alike(fleet_admin: User, vehicle: Vehicle) -> None:
    body = {"vehicle_ids": [str(vehicle.pk)], "vehicle_count": 1}
    response = api(fleet_admin).post(BATCHES, body | body_of("ClearDTC", dtcCode="p0420-1a"))

    assert response.status_code == 201, response.content
    for rows in (Batch.objects, Command.objects):
        assert rows.get().command_params["dtcCode"] == "P0420-1A"


TEXTS = ["", " ", "P0420 ", "P0420\n", "P0420\u2028", "P0420-", "P0420-1", "P0420-13\n", "P4420"]


WRONG_VALUES: dict[tuple[str, str], list[Any]] = {
    ("ClearDTC", "dtcCode"): [*TEXTS, "X0420", "P0420-135", None, 420],
    ("ReadDTC", "ecuAddress"): ["0x1", "0x101", "0x10\n", "0x1010\n", "0x10101", "0X10", "16", 16],
    ("ReadDTC", "statusMask"): ["0x8", "0x08\n", "0x0008", 8, None],
    ("ReadDTCSnapshot", "recordNumber"): ["1", 1.5, -1, 256, True, None, [1], 10**400],
    ("WriteDataByID", "data"): ["", "1", "01A", "01 A4", "0x01", "01\n", "ff" * 4_092, 1, None],
    ("RoutineControl", "routineId"): ["0x02", "0x0203\n", 515],
    ("RoutineControl", "action"): ["", "Start", "begin", 1, ["start"]],
    ("ECUReset", "resetType"): ["", "HARD", "0x01", None, {}],
    ("ScanVehicle", "ecuAddress"): ["0x10", None],
}
WRONG = [(*place, value) for place, values in WRONG_VALUES.items() for value in values]


@pytest.mark.parametrize(("name", "parameter", "value"), WRONG)
def test_a_wrong_parameter_is_refused_by_name(
    engineer: User, vehicle: Vehicle, name: str, parameter: str, value: Any
) -> None:
    fields = complaints(post(engineer, vehicle, body_of(name, **{parameter: value})))

    assert fields.keys() == {f"command_params.{parameter}"}
    assert len(fields[f"command_params.{parameter}"]) == 1
    assert not Command.objects.exists()


@pytest.mark.parametrize("name", BODIES)
def test_a_missing_parameter_is_refused_by_name(
    engineer: User, vehicle: Vehicle, name: str
) -> None:
    required = types_of(engineer)[name]["schema"]["required"]
    body = {"command_name": name, "command_params": {}}
    response = post(engineer, vehicle, body)

    if required:
        fields = complaints(response)
        assert fields.keys() == {f"command_params.{parameter}" for parameter in required}
    else:
        assert response.status_code == 201


# Rights


def codes_of(user: User | None, vehicle: Vehicle) -> dict[str, int]:
    return {name: post(user, vehicle, body_of(name)).status_code for name in BODIES}


def batch_codes_of(user: User | None, vehicle: Vehicle) -> dict[str, int]:
    choice = {"vehicle_ids": [str(vehicle.pk)], "vehicle_count": 1}
    return {name: api(user).post(BATCHES, choice | body_of(name)).status_code for name in BODIES}


def answered(code: int, *but: tuple[list[str], int]) -> dict[str, int]:
    """Return the code for each type, but for the types that are named with another code."""
    others = {name: other for names, other in but for name in names}
    return dict.fromkeys(BODIES, code) | others


@pytest.mark.embedded
def test_an_intrusive_command_to_one_vehicle_needs_the_right_to_send_them(
    operator: User, viewer: User, engineer: User, fleet_admin: User, vehicle: Vehicle
) -> None:
    watcher = make_user("watcher", "view_command", "send_intrusive")

    assert codes_of(operator, vehicle) == answered(201, (INTRUSIVE, 403))
    assert codes_of(engineer, vehicle) == answered(201)
    assert codes_of(fleet_admin, vehicle) == answered(201)
    assert codes_of(viewer, vehicle) == answered(403)
    assert codes_of(watcher, vehicle) == answered(403)
    assert codes_of(None, vehicle) == answered(401)


@pytest.mark.embedded
def test_an_intrusive_command_to_many_vehicles_needs_both_rights(
    operator: User, viewer: User, engineer: User, fleet_admin: User, vehicle: Vehicle
) -> None:
    clearer = make_user("clearer", "add_command", "send_unsafe_to_many")
    unsafe = ["ClearDTC", *INTRUSIVE]

    assert batch_codes_of(operator, vehicle) == answered(201, (unsafe, 403))
    assert batch_codes_of(engineer, vehicle) == answered(201, (unsafe, 403))
    assert batch_codes_of(clearer, vehicle) == answered(201, (INTRUSIVE, 403))
    assert batch_codes_of(fleet_admin, vehicle) == answered(201)
    assert batch_codes_of(viewer, vehicle) == answered(403)
    assert batch_codes_of(None, vehicle) == answered(401)


def test_a_refusal_names_the_permission_that_is_missing(operator: User, vehicle: Vehicle) -> None:
    refused = post(operator, vehicle, body_of("ECUReset"))

    assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")
    assert "commands.send_intrusive" in refused.json()["detail"]
    assert not Command.objects.exists()


def test_the_right_counts_at_the_moment_of_the_submission(operator: User, vehicle: Vehicle) -> None:
    right = Permission.objects.get(codename="send_intrusive")
    codes = []
    for change in (operator.user_permissions.add, operator.user_permissions.remove):
        change(right)
        codes.append(post(operator, vehicle, body_of("ECUReset")).status_code)

    assert codes == [201, 403]


# Vehicles


def test_a_vehicle_whose_connector_cannot_carry_it_out_is_refused(
    operator: User, vehicle: Vehicle
) -> None:
    other = make_vehicle(2, connector="carrier_pigeon")

    [complaint] = complaints(post(operator, other, ReadDTC))["command_name"]

    assert complaint == (
        f"The connector carrier_pigeon of {other.vin} cannot carry out ReadDTC. "
        "Choose another command or vehicle."
    )
    assert not Command.objects.exists()


def test_a_batch_with_such_a_vehicle_is_refused_whole(operator: User, vehicle: Vehicle) -> None:
    others = [make_vehicle(number, connector="carrier_pigeon") for number in (2, 3)]
    chosen = [str(each.pk) for each in [vehicle, *others]]

    fields = complaints(api(operator).post(BATCHES, ReadDTC | {"vehicle_ids": chosen}))

    assert "and 1 more cannot carry out ReadDTC" in fields["command_name"][0]
    assert not Command.objects.exists()


async def test_the_ecus_of_a_mocked_vehicle_can_be_configured(
    operator: User, vehicle: Vehicle
) -> None:
    await in_thread(Ecu.objects.create, vehicle=vehicle, address="0x001a", name="Gateway")
    scan = await in_thread(submit, operator, vehicle, body_of("ScanVehicle"))
    read = await in_thread(
        submit,
        operator,
        vehicle,
        {"command_name": "ReadDTC", "command_params": {"ecuAddress": "0x1a"}},
    )
    await drain()

    responses = [
        frame["response"]
        for command in (scan, read)
        for frame in await in_thread(log_of, operator, command)
        if "response" in frame
    ]
    told = [(each["type"], each.get("ecuAddress"), each.get("name")) for each in responses]
    assert told == [
        ("ecu", "0x001A", "Gateway"),
        ("scan", None, None),
        ("summary", "0x001A", None),
    ]


# The document


def rows_below(head: str) -> list[list[str]]:
    """Return the cells of the table of docs/commands.md that has this head."""
    lines = DOCUMENT.partition(head)[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def names_in(cell: str) -> tuple[list[str], list[str]]:
    """Return the required and the optional names in a cell."""
    required, _, optional = cell.partition("optional")
    return re.findall(r"`(\w+)`", required), re.findall(r"`(\w+)`", optional)


def test_the_document_lists_every_type_with_its_parameters_and_rights(viewer: User) -> None:
    documented = {}
    for name, parameters, services, safe, permission in rows_below("| name | parameters |"):
        required, optional = names_in(parameters)
        documented[name.strip("`")] = (
            required,
            {*required, *optional},
            services,
            safe == "yes",
            permission.strip("`") or None,
        )

    assert documented == {
        name: (
            each["schema"]["required"],
            each["schema"]["properties"].keys(),
            each["description"].partition("(UDS ")[2].removesuffix(")."),
            each["safe_to_repeat"],
            each["permission"],
        )
        for name, each in types_of(viewer).items()
    }
    explained = {row[0].strip("`") for row in rows_below("| parameter | form |")}
    assert explained == {
        name for each in types_of(viewer).values() for name in each["schema"]["properties"]
    }


@pytest.mark.parametrize("name", BODIES)
async def test_the_document_lists_the_responses_to_each_type_with_their_fields(name: str) -> None:
    order = {row[0].strip("`"): names_in(row[1])[0] for row in rows_below("| command | resp")}
    fields = {row[0].strip("`"): names_in(row[1]) for row in rows_below("| `type` | fields |")}

    found = await responses(MockConnector(), name, BODIES[name])

    assert list(dict.fromkeys(each["type"] for each in found)) == order[name]
    for each in found:
        required, optional = fields[each["type"]]
        assert {"type", *required} <= each.keys() <= {"type", *required, *optional}
