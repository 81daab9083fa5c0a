"""The lock of a vehicle: one holder, who alone sends what is not safe to repeat."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction
from django.db.models.functions import Now

from commands import lifecycle, locks
from commands.database.threads import in_thread
from commands.lifecycle import LockHeld, LockLost
from commands.models import AuditEntry, Command, ErrorCode, Status, VehicleLock
from conftest import (
    ClearDTC,
    ReadDTC,
    ScriptedConnector,
    announce,
    api,
    claim_one,
    drain,
    make_user,
    make_vehicle,
    mark_seen,
    meanwhile,
    row,
    submit,
)
from vehicles.connectors.base import Attempt, Response
from vehicles.models import Vehicle


def address(vehicle: Vehicle) -> str:
    return f"/api/v1/vehicles/{vehicle.pk}/lock/"


def take(user: User, vehicle: Vehicle, **body: Any) -> Any:
    return api(user).post(address(vehicle), {"expires_in_seconds": 60} | body)


def release(user: User, vehicle: Vehicle) -> Any:
    return api(user).delete(address(vehicle))


def send(user: User, vehicle: Vehicle, body: dict[str, Any] = ClearDTC) -> Any:
    return api(user).post("/api/v1/commands/", {"vehicle_id": str(vehicle.pk), **body})


def expire() -> None:
    VehicleLock.objects.update(expires_at=Now() - timedelta(seconds=1))


def statuses() -> list[str]:
    return [*Command.objects.order_by("submitted_at").values_list("status", flat=True)]


# Holding it


@pytest.mark.embedded
def test_one_user_holds_it_and_all_see_who(
    operator: User, stranger: User, viewer: User, vehicle: Vehicle
) -> None:
    assert api(viewer).get(address(vehicle)).status_code == 404
    taken = take(operator, vehicle)
    assert taken.status_code == 201
    assert api(viewer).get(address(vehicle)).json() == taken.json()
    assert taken.json().keys() == {"holder", "expires_at"}
    refused = take(stranger, vehicle)
    assert (refused.status_code, refused.json()["code"]) == (409, "lock_held")
    assert refused.json()["holder"] == "operator"
    assert release(stranger, vehicle).json()["code"] == "lock_held"
    assert release(operator, vehicle).status_code == 204
    assert release(operator, vehicle).status_code == 404
    assert take(stranger, vehicle).status_code == 201
    assert take(viewer, vehicle).status_code == 403
    assert take(operator, make_vehicle(102)).status_code == 201


@pytest.mark.parametrize("seconds", [0, -1, 3_601, "60", 1.5, None, True], ids=str)
def test_its_time_is_limited(operator: User, vehicle: Vehicle, seconds: object) -> None:
    response = take(operator, vehicle, expires_in_seconds=seconds)
    assert (response.status_code, [*response.json()["fields"]]) == (400, ["expires_in_seconds"])


@pytest.mark.parametrize("wish", [0, 1, "true", None], ids=str)
def test_a_wish_to_take_over_is_true_or_false(operator: User, vehicle: Vehicle, wish: Any) -> None:
    response = take(operator, vehicle, take_over=wish)
    assert (response.status_code, [*response.json()["fields"]]) == (400, ["take_over"])


@pytest.mark.embedded
def test_its_holder_prolongs_it_and_a_lost_holder_blocks_nobody(
    operator: User, stranger: User, vehicle: Vehicle
) -> None:
    first = take(operator, vehicle).json()
    lock = VehicleLock.objects.get()
    assert (
        take(operator, vehicle, expires_in_seconds=600).json()["expires_at"] > first["expires_at"]
    )
    assert VehicleLock.objects.get().lock_id == lock.lock_id
    expire()
    assert api(operator).get(address(vehicle)).status_code == 404
    assert send(stranger, vehicle).status_code == 201
    assert take(stranger, vehicle).json()["holder"] == "stranger"
    assert VehicleLock.objects.get().lock_id != lock.lock_id


def test_it_is_taken_over_with_a_permission_of_its_own(
    operator: User, stranger: User, vehicle: Vehicle
) -> None:
    take(operator, vehicle)
    assert take(stranger, vehicle, take_over=True).status_code == 403
    foreman = make_user("foreman", "add_command", "view_vehicle", "take_over_lock")
    assert take(foreman, vehicle).status_code == 409
    assert take(foreman, vehicle, take_over=True).json()["holder"] == "foreman"
    entries = AuditEntry.objects.order_by("id").values_list("action", "username", "subject")
    assert list(entries) == [
        ("take_lock", "operator", str(vehicle.pk)),
        ("take_over_lock", "foreman", str(vehicle.pk)),
    ]
    assert AuditEntry.objects.latest("id").details["taken_from"] == "operator"
    release(foreman, vehicle)
    assert AuditEntry.objects.latest("id").action == "release_lock"


# Commands


@pytest.mark.embedded
def test_others_send_what_is_safe_to_repeat_alone(
    operator: User, stranger: User, vehicle: Vehicle
) -> None:
    take(operator, vehicle)
    refused = send(stranger, vehicle)
    assert (refused.status_code, refused.json()["code"]) == (409, "lock_held")
    assert "operator holds the lock" in refused.json()["detail"]
    assert send(stranger, vehicle, ReadDTC).status_code == 201
    assert send(operator, vehicle).status_code == 201
    assert send(stranger, make_vehicle(102)).status_code == 201


def test_a_batch_with_a_locked_vehicle_is_refused(operator: User, vehicle: Vehicle) -> None:
    take(operator, vehicle)
    fleet = make_user("fleet", "add_command", "view_vehicle", "send_unsafe_to_many")
    vehicles = [vehicle, make_vehicle(102)]
    body = {"vehicle_ids": [str(each.pk) for each in vehicles], "vehicle_count": 2, **ClearDTC}
    refused = api(fleet).post("/api/v1/batches/", body)
    assert (refused.status_code, refused.json()["holder"]) == (409, "operator")
    assert statuses() == []


async def test_what_others_queued_waits_and_holds_up_nobody(
    operator: User, stranger: User, vehicle: Vehicle
) -> None:
    def prepare() -> None:
        submit(stranger, vehicle, ClearDTC)
        take(operator, vehicle)
        submit(operator, vehicle, ClearDTC)
        submit(stranger, vehicle, ReadDTC)
        mark_seen()

    await in_thread(prepare)
    await drain()
    assert await in_thread(statuses) == ["pending", "completed", "completed"]
    await in_thread(release, operator, vehicle)
    await drain()
    assert await in_thread(statuses) == ["completed"] * 3


async def test_what_others_queued_runs_after_the_expiry(
    operator: User, stranger: User, vehicle: Vehicle
) -> None:
    def prepare() -> None:
        submit(stranger, vehicle, ClearDTC)
        take(operator, vehicle)
        expire()
        mark_seen()

    await in_thread(prepare)
    await drain()
    assert await in_thread(statuses) == ["completed"]


def let_expire(holder: User, vehicle: Vehicle) -> None:
    expire()
    lifecycle.sweep()


def be_replaced(holder: User, vehicle: Vehicle) -> None:
    foreman = make_user("foreman", "add_command", "view_vehicle", "take_over_lock")
    assert take(foreman, vehicle, take_over=True).status_code == 201


def take_again(holder: User, vehicle: Vehicle) -> None:
    release(holder, vehicle)
    take(holder, vehicle)


@pytest.mark.parametrize("lose", [release, let_expire, be_replaced, take_again])
def test_a_command_whose_lock_is_gone_does_not_run(
    operator: User, vehicle: Vehicle, lose: Any
) -> None:
    take(operator, vehicle)
    unsafe, safe = submit(operator, vehicle, ClearDTC), submit(operator, vehicle, ReadDTC)
    lose(operator, vehicle)
    assert row(safe).status == Status.PENDING
    lost = row(unsafe)
    assert (lost.status, lost.error_code) == (Status.FAILED, ErrorCode.LOCK_LOST)
    assert "Nothing was sent" in lost.error_message
    assert list(lost.events.values_list("sequence_number", "kind")) == [(1, "status"), (2, "error")]


# Between the claim and the request


def test_a_lock_is_not_taken_while_anothers_unsafe_command_runs(
    operator: User, stranger: User, vehicle: Vehicle
) -> None:
    submit(stranger, vehicle, ClearDTC)
    command = claim_one()
    refused = take(operator, vehicle)
    assert (refused.status_code, refused.json()["code"]) == (409, "unsafe_command_runs")
    assert "ClearDTC of stranger" in refused.json()["detail"]
    assert take(stranger, vehicle).status_code == 201
    release(stranger, vehicle)
    lifecycle.complete(command, {})
    submit(stranger, vehicle, ReadDTC)
    claim_one()
    assert take(operator, vehicle).status_code == 201


def lock_for(user: User, vehicle: Vehicle) -> None:
    """Lock the vehicle as if its running command had been claimed a moment later."""
    VehicleLock.objects.update_or_create(
        vehicle=vehicle, defaults={"holder": user, "expires_at": Now() + timedelta(minutes=1)}
    )


def test_a_claimed_command_is_not_sent_when_another_holds_the_lock(
    operator: User, stranger: User, vehicle: Vehicle
) -> None:
    submit(stranger, vehicle, ClearDTC)
    command = claim_one()
    lock_for(operator, vehicle)
    with pytest.raises(LockHeld):
        lifecycle.mark_sent(command)
    assert row(command).sent_at is None


def test_a_claimed_command_is_not_sent_when_its_lock_is_gone(
    operator: User, vehicle: Vehicle
) -> None:
    take(operator, vehicle)
    submit(operator, vehicle, ClearDTC)
    command = claim_one()
    expire()
    with pytest.raises(LockLost):
        lifecycle.mark_sent(command)
    assert row(command).sent_at is None


class Interrupted(ScriptedConnector):
    """Connector during whose work the lock changes."""

    def __init__(self, change: Any) -> None:
        super().__init__()
        self._change = change
        self.sent = 0

    async def execute(
        self, vehicle: Any, command_name: str, params: Any, attempt: Attempt
    ) -> AsyncIterator[Response]:
        if self._change:
            change, self._change = self._change, None
            await in_thread(change)
        await announce(attempt, command_name)
        self.sent += 1
        yield Response({}, is_final=True)


async def test_a_worker_gives_back_what_another_holder_forbids(
    operator: User, stranger: User, vehicle: Vehicle
) -> None:
    command = await in_thread(submit, stranger, vehicle, ClearDTC)
    await in_thread(mark_seen)
    connector = Interrupted(lambda: lock_for(operator, vehicle))
    await drain(connector)
    assert (connector.sent, (await in_thread(row, command)).status) == (0, Status.PENDING)
    await in_thread(expire)
    await in_thread(lifecycle.mark_ready, [vehicle.pk])  # as the next probe does
    await drain(connector)
    assert (connector.sent, (await in_thread(row, command)).status) == (1, Status.COMPLETED)


async def test_a_worker_ends_what_has_lost_its_lock(operator: User, vehicle: Vehicle) -> None:
    def prepare() -> Command:
        take(operator, vehicle)
        mark_seen()
        return submit(operator, vehicle, ClearDTC)

    command = await in_thread(prepare)
    connector = Interrupted(expire)
    await drain(connector)
    ended = await in_thread(row, command)
    assert (connector.sent, ended.error_code) == (0, ErrorCode.LOCK_LOST)


def test_taking_a_lock_waits_for_a_request_that_is_about_to_be_sent(
    operator: User, stranger: User, vehicle: Vehicle
) -> None:
    """Both hold the row of the vehicle, so that one of them sees what the other has done."""
    submit(stranger, vehicle, ClearDTC)
    command = claim_one()
    seen: list[str] = []

    def try_to_take() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '200ms'")
            try:
                locks.take(operator, vehicle, 60, None)
            except OperationalError as error:
                seen.append(str(error))

    with meanwhile("FOR NO KEY UPDATE", try_to_take):
        lifecycle.mark_sent(command)
    assert "lock timeout" in seen[0]
    assert take(operator, vehicle).json()["code"] == "unsafe_command_runs"


def test_a_claim_beside_the_taking_of_a_lock_is_seen(
    operator: User, stranger: User, vehicle: Vehicle
) -> None:
    command = submit(stranger, vehicle, ClearDTC)
    mark_seen()
    with (
        meanwhile("FOR NO KEY UPDATE", lambda: lifecycle.claim(1)),
        pytest.raises(locks.UnsafeCommandRuns),
    ):
        locks.take(operator, vehicle, 60, None)
    assert row(command).status == Status.IN_PROGRESS
