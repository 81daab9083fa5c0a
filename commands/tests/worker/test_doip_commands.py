"""Commands of people to a DoIP vehicle that others wrote, from the API to its ECUs and back."""

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
from commands.tests.worker.doip_vehicles import add
from commands.worker.worker import Worker
from conftest import ClearDTC, ReadDTC, api, log_of, mark_seen, row, submit
from vehicles.descriptions import importing, storage
from vehicles.models import Vehicle
from vehicles.tests import pdx
from vehicles.tests.rigs import DoipRig

STORED = ["P0420-13", "P0420-00", "P0171-00"]


@pytest.fixture
async def rig() -> AsyncIterator[DoipRig]:
    made = DoipRig()
    yield made
    await made.close()


@pytest.fixture
async def doip_vehicle(transactional_db: None, rig: DoipRig) -> Vehicle:
    return await in_thread(add, rig.vehicle())


async def sent(operator: User, vehicle: Vehicle, body: dict[str, Any]) -> Command:
    return await in_thread(submit, operator, vehicle, body)


async def drain(rig: DoipRig) -> None:
    await Worker({"doip": rig.connector}).drain()


async def ended(command: Command) -> Command:
    return await in_thread(row, command)


async def responses(operator: User, command: Command) -> list[dict[str, Any]]:
    log = await in_thread(log_of, operator, command)
    return [frame["response"] for frame in log if "response" in frame]


async def requests(command: Command) -> list[str]:
    return await in_thread(lambda: [exchange.request for exchange in command.exchanges.all()])


async def test_a_vehicle_is_probed_and_then_read(
    operator: User, doip_vehicle: Vehicle, rig: DoipRig
) -> None:
    command = await sent(operator, doip_vehicle, ReadDTC)

    await drain(rig)

    assert (await ended(command)).status == "completed"
    *codes, summary = await responses(operator, command)
    assert [code["dtcCode"] for code in codes] == [*STORED, "P0300-00"]
    assert summary["dtcCount"] == len(codes)
    assert await requests(command) == ["1902FF"]


async def test_responses_have_the_names_of_the_description(
    operator: User, doip_vehicle: Vehicle, rig: DoipRig
) -> None:
    await in_thread(describe, doip_vehicle)
    codes = await sent(operator, doip_vehicle, ReadDTC)
    params = {"ecuAddress": "0x10", "dataId": "0xF190"}
    vin = await sent(
        operator, doip_vehicle, {"command_name": "ReadDataByID", "command_params": params}
    )

    await drain(rig)

    texts = {
        code["dtcCode"]: code["description"] for code in (await responses(operator, codes))[:-1]
    }
    assert texts["P0420-00"] == "Catalyst efficiency too low"
    assert texts["P0420-13"] != texts["P0420-00"]
    *_, data = await responses(operator, vin)
    assert (data["name"], data["value"]) == ("Vehicle identification number", doip_vehicle.vin)


def describe(vehicle: Vehicle) -> None:
    description = storage.add("engine.pdx", [pdx.pdx()])
    importing.import_one(description)
    vehicle.ecus.update(description=description, variant="ENGINE_V2")


async def test_a_clear_whose_response_was_lost_is_completed_by_reading_back(
    operator: User, doip_vehicle: Vehicle, rig: DoipRig
) -> None:
    rig.break_("cut after a clear")
    command = await sent(operator, doip_vehicle, ClearDTC)

    await drain(rig)

    assert (await ended(command)).status == "completed"
    *_, cleared = await responses(operator, command)
    assert (cleared["before"], cleared["remaining"], cleared["verified"]) == (STORED, [], True)
    assert rig.clears() == 1


async def test_a_clear_that_never_arrived_is_of_unknown_outcome_and_not_repeated(
    operator: User, doip_vehicle: Vehicle, rig: DoipRig
) -> None:
    rig.break_("cut before a clear")
    command = await sent(operator, doip_vehicle, ClearDTC)

    await drain(rig)

    command = await ended(command)
    assert (command.status, command.error_code) == ("failed", "outcome_unknown")
    assert "still stores P0420-13" in command.error_message
    assert rig.clears() == 0


async def test_another_worker_reads_back_for_one_that_was_lost_and_sends_nothing(
    operator: User, doip_vehicle: Vehicle, rig: DoipRig
) -> None:
    command = await sent(operator, doip_vehicle, ClearDTC)
    await in_thread(lose_worker_after_sending, doip_vehicle)
    rig.clear()

    await drain(rig)

    assert (await ended(command)).status == "completed"
    assert await requests(command) == ["1902FF"]
    assert rig.clears() == 0


def lose_worker_after_sending(vehicle: Vehicle) -> None:
    """Claim the command, note that it is sent with these codes stored, and let the lease lapse."""
    Vehicle.objects.filter(pk=vehicle.pk).update(connection_status="connected")
    mark_seen()
    (command,) = lifecycle.claim(1)
    lifecycle.write_once(lifecycle.mark_sent, command, STORED)
    Command.objects.filter(pk=command.pk).update(lease_expires_at=timezone.now())


@pytest.mark.parametrize("stop", ["cancel", "deadline"])
async def test_a_clear_that_is_left_while_the_ecu_works_is_settled_by_reading_back(
    operator: User, doip_vehicle: Vehicle, rig: DoipRig, settings: Settings, stop: str
) -> None:
    rig.break_("silent after a clear")
    settings.COMMAND_TIMEOUT_SECONDS = 30 if stop == "cancel" else 0.2
    command = await sent(operator, doip_vehicle, ClearDTC)
    worker = asyncio.create_task(drain(rig))
    await asyncio.to_thread(rig.is_cleared().wait, 30)
    if stop == "cancel":
        await in_thread(cancel, operator, command)
    await worker

    assert (await ended(command)).status == "completed"
    assert rig.clears() == 1


def cancel(operator: User, command: Command) -> None:
    response = api(operator).post(f"/api/v1/commands/{command.pk}/cancel/")
    assert response.status_code in {200, 202}, response.content


async def test_a_refusal_has_its_name_and_its_evidence(
    operator: User, doip_vehicle: Vehicle, rig: DoipRig
) -> None:
    body = {
        "command_name": "ReadDataByID",
        "command_params": {"ecuAddress": "0x10", "dataId": "0x1234"},
    }
    command = await sent(operator, doip_vehicle, body)

    await drain(rig)

    command = await ended(command)
    assert (command.status, command.error_code) == ("failed", "vehicle_refused")
    assert "NRC 0x31 requestOutOfRange" in command.error_message
    exchange = await in_thread(command.exchanges.get)
    assert (exchange.service, exchange.nrc) == ("ReadDataByIdentifier", "0x31")


async def test_the_wrong_vehicle_is_not_connected_and_its_commands_wait(
    operator: User, doip_vehicle: Vehicle, rig: DoipRig
) -> None:
    rig.break_("wrong vehicle")
    command = await sent(operator, doip_vehicle, ReadDTC)

    await drain(rig)

    assert (await ended(command)).status == "pending"
    vehicle = await in_thread(Vehicle.objects.get)
    assert vehicle.connection_status == "error"
    assert "VIN" in vehicle.connection_problem
