"""Limits: of log-ins, of submissions, of open streams. Each a setting, and none needs Redis."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from axes.models import AccessAttempt
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import User
from django.db import connection, connections
from django.db.models import F
from django.test import AsyncClient, Client

from commands.housekeeping import forget_expired
from commands.models import Command, LogInCount
from commands.threads import in_thread
from conftest import ReadDTC, api, follow, make_vehicle, submit, token_of
from vehicles.models import Vehicle

TOKEN = "/api/v1/token/"  # noqa: S105 - an address
COMMANDS = "/api/v1/commands/"
BATCHES = "/api/v1/batches/"
LOG_IN = "/accounts/login/"
CLOSED_PORT = 1


@pytest.fixture(autouse=True)
def three_a_minute(settings: Any) -> None:
    settings.THROTTLE_LOGIN = settings.THROTTLE_COMMANDS = "3/min"


def obtain(name: str = "operator", password: str = "wrong", **extra: Any) -> Any:
    return api(None).post(TOKEN, {"username": name, "password": password}, **extra)


def check_throttled(response: Any) -> None:
    assert (response.status_code, response.json()["code"]) == (429, "throttled")
    assert 0 < int(response.headers["Retry-After"]) <= 60


# Log-in by the API


@pytest.mark.embedded
def test_log_ins_with_one_name_from_one_address(operator: User) -> None:
    assert [obtain().status_code for _ in range(3)] == [401] * 3
    check_throttled(obtain())
    check_throttled(obtain(password="sovd-demo"))


def test_another_name_and_another_address_are_counted_by_themselves(operator: User) -> None:
    for _ in range(4):
        response = obtain()
    check_throttled(response)
    assert obtain("stranger").status_code == 401
    assert obtain(REMOTE_ADDR="192.0.2.1").status_code == 401


def test_programs_may_log_in_as_often_as_they_like(operator: User) -> None:
    """A right one starts afresh."""
    for _ in range(3):
        assert [obtain().status_code for _ in range(2)] == [401] * 2
        assert [obtain(password="sovd-demo").status_code for _ in range(4)] == [200] * 4


def test_a_minute_later(operator: User) -> None:
    for _ in range(4):
        obtain()
    LogInCount.objects.update(since=F("since") - timedelta(seconds=50))
    check_throttled(obtain())
    LogInCount.objects.update(since=F("since") - timedelta(seconds=10))
    assert [obtain().status_code for _ in range(4)] == [401] * 3 + [429]


def test_many_at_once_are_counted_right(operator: User) -> None:
    at_once = 8
    ready = Barrier(at_once)

    def attempt() -> int:
        ready.wait()
        try:
            return int(obtain().status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(at_once) as threads:
        codes = [future.result() for future in [threads.submit(attempt) for _ in range(at_once)]]
    assert sorted(codes) == [401] * 3 + [429] * (at_once - 3)


def test_an_unknown_name_is_told_the_same(operator: User) -> None:
    """And as late: a password is hashed for it, too."""
    assert obtain("nobody").content == obtain().content
    codes = [[obtain(name).status_code for _ in range(3)] for name in ("operator", "nobody")]
    assert codes[0] == codes[1]


class CountingHasher(PBKDF2PasswordHasher):
    iterations = 1
    hashed = 0

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        CountingHasher.hashed += 1
        return super().encode(password, salt, iterations)


@pytest.mark.parametrize("address", [TOKEN, LOG_IN])
@pytest.mark.parametrize("name", ["operator", "nobody", "inactive"])
def test_a_password_is_hashed_whoever_it_is(
    operator: User, settings: Any, address: str, name: str
) -> None:
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    operator.set_password("right")
    operator.save()
    User.objects.create_user("inactive", password="right", is_active=False)
    before = CountingHasher.hashed
    Client().post(address, {"username": name, "password": "wrong"}, **as_json(address))
    assert CountingHasher.hashed == before + 1


def as_json(address: str) -> dict[str, Any]:
    return {"content_type": "application/json"} if address.startswith("/api/") else {}


@pytest.mark.parametrize("body", [{}, [], {"username": ["a"]}, {"username": {"a": "b"}}, "x"])
def test_what_is_no_log_in_is_still_bad_input(transactional_db: None, body: Any) -> None:
    assert api(None).post(TOKEN, body).status_code == 400


@pytest.mark.parametrize(("proxies", "codes"), [(0, [401] * 3 + [429]), (1, [401] * 4)])
def test_a_forwarded_address_counts_behind_a_proxy_only(
    operator: User, settings: Any, proxies: int, codes: list[int]
) -> None:
    settings.TRUSTED_PROXIES = proxies
    forwarded = [f"203.0.113.9, 192.0.2.{n}" for n in range(4)]
    assert [obtain(HTTP_X_FORWARDED_FOR=text).status_code for text in forwarded] == codes


@pytest.mark.parametrize("text", ["", "x", "192.0.2.1, x", ",", "\x00", "é", "1" * 5_000])
def test_a_forwarded_address_that_is_none(operator: User, settings: Any, text: str) -> None:
    settings.TRUSTED_PROXIES = 1
    assert obtain(HTTP_X_FORWARDED_FOR=text).status_code == 401
    assert Client(REMOTE_ADDR="::1").post(
        LOG_IN, {"username": "a", "password": "b"}, HTTP_X_FORWARDED_FOR=text
    ).status_code in {200, 429}


def test_names_are_not_kept(operator: User) -> None:
    """People type their password where the name belongs."""
    obtain("my-secret-password")
    assert "secret" not in str(LogInCount.objects.values())
    forget_expired()
    assert LogInCount.objects.exists()
    LogInCount.objects.update(since=F("since") - timedelta(minutes=1))
    forget_expired()
    assert not LogInCount.objects.exists()


# Log-in on the pages


@pytest.fixture
def axes(settings: Any) -> None:
    settings.AXES_ENABLED = True
    settings.AXES_FAILURE_LIMIT = 3
    settings.AXES_COOLOFF_TIME = timedelta(minutes=1)


def log_in(password: str = "wrong", address: str = LOG_IN, name: str = "operator") -> Any:
    return Client().post(address, {"username": name, "password": password})


def test_wrong_passwords_on_a_page(operator: User, axes: None) -> None:
    """As many are looked at as by the API."""
    assert [log_in().status_code for _ in range(3)] == [200] * 3
    response = log_in("sovd-demo")
    assert response.status_code == 429
    assert 0 < int(response.headers["Retry-After"]) <= 60
    assert b"Too many attempts" in response.content


def test_a_right_one_after_all_but_one_that_are_allowed(operator: User, axes: None) -> None:
    assert [log_in(p).status_code for p in ("wrong", "wrong", "sovd-demo")] == [200, 200, 302]


async def test_wrong_passwords_over_asgi(operator: User, axes: None) -> None:
    """Where axes' middleware is asynchronous."""
    form = {"username": "operator", "password": "wrong"}
    codes = [(await AsyncClient().post(LOG_IN, form)).status_code for _ in range(4)]
    assert codes == [200] * 3 + [429]


def test_who_waits_is_told_how_long_and_gets_where_they_wanted(operator: User, axes: None) -> None:
    for _ in range(3):
        log_in()
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(seconds=48))
    form = {"username": "operator", "password": "wrong", "next": "/vehicles/?a=1&b=/"}
    response = Client().post(LOG_IN, form)
    seconds = int(response.headers["Retry-After"])
    assert 1 <= seconds <= 12
    page = response.content.decode()
    assert re.search(rf"Wait {seconds} seconds?,", page)
    assert 'href="/accounts/login/?next=%2Fvehicles%2F%3Fa%3D1%26b%3D%2F"' in page


def test_who_waits_is_told_how_long_however_the_name_is_typed(operator: User, axes: None) -> None:
    """As axes counts: trimmed, and each character in its plain form."""
    for _ in range(3):
        log_in()
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(seconds=48))
    for name in (" operator ", "\N{FULLWIDTH LATIN SMALL LETTER O}perator"):
        response = log_in(name=name)
        assert response.status_code == 429
        assert 1 <= int(response.headers["Retry-After"]) <= 12


async def test_who_waits_is_told_how_long_over_asgi(operator: User, axes: None) -> None:
    form = {"username": " operator", "password": "wrong"}
    for _ in range(3):
        await AsyncClient().post(LOG_IN, form)
    await AccessAttempt.objects.aupdate(attempt_time=F("attempt_time") - timedelta(seconds=48))
    response = await AsyncClient().post(LOG_IN, form)
    await sync_to_async(connections.close_all)()
    assert 1 <= int(response.headers["Retry-After"]) <= 12


def test_a_right_one_starts_afresh(operator: User, axes: None) -> None:
    assert [log_in(p).status_code for p in ("wrong", "wrong", "sovd-demo")] == [200, 200, 302]
    assert [log_in(p).status_code for p in ("wrong", "wrong", "sovd-demo")] == [200, 200, 302]


def test_a_minute_later_on_a_page(operator: User, axes: None) -> None:
    for _ in range(3):
        log_in()
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(minutes=1))
    assert log_in("sovd-demo").status_code == 302


def test_an_unknown_name_on_a_page_is_told_the_same(operator: User, axes: None) -> None:
    known, unknown = ([log_in(name=name) for _ in range(3)] for name in ("operator", "nobody"))
    for one, other in zip(known, unknown, strict=True):
        assert one.status_code == other.status_code
        assert other.content.decode().replace("nobody", "operator").count("Log in") == (
            one.content.decode().count("Log in")
        )


def test_no_password_is_stored(operator: User, axes: None) -> None:
    log_in("my-secret-password")
    assert "secret" not in str(AccessAttempt.objects.values())


# Submissions


def submitted(user: User, vehicle: Vehicle, **headers: str) -> Any:
    return api(user).post(COMMANDS, {"vehicle_id": str(vehicle.pk), **ReadDTC}, headers=headers)


def older(by: timedelta) -> None:
    Command.objects.update(submitted_at=F("submitted_at") - by)


@pytest.mark.embedded
def test_submissions_of_one_user(operator: User, stranger: User, vehicle: Vehicle) -> None:
    assert [submitted(operator, vehicle).status_code for _ in range(3)] == [201] * 3
    check_throttled(submitted(operator, vehicle))
    assert submitted(stranger, vehicle).status_code == 201
    assert Command.objects.count() == 4


@pytest.mark.embedded
def test_a_batch_is_one_submission(operator: User, vehicle: Vehicle) -> None:
    vehicles = [str(vehicle.pk), *(str(make_vehicle(n).pk) for n in range(5))]

    def submitted_batch() -> Any:
        return api(operator).post(BATCHES, {"vehicle_ids": vehicles, **ReadDTC})

    assert [submitted_batch().status_code for _ in range(2)] == [201] * 2
    assert submitted(operator, vehicle).status_code == 201
    check_throttled(submitted_batch())
    check_throttled(submitted(operator, vehicle))


def test_a_minute_after_the_first_submission(operator: User, vehicle: Vehicle) -> None:
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


def test_what_was_refused_does_not_count(operator: User, vehicle: Vehicle) -> None:
    for _ in range(4):
        assert api(operator).post(COMMANDS, {}).status_code == 400
    assert submitted(operator, vehicle).status_code == 201


def test_looking_and_cancelling_are_not_limited(operator: User, vehicle: Vehicle) -> None:
    pks = [submitted(operator, vehicle).json()["command_id"] for _ in range(3)]
    assert [api(operator).get(COMMANDS).status_code for _ in range(5)] == [200] * 5
    for pk in pks:
        assert api(operator).post(f"{COMMANDS}{pk}/cancel/").status_code == 200


def test_without_limits(operator: User, vehicle: Vehicle, settings: Any) -> None:
    settings.THROTTLE_LOGIN = settings.THROTTLE_COMMANDS = ""
    assert {submitted(operator, vehicle).status_code for _ in range(5)} == {201}
    assert {obtain().status_code for _ in range(5)} == {401}


@contextmanager
def no_redis(settings: Any) -> Iterator[None]:
    layer = settings.CHANNEL_LAYERS["default"]
    away = {"CONFIG": {"hosts": [f"redis://127.0.0.1:{CLOSED_PORT}/0"]}}
    settings.CHANNEL_LAYERS = {"default": layer | away}
    yield


def test_limits_hold_while_redis_is_down(operator: User, vehicle: Vehicle, settings: Any) -> None:
    with no_redis(settings):
        assert [submitted(operator, vehicle).status_code for _ in range(4)] == [201] * 3 + [429]
        assert [obtain().status_code for _ in range(4)] == [401] * 3 + [429]


# Streams


async def first_of(command: Command, user: User, stack: AsyncExitStack) -> Any:
    stream = await stack.enter_async_context(follow(command.pk, token_of(user)))
    return stream, await stream.frame()


@pytest.mark.parametrize("setting", ["STREAMS_PER_USER", "STREAMS_PER_PROCESS"])
@pytest.mark.embedded
async def test_streams(operator: User, vehicle: Vehicle, settings: Any, setting: str) -> None:
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


async def test_streams_of_others(
    operator: User, viewer: User, vehicle: Vehicle, settings: Any
) -> None:
    settings.STREAMS_PER_USER = 1
    command = await in_thread(submit, operator, vehicle)
    async with AsyncExitStack() as stack:
        for user in (operator, viewer):
            _, frame = await first_of(command, user, stack)
            assert frame["sequence_number"] == 1
