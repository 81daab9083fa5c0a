"""Limits on submissions and open streams. Each is a setting, and none needs Redis."""

from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import timedelta
from typing import Any, cast

import pytest
from django.contrib.auth.models import User
from django.db import ProgrammingError, connection
from django.db.models import F
from django.urls import URLResolver, get_resolver

from commands.api.views import ApiView
from commands.database.threads import in_thread
from commands.models import Command
from conftest import ReadDTC, api, browser, follow, make_vehicle, meanwhile, submit, token_of
from vehicles.models import Vehicle

COMMANDS = "/api/v1/commands/"
BATCHES = "/api/v1/batches/"
CLOSED_PORT = 1


@pytest.fixture(autouse=True)
def three_a_minute(settings: Any) -> None:
    settings.THROTTLE_COMMANDS = "3/min"


def check_throttled(response: Any) -> None:
    assert (response.status_code, response.json()["code"]) == (429, "throttled")
    assert 0 < int(response.headers["Retry-After"]) <= 60


# Submissions


def submitted(user: User, vehicle: Vehicle, **headers: str) -> Any:
    return api(user).post(COMMANDS, {"vehicle_id": str(vehicle.pk), **ReadDTC}, headers=headers)


def older(by: timedelta) -> None:
    Command.objects.update(submitted_at=F("submitted_at") - by)


@pytest.mark.embedded
def test_submissions_of_one_user_are_limited(
    operator: User, stranger: User, vehicle: Vehicle
) -> None:
    assert [submitted(operator, vehicle).status_code for _ in range(3)] == [201] * 3
    check_throttled(submitted(operator, vehicle))
    assert submitted(stranger, vehicle).status_code == 201
    assert Command.objects.count() == 4


@pytest.mark.embedded
def test_a_batch_counts_as_one_submission(operator: User, vehicle: Vehicle) -> None:
    vehicles = [str(vehicle.pk), *(str(make_vehicle(n).pk) for n in range(5))]

    def submitted_batch() -> Any:
        return api(operator).post(BATCHES, {"vehicle_ids": vehicles, **ReadDTC})

    assert [submitted_batch().status_code for _ in range(2)] == [201] * 2
    assert submitted(operator, vehicle).status_code == 201
    check_throttled(submitted_batch())
    check_throttled(submitted(operator, vehicle))


def test_a_submission_is_accepted_a_minute_after_the_first(
    operator: User, vehicle: Vehicle
) -> None:
    submitted(operator, vehicle)
    older(timedelta(seconds=50))
    for _ in range(2):
        submitted(operator, vehicle)
    response = submitted(operator, vehicle)
    check_throttled(response)
    assert int(response.headers["Retry-After"]) <= 10
    older(timedelta(seconds=int(response.headers["Retry-After"])))
    assert submitted(operator, vehicle).status_code == 201
    check_throttled(submitted(operator, vehicle))


def test_a_refused_submission_does_not_count(operator: User, vehicle: Vehicle) -> None:
    for _ in range(4):
        assert api(operator).post(COMMANDS, {}).status_code == 400
    assert submitted(operator, vehicle).status_code == 201


def test_reading_and_cancelling_are_not_limited(operator: User, vehicle: Vehicle) -> None:
    pks = [submitted(operator, vehicle).json()["command_id"] for _ in range(3)]
    assert [api(operator).get(COMMANDS).status_code for _ in range(5)] == [200] * 5
    for pk in pks:
        assert api(operator).post(f"{COMMANDS}{pk}/cancel/").status_code == 200


def test_without_a_limit_every_submission_is_accepted(
    operator: User, vehicle: Vehicle, settings: Any
) -> None:
    settings.THROTTLE_COMMANDS = ""
    assert {submitted(operator, vehicle).status_code for _ in range(5)} == {201}


@contextmanager
def no_redis(settings: Any) -> Iterator[None]:
    layer = settings.CHANNEL_LAYERS["default"]
    away = {"CONFIG": {"hosts": [f"redis://127.0.0.1:{CLOSED_PORT}/0"]}}
    settings.CHANNEL_LAYERS = {"default": layer | away}
    yield


def test_the_limit_on_submissions_holds_while_redis_is_down(
    operator: User, vehicle: Vehicle, settings: Any
) -> None:
    with no_redis(settings):
        assert [submitted(operator, vehicle).status_code for _ in range(4)] == [201] * 3 + [429]


# Requests at once


def by_token(user: User) -> Any:
    return api(user)


@pytest.mark.parametrize("client_of", [by_token, browser])
def test_requests_at_once_of_one_user_are_limited(
    operator: User, stranger: User, settings: Any, client_of: Any
) -> None:
    settings.REQUESTS_PER_USER = 1
    client, other_client = client_of(operator), client_of(operator)
    asked: list[str] = []
    refused: list[Any] = []
    codes: list[int] = []

    def others() -> None:
        with connection.execute_wrapper(lambda execute, sql, *more: asked.append(sql)):
            refused.append(client.get(COMMANDS))
        refused.append(other_client.get(COMMANDS))
        codes.append(client_of(stranger).get(COMMANDS).status_code)

    with meanwhile('FROM "commands_command"', others):
        codes.append(client.get(COMMANDS).status_code)
    assert codes == [200, 200]
    for response in refused:
        assert (response.status_code, response.headers["Retry-After"]) == (429, "1")
        assert "REQUESTS_PER_USER" in response.json()["detail"]
    assert asked == []  # a request that waits for its turn holds no connection
    assert client.get(COMMANDS).status_code == 200


@pytest.mark.parametrize(
    ("method", "address", "code"),
    [
        ("get", f"{COMMANDS}?status=x", 400),
        ("get", f"{COMMANDS}00000000-0000-0000-0000-000000000000/", 404),
        ("delete", COMMANDS, 405),
        ("post", COMMANDS, 400),
    ],
)
def test_a_request_that_fails_gives_its_place_back(
    operator: User, settings: Any, method: str, address: str, code: int
) -> None:
    settings.REQUESTS_PER_USER = 1
    client = api(operator)
    assert [getattr(client, method)(address).status_code for _ in range(2)] == [code] * 2
    client.raise_request_exception = False
    with connection.execute_wrapper(fail_on_commands):
        assert client.get(COMMANDS).status_code == 500
    assert client.get(COMMANDS).status_code == 200


def fail_on_commands(execute: Any, sql: str, *arguments: Any) -> Any:
    if 'FROM "commands_command"' in sql:
        raise ProgrammingError("a fault of ours")
    return execute(sql, *arguments)


def views() -> Iterator[Any]:
    (api_routes,) = (each for each in get_resolver().url_patterns if str(each.pattern) == "api/v1/")
    patterns = list(cast(URLResolver, api_routes).url_patterns)
    while patterns:
        entry = patterns.pop()
        if isinstance(entry, URLResolver):
            patterns += entry.url_patterns
        elif hasattr(entry.callback, "cls"):
            yield entry.callback.cls


def test_every_view_of_the_api_has_the_limit_and_stores_nothing() -> None:
    assert all(issubclass(view, ApiView) for view in views())
    assert len(list(views())) > 15


@pytest.mark.parametrize("address", [COMMANDS, BATCHES, "/api/v1/vehicles/", "/api/v1/dashboard/"])
@pytest.mark.parametrize("is_known", [True, False])
def test_no_response_of_the_api_is_stored(operator: User, address: str, is_known: bool) -> None:
    response = api(operator if is_known else None).get(address)
    assert response.headers["Cache-Control"] == "no-store"


# Streams


async def first_of(command: Command, user: User, stack: AsyncExitStack) -> Any:
    stream = await stack.enter_async_context(follow(command.pk, token_of(user)))
    return stream, await stream.frame()


@pytest.mark.parametrize("setting", ["STREAMS_PER_USER", "STREAMS_PER_PROCESS"])
@pytest.mark.embedded
async def test_the_streams_of_one_user_are_limited(
    operator: User, vehicle: Vehicle, settings: Any, setting: str
) -> None:
    setattr(settings, setting, 2)
    command = await in_thread(submit, operator, vehicle)
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await first_of(command, operator, stack)
        stream, frame = await first_of(command, operator, stack)
        assert (frame["error_code"], frame["sequence_number"]) == ("too_many_streams", 0)
        assert await stream.rest() == ([], 4429)
    async with AsyncExitStack() as stack:  # those places are free again
        for _ in range(2):
            _, frame = await first_of(command, operator, stack)
            assert frame["sequence_number"] == 1


async def test_the_limit_on_streams_does_not_hold_for_other_users(
    operator: User, viewer: User, vehicle: Vehicle, settings: Any
) -> None:
    settings.STREAMS_PER_USER = 1
    command = await in_thread(submit, operator, vehicle)
    async with AsyncExitStack() as stack:
        for user in (operator, viewer):
            _, frame = await first_of(command, user, stack)
            assert frame["sequence_number"] == 1
