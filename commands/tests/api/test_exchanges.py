"""Evidence: the exchanges with a real vehicle, as the API shows them."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User

from commands import evidence
from commands.database.threads import in_thread
from commands.models import Command, Exchange
from commands.worker.worker import Worker
from conftest import api, submit
from vehicles.models import Ecu, Vehicle
from vehicles.tests.rigs import DoipRig

COMMANDS = "/api/v1/commands/"
FIELDS = {
    "ecuAddress", "service", "request", "response", "nrc", "nrc_name", "pending_count",
    "started_at", "duration_ms", "sequence_number",
}  # fmt: skip


def keep(command: Command, *requests: str, **fields: Any) -> None:
    """Keep exchanges as a worker does."""
    about: dict[str, Any] = {
        "ecu_address": "0x10",
        "service": "ReadDTCInformation",
        "response": "5902FF04201328",
        "pending_count": 0,
        "started_at": datetime(2026, 3, 1, 12, tzinfo=UTC),
        "duration_ms": 12.25,
    }
    Exchange.objects.bulk_create(
        Exchange(command=command, request=request, **(about | fields)) for request in requests
    )


def exchanges(user: User, command: Command, query: str = "") -> dict[str, Any]:
    response = api(user).get(f"{COMMANDS}{command.pk}/exchanges/{query}")
    assert response.status_code == 200, response.content
    page: dict[str, Any] = response.json()
    return page


def transcript(user: User, command: Command) -> str:
    response = api(user).get(
        f"{COMMANDS}{command.pk}/transcript/", headers={"accept": "text/plain"}
    )
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    return str(response.content.decode())


@pytest.fixture
def command(operator: User, vehicle: Vehicle) -> Command:
    return submit(operator, vehicle)


async def test_each_exchange_with_a_real_vehicle_is_shown(operator: User) -> None:
    def add() -> tuple[Command, Command]:
        target = rig.vehicle()
        settings = dict(target.connector_settings)
        vehicle = Vehicle.objects.create(
            vin=target.vin, connector="doip", connector_settings=settings
        )
        Ecu.objects.create(vehicle=vehicle, address="0x10", logical_address="0x1010")
        unknown = {"ecuAddress": "0x10", "dataId": "0x1234"}
        refused = {"command_name": "ReadDataByID", "command_params": unknown}
        return submit(operator, vehicle), submit(operator, vehicle, refused)

    rig = DoipRig()
    read, refused = await in_thread(add)
    await Worker({"doip": rig.connector}).drain()
    (answered,) = (await in_thread(exchanges, operator, read))["results"]
    assert answered.keys() == FIELDS
    assert (answered["ecuAddress"], answered["service"]) == ("0x10", "ReadDTCInformation")
    assert answered["request"] == "1902FF"
    assert answered["response"].startswith("5902")
    assert (answered["nrc"], answered["nrc_name"]) == (None, "")
    assert answered["duration_ms"] > 0
    assert answered["sequence_number"] == 3
    (negative,) = (await in_thread(exchanges, operator, refused))["results"]
    assert (negative["nrc"], negative["nrc_name"]) == ("0x31", "requestOutOfRange")
    text = await in_thread(transcript, operator, refused)
    assert "> 221234\n  < 7F2231\n  NRC 0x31 requestOutOfRange: " in text
    assert "Check the identifier" in text
    assert f"Vehicle    {rig.vehicle().vin}" in text
    await rig.close()


@pytest.mark.embedded
def test_a_mock_leaves_no_evidence(operator: User, command: Command) -> None:
    assert exchanges(operator, command) == {"next": None, "results": []}
    assert "No exchange with the vehicle was kept." in transcript(operator, command)


def test_an_exchange_without_a_response_says_so(operator: User, command: Command) -> None:
    keep(command, "1902FF", response=None, pending_count=3)
    (row,) = exchanges(operator, command)["results"]
    assert (row["response"], row["pending_count"]) == (None, 3)
    text = transcript(operator, command)
    assert "< (no response)" in text
    assert "response pending (0x78): 3" in text


def test_pages_hold_every_exchange_once(operator: User, command: Command) -> None:
    requests = [f"22{number:04X}" for number in range(evidence.PAGE + 1)]
    keep(command, *requests)
    first = exchanges(operator, command)
    second = exchanges(operator, command, first["next"][first["next"].index("?") :])
    assert len(first["results"]) == evidence.PAGE
    assert second["next"] is None
    found = [row["request"] for row in first["results"] + second["results"]]
    assert found == requests


def test_a_page_of_large_responses_is_short(operator: User, command: Command) -> None:
    keep(command, *map(str, range(12)), response="FF" * 131_072)
    page = exchanges(operator, command)
    assert [row["request"] for row in page["results"]] == ["0", "1", "2"]
    keep(other := submit(operator, command.vehicle), "0", "1", response="FF" * 1_000_000)
    assert len(exchanges(operator, other)["results"]) == 1


def test_a_transcript_is_bounded_and_says_where_the_rest_is(
    operator: User, command: Command
) -> None:
    keep(command, *map(str, range(30)), response="FF" * 131_072)
    text = transcript(operator, command)
    assert len(text) < evidence.MAX_TRANSCRIPT + 2 * evidence.MAX_CHARACTERS
    last = text.splitlines()[-1]
    assert f"/api/v1/commands/{command.pk}/exchanges/?after=" in last
    rest = exchanges(operator, command, last[last.index("?") :])
    assert rest["results"]


@pytest.mark.parametrize("after", ["-1", "x", "1.5", "9" * 20, "%00", "\u0661"])
def test_a_wrong_place_is_refused_by_name(operator: User, command: Command, after: str) -> None:
    response = api(operator).get(f"{COMMANDS}{command.pk}/exchanges/?after={after}")
    assert response.status_code == 400
    if after != "%00":
        assert list(response.json()["fields"]) == ["after"]


def test_a_terminal_obeys_nothing_in_a_transcript(operator: User, command: Command) -> None:
    body = "200\n{}\r\n\x1b[2J\u202e\x07"
    keep(command, "GET /v1/data\x1b]0;owned", response=body)
    text = transcript(operator, command)
    assert not {"\x1b", "\x07", "\u202e", "\r"} & set(text)
    (row,) = exchanges(operator, command)["results"]
    assert row["response"] == body


@pytest.mark.parametrize("part", ["exchanges/", "transcript/"])
@pytest.mark.parametrize("command_id", [uuid4(), "1", "%00"])
def test_there_is_no_evidence_of_no_command(operator: User, part: str, command_id: object) -> None:
    response = api(operator).get(f"{COMMANDS}{command_id}/{part}")
    assert response.status_code in (400, 404)
    assert response.headers["content-type"] == "application/json"
