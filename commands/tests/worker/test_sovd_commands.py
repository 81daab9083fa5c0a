"""Commands of people to a vehicle with an SOVD server, from the API to the server and back."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django.fixtures import Settings

from commands import lifecycle
from commands.database.threads import in_thread
from commands.models import Command
from commands.worker.worker import Worker
from conftest import ClearDTC, ReadDTC, api, log_of, mark_seen, row, submit, until
from vehicles.connectors.sovd.connector import SovdConnector
from vehicles.models import Ecu, Vehicle
from vehicles.tests.sovd_vehicle import CLIENT_ID, CLIENT_SECRET, ENGINE, SovdVehicle
from vehicles.tests.targets import VIN

STORED = ["P0420-13", "P0420-00", "P0171-00"]


@pytest.fixture
async def server() -> AsyncIterator[SovdVehicle]:
    made = SovdVehicle(VIN)
    made.tokens = set()
    made.peer.start()
    yield made
    made.may_answer.set()
    await made.peer.stop()


@pytest.fixture
async def vehicle(transactional_db: None, server: SovdVehicle) -> Vehicle:
    return await in_thread(add, server)


def add(server: SovdVehicle) -> Vehicle:
    settings = {
        "url": server.origin,
        "client_id": CLIENT_ID,
        "token_url": f"{server.origin}/token",
    }
    vehicle: Vehicle = Vehicle.objects.create(
        vin=server.vin,
        connector="sovd",
        connector_settings=settings,
        connector_secrets={"client_secret": CLIENT_SECRET},
    )
    Ecu.objects.create(vehicle=vehicle, address="0x10", component="engine")
    return vehicle


async def drain() -> None:
    await Worker({"sovd": SovdConnector()}).drain()


async def sent(operator: User, vehicle: Vehicle, body: dict[str, Any]) -> Command:
    return await in_thread(submit, operator, vehicle, body)


async def ended(command: Command) -> Command:
    return await in_thread(row, command)


async def test_a_vehicle_is_probed_read_and_its_evidence_shows_no_secret(
    operator: User, vehicle: Vehicle, server: SovdVehicle
) -> None:
    command = await sent(operator, vehicle, ReadDTC)

    await drain()

    assert (await ended(command)).status == "completed"
    log = await in_thread(log_of, operator, command)
    codes = [frame["response"].get("dtcCode") for frame in log if "response" in frame]
    assert codes == [*STORED, "P0300-00", None]
    shown = await in_thread(api(operator).get, f"/api/v1/commands/{command.pk}/exchanges/")
    exchanges = shown.json()["results"]
    assert exchanges[-1]["request"] == f"GET {ENGINE}/faults"
    assert exchanges[-1]["response"].startswith('200 {"items"')
    transcript = await in_thread(api(operator).get, f"/api/v1/commands/{command.pk}/transcript/")
    for text in (shown.content.decode(), transcript.content.decode()):
        assert CLIENT_SECRET not in text
        assert "token-1" not in text


@pytest.mark.parametrize("fault", ["cut after a clear", "malformed clear"])
async def test_a_clear_whose_answer_was_lost_is_completed_by_reading_back(
    operator: User, vehicle: Vehicle, server: SovdVehicle, fault: str
) -> None:
    server.fault = fault
    command = await sent(operator, vehicle, ClearDTC)

    await drain()

    assert (await ended(command)).status == "completed"
    log = await in_thread(log_of, operator, command)
    [cleared] = [frame["response"] for frame in log if "response" in frame]
    assert (cleared["before"], cleared["remaining"], cleared["verified"]) == (STORED, [], True)
    assert server.carried_out == ["clear"]
    assert server.arrived("DELETE") == 1


async def test_a_clear_that_never_arrived_is_of_unknown_outcome_and_not_repeated(
    operator: User, vehicle: Vehicle, server: SovdVehicle
) -> None:
    server.fault = "cut before a clear"
    command = await sent(operator, vehicle, ClearDTC)

    await drain()

    command = await ended(command)
    assert (command.status, command.error_code) == ("failed", "outcome_unknown")
    assert "still stores P0420-13" in command.error_message
    assert server.arrived("DELETE") == 1
    assert server.carried_out == []


async def test_another_worker_reads_back_for_one_that_was_lost_and_sends_nothing(
    operator: User, vehicle: Vehicle, server: SovdVehicle
) -> None:
    command = await sent(operator, vehicle, ClearDTC)
    await in_thread(lose_worker_after_sending, vehicle)
    server.codes.clear()

    await drain()

    assert (await ended(command)).status == "completed"
    assert server.arrived("DELETE") == 0


def lose_worker_after_sending(vehicle: Vehicle) -> None:
    """Claim the command, note that it is sent with these codes stored, and let the lease lapse."""
    Vehicle.objects.filter(pk=vehicle.pk).update(connection_status="connected")
    mark_seen()
    (command,) = lifecycle.claim(1)
    lifecycle.write_once(lifecycle.mark_sent, command, STORED)
    Command.objects.filter(pk=command.pk).update(lease_expires_at=timezone.now())


@pytest.mark.parametrize("stop", ["cancel", "deadline"])
async def test_a_clear_that_is_left_while_the_server_works_is_settled_by_reading_back(
    operator: User, vehicle: Vehicle, server: SovdVehicle, settings: Settings, stop: str
) -> None:
    server.fault = "silent after a clear"
    settings.COMMAND_TIMEOUT_SECONDS = 30 if stop == "cancel" else 1
    command = await sent(operator, vehicle, ClearDTC)
    worker = asyncio.create_task(drain())
    await until(lambda: server.carried_out)
    if stop == "cancel":
        await in_thread(cancel, operator, command)
    await worker

    assert (await ended(command)).status == "completed"
    assert server.arrived("DELETE") == 1
    assert server.locks == {}


def cancel(operator: User, command: Command) -> None:
    response = api(operator).post(f"/api/v1/commands/{command.pk}/cancel/")
    assert response.status_code in {200, 202}, response.content


async def test_another_vehicle_at_the_url_is_not_connected_and_its_commands_wait(
    operator: User, vehicle: Vehicle, server: SovdVehicle
) -> None:
    server.vin = VIN[::-1]
    command = await sent(operator, vehicle, ReadDTC)

    await drain()

    assert (await ended(command)).status == "pending"
    found = await in_thread(Vehicle.objects.get)
    assert found.connection_status == "error"
    assert VIN[::-1] in found.connection_problem
