"""Idempotency-Key: repeated submissions make one command."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from commands import lifecycle
from commands.api.idempotency import KEPT
from commands.database.threads import in_thread
from commands.models import Command, Event, IdempotencyKey
from commands.worker.retention import delete_expired
from conftest import ClearDTC, ReadDTC, api, claim_one, drain, make_vehicle, until
from vehicles.models import Vehicle

COMMANDS = "/api/v1/commands/"
KEY = "5f1cbdd2-4ee1-4a5e-a9c7-a4e8a3e0c5f5"


def post(user: User, vehicle: Vehicle, key: str = KEY, body: dict[str, Any] = ReadDTC) -> Any:
    body = {"vehicle_id": str(vehicle.pk), **body}
    return api(user).post(COMMANDS, body, headers={"Idempotency-Key": key})


@pytest.mark.embedded
def test_a_repeat_gets_the_first_response(operator: User, vehicle: Vehicle) -> None:
    first, second = (post(operator, vehicle) for _ in range(2))
    assert first.status_code == second.status_code == 201
    assert first.content == second.content
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert (Command.objects.count(), Event.objects.count()) == (1, 1)


@pytest.mark.parametrize("end", ["completed", "failed", "given back"])
def test_a_repeat_after_the_end_gets_the_first_response(
    operator: User, vehicle: Vehicle, end: str
) -> None:
    first = post(operator, vehicle)
    command = claim_one()
    if end == "completed":
        lifecycle.complete(command, {})
    elif end == "failed":
        lifecycle.fail(command, "vehicle_refused", "The vehicle refused.")
    else:
        lifecycle.release(command)
    assert post(operator, vehicle).content == first.content


def test_the_same_json_in_another_order_is_a_repeat(operator: User, vehicle: Vehicle) -> None:
    first = post(operator, vehicle)
    turned = {**ReadDTC, "vehicle_id": str(vehicle.pk)}
    second = api(operator).post(COMMANDS, turned, headers={"Idempotency-Key": KEY})
    assert second.json() == first.json()


@pytest.mark.parametrize("other", [ClearDTC, ReadDTC | {"command_params": {}}, {}])
def test_another_payload_with_the_same_key_is_refused(
    operator: User, vehicle: Vehicle, other: dict[str, Any]
) -> None:
    post(operator, vehicle)
    response = post(operator, vehicle, body=other)
    assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")
    assert Command.objects.count() == 1


def test_another_vehicle_is_another_payload(operator: User, vehicle: Vehicle) -> None:
    post(operator, vehicle)
    assert post(operator, make_vehicle(2)).status_code == 422


def test_users_may_use_the_same_key(operator: User, stranger: User, vehicle: Vehicle) -> None:
    ids = {post(user, vehicle).json()["command_id"] for user in (operator, stranger)}
    assert len(ids) == 2


def test_another_key_and_no_key_make_another_command(operator: User, vehicle: Vehicle) -> None:
    post(operator, vehicle)
    post(operator, vehicle, key="another")
    for _ in range(2):
        api(operator).post(COMMANDS, {"vehicle_id": str(vehicle.pk), **ReadDTC})
    assert Command.objects.count() == 4


@pytest.mark.parametrize("key", ["a", "!~", "a" * 255])
def test_a_key_of_the_right_form_is_accepted(operator: User, vehicle: Vehicle, key: str) -> None:
    assert post(operator, vehicle, key).status_code == 201
    assert post(operator, vehicle, key).headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("key", ["", " ", "a b", "a\n", "\x00", "\x7f", "é", "\ud800", "a" * 256])
def test_a_key_of_a_wrong_form_is_refused(operator: User, vehicle: Vehicle, key: str) -> None:
    response = post(operator, vehicle, key)
    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert response.json()["fields"].keys() == {"Idempotency-Key"}
    assert not Command.objects.exists()


def test_a_refused_submission_leaves_no_key(operator: User, vehicle: Vehicle) -> None:
    assert post(operator, vehicle, body={"command_name": "Reboot"}).status_code == 400
    assert post(operator, vehicle).status_code == 201


def test_a_user_who_lost_the_right_to_submit_gets_no_first_response(
    operator: User, vehicle: Vehicle
) -> None:
    post(operator, vehicle)
    operator.user_permissions.clear()
    assert post(User.objects.get(pk=operator.pk), vehicle).status_code == 403


@pytest.mark.parametrize("round_", range(3))
def test_many_repeats_at_once_make_one_command(
    operator: User, vehicle: Vehicle, round_: int
) -> None:
    at_once = 6
    ready = Barrier(at_once)

    def submit() -> Any:
        ready.wait()
        try:
            return post(operator, vehicle)
        finally:
            connection.close()

    with ThreadPoolExecutor(at_once) as threads:
        responses = [future.result() for future in [threads.submit(submit) for _ in range(at_once)]]
    assert {response.status_code for response in responses} == {201}
    assert len({response.content for response in responses}) == 1
    assert sum("Idempotent-Replayed" in response.headers for response in responses) == at_once - 1
    assert (Command.objects.count(), Event.objects.count()) == (1, 1)


def test_the_slower_of_two_requests_with_another_payload_is_refused(
    operator: User, vehicle: Vehicle
) -> None:
    """The first look finds no key, and the constraint refuses the second one."""
    key = IdempotencyKey(user=operator, key=KEY, fingerprint="of another payload")

    class Late:
        """Queryset that hides the key at the first look only."""

        def __init__(self) -> None:
            self.was_here = False

        def __call__(self, execute: Any, sql: str, *arguments: Any) -> Any:
            if "INSERT INTO commands_command" in sql and not self.was_here:
                self.was_here = True
                with ThreadPoolExecutor(1) as thread:
                    thread.submit(faster).result()
            return execute(sql, *arguments)

    def faster() -> None:
        try:
            key.command = lifecycle.submit(operator, vehicle, "ReadDTC", {"ecuAddress": "0x11"})
            key.save(force_insert=True)
        finally:
            connection.close()

    with connection.execute_wrapper(Late()):
        response = post(operator, vehicle)
    assert response.status_code == 422
    assert Command.objects.count() == 1


def age(by: timedelta) -> None:
    IdempotencyKey.objects.update(created_at=F("created_at") - by)


def test_a_key_is_kept_for_a_day_and_then_deleted(operator: User, vehicle: Vehicle) -> None:
    post(operator, vehicle)
    age(KEPT - timedelta(minutes=1))
    delete_expired()
    assert "Idempotent-Replayed" in post(operator, vehicle).headers
    age(timedelta(minutes=1))
    delete_expired()
    assert "Idempotent-Replayed" not in post(operator, vehicle).headers
    assert Command.objects.count() == 2


@pytest.mark.embedded
async def test_a_worker_deletes_old_keys(operator: User, vehicle: Vehicle) -> None:
    await in_thread(post, operator, vehicle)
    await in_thread(age, KEPT)
    await drain()
    await until(lambda: in_thread(lambda: not IdempotencyKey.objects.exists()))


def test_the_queries_of_a_submission_with_a_key_are_counted(
    operator: User, vehicle: Vehicle, known: Any
) -> None:
    """Four queries more than without a key: find it, store it, and the transaction of both."""
    client = known(operator)
    for key, more in (("", 0), (KEY, 4)):
        headers = {"Idempotency-Key": key} if key else {}
        with CaptureQueriesContext(connection) as captured:
            body = {"vehicle_id": str(vehicle.pk), **ReadDTC}
            assert client.post(COMMANDS, body, headers=headers).status_code == 201
        assert len(captured) == 3 + more


def test_a_key_of_the_last_version_is_answered_with_the_command_as_it_is(
    operator: User, vehicle: Vehicle
) -> None:
    """Keys of that version have no response."""
    first = post(operator, vehicle)
    IdempotencyKey.objects.update(response="")
    repeated = post(operator, vehicle)
    assert (repeated.status_code, repeated.json()) == (201, first.json())
    assert Command.objects.count() == 1
