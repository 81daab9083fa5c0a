"""Idempotency-Key: whatever a client repeats, there is one command."""

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
from commands.housekeeping import forget_expired
from commands.idempotency import KEPT
from commands.models import Command, Event, IdempotencyKey
from commands.threads import in_thread
from conftest import ClearDTC, ReadDTC, api, claim_one, drain, make_vehicle, until
from vehicles.models import Vehicle

COMMANDS = "/api/v1/commands/"
KEY = "5f1cbdd2-4ee1-4a5e-a9c7-a4e8a3e0c5f5"


def post(user: User, vehicle: Vehicle, key: str = KEY, body: dict[str, Any] = ReadDTC) -> Any:
    body = {"vehicle_id": str(vehicle.pk), **body}
    return api(user).post(COMMANDS, body, headers={"Idempotency-Key": key})


@pytest.mark.embedded
def test_a_repeat_is_answered_as_the_first_time(operator: User, vehicle: Vehicle) -> None:
    first, second = (post(operator, vehicle) for _ in range(2))
    assert first.status_code == second.status_code == 201
    assert first.content == second.content
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert (Command.objects.count(), Event.objects.count()) == (1, 1)


@pytest.mark.parametrize("end", ["completed", "failed", "given back"])
def test_a_repeat_after_the_end_reads_what_the_first_one_read(
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


def test_the_same_json_in_another_order_is_the_same(operator: User, vehicle: Vehicle) -> None:
    first = post(operator, vehicle)
    turned = {**ReadDTC, "vehicle_id": str(vehicle.pk)}
    second = api(operator).post(COMMANDS, turned, headers={"Idempotency-Key": KEY})
    assert second.json() == first.json()


@pytest.mark.parametrize("other", [ClearDTC, ReadDTC | {"command_params": {}}, {}])
def test_another_payload_is_refused(
    operator: User, vehicle: Vehicle, other: dict[str, Any]
) -> None:
    post(operator, vehicle)
    response = post(operator, vehicle, body=other)
    assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")
    assert Command.objects.count() == 1


def test_another_vehicle_is_another_payload(operator: User, vehicle: Vehicle) -> None:
    post(operator, vehicle)
    assert post(operator, make_vehicle(2)).status_code == 422


def test_keys_are_each_users_own(operator: User, stranger: User, vehicle: Vehicle) -> None:
    ids = {post(user, vehicle).json()["command_id"] for user in (operator, stranger)}
    assert len(ids) == 2


def test_another_key_and_no_key_make_another_command(operator: User, vehicle: Vehicle) -> None:
    post(operator, vehicle)
    post(operator, vehicle, key="another")
    for _ in range(2):
        api(operator).post(COMMANDS, {"vehicle_id": str(vehicle.pk), **ReadDTC})
    assert Command.objects.count() == 4


@pytest.mark.parametrize("key", ["a", "!~", "a" * 255])
def test_a_good_key(operator: User, vehicle: Vehicle, key: str) -> None:
    assert post(operator, vehicle, key).status_code == 201
    assert post(operator, vehicle, key).headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("key", ["", " ", "a b", "a\n", "\x00", "\x7f", "é", "\ud800", "a" * 256])
def test_a_bad_key(operator: User, vehicle: Vehicle, key: str) -> None:
    response = post(operator, vehicle, key)
    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert response.json()["fields"].keys() == {"Idempotency-Key"}
    assert not Command.objects.exists()


def test_what_was_refused_leaves_no_key(operator: User, vehicle: Vehicle) -> None:
    assert post(operator, vehicle, body={"command_name": "Reboot"}).status_code == 400
    assert post(operator, vehicle).status_code == 201


def test_who_may_not_submit_is_not_answered_again(operator: User, vehicle: Vehicle) -> None:
    post(operator, vehicle)
    operator.user_permissions.clear()
    assert post(User.objects.get(pk=operator.pk), vehicle).status_code == 403


@pytest.mark.parametrize("round_", range(3))
def test_many_at_once_end_in_one_command(operator: User, vehicle: Vehicle, round_: int) -> None:
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


def test_the_slower_of_two_at_once_with_another_payload(operator: User, vehicle: Vehicle) -> None:
    """It looked before the other one was there: the constraint decides."""
    key = IdempotencyKey(user=operator, key=KEY, fingerprint="of another payload")

    class Late:
        """Stands in the way of the first look only."""

        def __init__(self) -> None:
            self.was_here = False

        def __call__(self, execute: Any, sql: str, *arguments: Any) -> Any:
            if sql.startswith('INSERT INTO "commands_command"') and not self.was_here:
                self.was_here = True
                with ThreadPoolExecutor(1) as thread:
                    thread.submit(faster).result()
            return execute(sql, *arguments)

    def faster() -> None:
        try:
            lifecycle.submit(operator, vehicle, "ReadDTC", {"ecuAddress": "0x11"}, key)
        finally:
            connection.close()

    with connection.execute_wrapper(Late()):
        response = post(operator, vehicle)
    assert response.status_code == 422
    assert Command.objects.count() == 1


def age(by: timedelta) -> None:
    IdempotencyKey.objects.update(created_at=F("created_at") - by)


def test_a_key_is_kept_for_a_day_and_then_forgotten(operator: User, vehicle: Vehicle) -> None:
    post(operator, vehicle)
    age(KEPT - timedelta(minutes=1))
    forget_expired()
    assert "Idempotent-Replayed" in post(operator, vehicle).headers
    age(timedelta(minutes=1))
    forget_expired()
    assert "Idempotent-Replayed" not in post(operator, vehicle).headers
    assert Command.objects.count() == 2


@pytest.mark.embedded
async def test_a_worker_forgets_old_keys(operator: User, vehicle: Vehicle) -> None:
    await in_thread(post, operator, vehicle)
    await in_thread(age, KEPT)
    await drain()
    await until(lambda: in_thread(lambda: not IdempotencyKey.objects.exists()))


def test_queries_of_a_submission_with_a_key(operator: User, vehicle: Vehicle) -> None:
    """One to look for it, one to keep it, beside those of a submission without."""
    for key, more in (("", 0), (KEY, 2)):
        client = api(operator)
        headers = {"Idempotency-Key": key} if key else {}
        with CaptureQueriesContext(connection) as captured:
            body = {"vehicle_id": str(vehicle.pk), **ReadDTC}
            assert client.post(COMMANDS, body, headers=headers).status_code == 201
        assert len(captured) == 9 + more
