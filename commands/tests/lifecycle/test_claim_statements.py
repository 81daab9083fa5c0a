"""The statements of a claim, whose SQL is made once."""

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import transaction

from commands import lifecycle
from commands.lifecycle import claim_statements
from commands.models import Command
from conftest import make_vehicle, mark_seen, submit
from vehicles.models import Ecu, Vehicle


def stored(command: Command) -> Any:
    """Return all columns of a claim but those that differ with each one."""
    row: dict[str, Any] = dict(Command.objects.filter(pk=command.pk).values().get())
    lease = row.pop("lease_expires_at") - row.pop("started_at")
    for name in ("command_id", "vehicle_id", "submitted_at", "expires_at", "turn"):
        row.pop(name)
    log = list(command.events.values("sequence_number", "kind", "payload"))
    return row, lease, log


def test_both_ways_write_a_claim_alike(operator: User) -> None:
    token, written = uuid4(), []
    for number, write in enumerate((claim_statements._by_one_statement, claim_statements._by_orm)):
        command = submit(operator, make_vehicle(number))
        with transaction.atomic():
            write([command], token)
        assert (command.status, command.last_sequence_number) == ("in_progress", 2)
        written.append(stored(command))
    assert written[0] == written[1]
    row, lease, log = written[0]
    assert (row["status"], row["claim_token"], row["claim_sequence_number"]) == (
        *("in_progress", token, 2),
    )
    assert lease == claim_statements._lease()
    assert log[1]["payload"] == {"status": "in_progress"}


@pytest.mark.embedded
def test_a_claimed_command_has_all_that_the_connector_needs(operator: User) -> None:
    vehicles = [make_vehicle(number) for number in range(3)]
    for vehicle in vehicles[:2]:
        for address in ("0x12", "0x10"):
            Ecu.objects.create(vehicle=vehicle, address=address, name=vehicle.vin)
    submitted = {submit(operator, vehicle).pk: vehicle for vehicle in vehicles}
    mark_seen()
    claimed = lifecycle.claim(8)
    assert {command.pk: command.vehicle for command in claimed} == submitted
    for command in claimed:
        known, asked = Vehicle.objects.get(pk=command.vehicle_id), command.vehicle
        assert (
            asked.__dict__.items()
            >= {
                field.attname: getattr(known, field.attname)
                for field in Vehicle._meta.concrete_fields
            }.items()
        )
        ecus = [(ecu.address, ecu.name) for ecu in asked.configured_ecus]
        has_ecus = known in vehicles[:2]
        assert ecus == [("0x10", known.vin), ("0x12", known.vin)] * has_ecus
        assert stored(command)[0]["claim_token"] == command.claim_token


@pytest.mark.embedded
def test_a_claim_by_any_number_of_commands_finds_these(operator: User) -> None:
    commands = [submit(operator, make_vehicle(number)) for number in range(5)]
    mark_seen()
    for chosen in (commands[:1], commands[1:4], commands, []):
        found = claim_statements.runnable([command.pk for command in chosen])
        assert found == sorted(chosen, key=lambda one: (one.turn, one.pk)), len(chosen)


@pytest.mark.embedded
def test_a_claim_reads_a_changed_setting(operator: User, settings: Any) -> None:
    command = submit(operator, make_vehicle(1))
    mark_seen()
    assert claim_statements.runnable([command.pk]) == [command]
    settings.VEHICLE_PRESENCE_SECONDS = -1
    assert claim_statements.runnable([command.pk]) == []
