"""Probes of vehicles to which a command is on its way."""

from django.contrib.auth.models import User

from commands import lifecycle
from commands.database.threads import in_thread
from commands.models import Command
from commands.worker.presence import Presence
from conftest import ScriptedConnector, make_vehicle, mark_seen, row, submit
from vehicles import probes
from vehicles.connectors.base import Probe, TargetVehicle
from vehicles.models import Vehicle


class BusyWithACommand(ScriptedConnector):
    """Another worker's command takes the one connection of the gateway during a probe."""

    async def probe(self, vehicle: TargetVehicle, *, with_ecus: bool = False) -> Probe:
        await in_thread(lifecycle.claim, 1)
        return Probe("disconnected", "The gateway is busy.")


async def test_a_probe_that_fails_beside_a_command_does_not_disconnect_the_vehicle(
    operator: User,
) -> None:
    vehicle = await in_thread(make_vehicle, 1)
    command = await in_thread(submit, operator, vehicle)
    await in_thread(mark_seen)

    await Presence({"mock": BusyWithACommand()}, lambda: None).settle()

    assert (await in_thread(row, command)).status == "in_progress"
    vehicle = await in_thread(Vehicle.objects.get)
    assert (vehicle.connection_status, vehicle.connection_problem) == ("connected", "")
    assert vehicle.probe_lease_expires_at is None


class ClaimsDuringAProbe(ScriptedConnector):
    """Another worker looks for commands during each probe."""

    def __init__(self) -> None:
        super().__init__()
        self.claimed: list[Command] = []

    async def probe(self, vehicle: TargetVehicle, *, with_ecus: bool = False) -> Probe:
        self.claimed += await in_thread(lifecycle.claim, 1)
        return Probe("connected")


async def test_a_command_waits_for_the_end_of_a_test_of_the_connection(operator: User) -> None:
    vehicle = await in_thread(make_vehicle, 1)
    await in_thread(submit, operator, vehicle)
    await in_thread(mark_seen)
    await in_thread(probes.request_test, vehicle)
    connector = ClaimsDuringAProbe()

    await Presence({"mock": connector}, lambda: None).settle()

    assert connector.claimed == []
    assert len(await in_thread(lifecycle.claim, 1)) == 1
