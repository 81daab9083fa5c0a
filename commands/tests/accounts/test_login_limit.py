"""The limit on attempts to log in: one for the login page and the API."""

import hashlib
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any, ClassVar
from urllib.parse import quote

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F
from django.test import AsyncClient, Client

from commands.accounts import passwords
from commands.models import AuditEntry, LogInCount
from conftest import api, make_user
from sovd.tests.hashers import QuickHasher

TOKEN = "/api/v1/token/"  # noqa: S105 - an address
PAGE = "/accounts/login/"


def by_api(name: str = "operator", password: str = "wrong", **extra: Any) -> Any:
    return api(None).post(TOKEN, {"username": name, "password": password}, **extra)


def by_page(name: str = "operator", password: str = "wrong", **extra: Any) -> Any:
    return Client().post(PAGE, {"username": name, "password": password}, **extra)


DOORS: dict[Callable[..., Any], tuple[int, int]] = {by_api: (200, 401), by_page: (302, 200)}
Door = Callable[..., Any]
at_each_door = pytest.mark.parametrize("door", DOORS)


class CountingHasher(PBKDF2PasswordHasher):
    iterations = 1
    hashed = 0

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        CountingHasher.hashed += 1
        return super().encode(password, salt, iterations)


@pytest.fixture(autouse=True)
def three_a_minute(settings: Any) -> None:
    settings.THROTTLE_LOGIN = "3/min"


@pytest.fixture
def operator(transactional_db: None, settings: Any) -> User:
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    user = make_user("operator")
    user.set_password("right")
    user.save()
    return user


def codes(door: Door, *typed: str) -> list[str]:
    """Return `in`, `wrong` or the status code for each password typed."""
    let_in, wrong = DOORS[door]
    words = {let_in: "in", wrong: "wrong"}
    answers = [door(password=password).status_code for password in typed]
    return [words.get(code, str(code)) for code in answers]


def age(by: timedelta) -> None:
    LogInCount.objects.update(since=F("since") - by)


@pytest.mark.embedded
@at_each_door
def test_after_three_wrong_passwords_none_is_checked(operator: User, door: Door) -> None:
    assert codes(door, "a", "b", "c", "right") == ["wrong", "wrong", "wrong", "429"]
    checked = CountingHasher.hashed
    response = door(password="right")
    assert response.status_code == 429
    assert 0 < int(response.headers["Retry-After"]) <= 60
    assert CountingHasher.hashed == checked


@pytest.mark.parametrize(("first", "second"), [(by_api, by_page), (by_page, by_api)])
def test_the_page_and_the_api_share_one_count(operator: User, first: Door, second: Door) -> None:
    assert codes(first, "a", "b") == ["wrong", "wrong"]
    assert codes(second, "c", "right") == ["wrong", "429"]
    assert codes(first, "right") == ["429"]


@at_each_door
def test_a_right_password_starts_a_new_count(operator: User, door: Door) -> None:
    for _ in range(2):
        assert codes(door, "a", "b", "right") == ["wrong", "wrong", "in"]
    assert codes(door, *["right"] * 5) == ["in"] * 5


@at_each_door
def test_other_names_and_other_addresses_have_their_own_count(operator: User, door: Door) -> None:
    codes(door, "a", "b", "c", "d")
    _, wrong = DOORS[door]
    assert door("stranger").status_code == wrong
    assert door(REMOTE_ADDR="192.0.2.1").status_code == wrong


@at_each_door
def test_a_lockout_ends_a_minute_after_the_first_attempt(operator: User, door: Door) -> None:
    codes(door, "a", "b", "c")
    age(timedelta(seconds=50))
    assert 0 < int(door().headers["Retry-After"]) <= 10
    age(timedelta(seconds=10))
    assert codes(door, "right") == ["in"]


@at_each_door
def test_without_a_limit_every_password_is_checked(
    operator: User, settings: Any, door: Door
) -> None:
    settings.THROTTLE_LOGIN = ""
    assert codes(door, *["a"] * 7, "right") == ["wrong"] * 7 + ["in"]
    assert not LogInCount.objects.exists()


@pytest.mark.parametrize("name", [" operator ", "\N{FULLWIDTH LATIN SMALL LETTER O}perator"])
@at_each_door
def test_a_name_is_counted_in_one_spelling(operator: User, door: Door, name: str) -> None:
    codes(door, "a", "b", "c")
    assert door(name).status_code == 429


def test_many_attempts_at_once_are_counted_right(operator: User) -> None:
    at_once = 8
    ready = Barrier(at_once)

    def attempt() -> int:
        ready.wait()
        try:
            return int(by_api().status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(at_once) as threads:
        answers = [each.result() for each in [threads.submit(attempt) for _ in range(at_once)]]
    assert sorted(answers) == [401] * 3 + [429] * (at_once - 3)


async def test_the_limit_holds_over_asgi(operator: User) -> None:
    form = {"username": "operator", "password": "wrong"}
    answers = [(await AsyncClient().post(PAGE, form)).status_code for _ in range(4)]
    assert answers == [200] * 3 + [429]


@pytest.mark.parametrize(("proxies", "expected"), [(0, [401] * 3 + [429]), (1, [401] * 4)])
def test_a_forwarded_address_counts_only_behind_a_proxy(
    operator: User, settings: Any, proxies: int, expected: list[int]
) -> None:
    settings.TRUSTED_PROXIES = proxies
    forwarded = [f"203.0.113.9, 192.0.2.{n}" for n in range(4)]
    answers = [by_api(HTTP_X_FORWARDED_FOR=text).status_code for text in forwarded]
    assert answers == expected


@pytest.mark.parametrize("text", ["", "x", "192.0.2.1, x", ",", "\x00", "é", "1" * 5_000])
@at_each_door
def test_a_forwarded_address_that_is_no_address_is_ignored(
    operator: User, settings: Any, door: Door, text: str
) -> None:
    settings.TRUSTED_PROXIES = 1
    _, wrong = DOORS[door]
    assert door(HTTP_X_FORWARDED_FOR=text).status_code == wrong


# Messages and records


def test_the_page_says_how_long_to_wait_and_leads_back(operator: User) -> None:
    codes(by_page, "a", "b", "c")
    age(timedelta(seconds=48))
    form = {"username": "operator", "password": "right", "next": "/vehicles/?a=1&b=/"}
    response = Client().post(PAGE, form)
    seconds = int(response.headers["Retry-After"])
    assert 1 <= seconds <= 12
    page = response.content.decode()
    assert re.search(rf"Your password was not checked. Wait {seconds} seconds?,", page)
    assert 'href="/accounts/login/?next=%2Fvehicles%2F%3Fa%3D1%26b%3D%2F"' in page


def test_the_api_says_how_long_to_wait(operator: User) -> None:
    codes(by_api, "a", "b", "c")
    body = by_api().json()
    assert body["code"] == "throttled"
    assert body["detail"].startswith("Too many attempts to log in with this name.")


@at_each_door
def test_an_unknown_name_is_answered_like_a_known_one(operator: User, door: Door) -> None:
    known, unknown = (
        [door(name) for _ in range(4)]
        for name in ("operator", "nobodyxx")  # as long
    )
    for one, other in zip(known, unknown, strict=True):
        assert one.status_code == other.status_code
        assert len(one.content) == len(other.content)


@pytest.mark.parametrize("name", ["operator", "nobody", "inactive"])
@at_each_door
def test_one_password_is_hashed_whatever_the_name_is(operator: User, door: Door, name: str) -> None:
    User.objects.create_user("inactive", password="right", is_active=False)
    before = CountingHasher.hashed
    door(name, "wrong")
    assert CountingHasher.hashed == before + 1


@at_each_door
def test_a_name_is_never_kept_in_clear(operator: User, door: Door) -> None:
    """People type their password where the name belongs."""
    for _ in range(4):
        door("my-secret-password", "other-secret")
    kept = [*LogInCount.objects.values(), *AuditEntry.objects.values()]
    assert kept
    assert "secret" not in str(kept)


@at_each_door
def test_a_lockout_is_recorded_once(operator: User, door: Door) -> None:
    told: list[Any] = [{}, {}, {}, {"locked_out": True}]
    for times in (1, 2):  # and again, after the first lockout ended
        codes(door, "a", "b", "c", "right", "right", "d")
        entries = AuditEntry.objects.order_by("id").values_list("action", "details")
        assert list(entries) == [("log_in_failed", details) for details in told] * times
        age(timedelta(minutes=1))


# Names and passwords as people and programs spell them


HOSTILE_NAMES = ["a\x00b", "\ud800", "x" * 151, "x" * 256, "é" * 10_000, "x" * 1_000_000, " ", ""]


@pytest.mark.parametrize("limit", ["3/min", ""])
@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=lambda name: f"{name[:3]!a}{len(name)}")
@pytest.mark.parametrize("door", ["page", "admin", "api"])
def test_a_hostile_name_is_refused_without_an_error(
    operator: User, settings: Any, door: str, name: str, limit: str
) -> None:
    settings.THROTTLE_LOGIN = limit
    if door == "api":
        body = json.dumps({"username": name, "password": "x"})
        response = Client().post(TOKEN, body, content_type="application/json")
        assert response.status_code in {400, 401, 413}
        assert response.json()["code"] in {"invalid", "no_active_account", "too_large"}
        return
    form = f"username={quote(name, errors='surrogatepass')}&password=x"
    kind = "application/x-www-form-urlencoded"
    page = Client().get("/admin/", follow=True).redirect_chain[-1][0] if door == "admin" else PAGE
    response = Client().post(page, form, content_type=kind)
    assert response.status_code == 200
    assert b"Log in" in response.content


@pytest.mark.parametrize("body", [{}, [], {"username": ["a"]}, {"username": {"a": "b"}}, "x"])
def test_a_body_that_is_no_login_is_bad_input(transactional_db: None, body: Any) -> None:
    assert api(None).post(TOKEN, body).status_code == 400
    assert not LogInCount.objects.exists()


@pytest.mark.parametrize("password", ["right ", " right", "right\t"])
@at_each_door
def test_blanks_around_a_password_count(operator: User, door: Door, password: str) -> None:
    assert codes(door, password) == ["wrong"]
    operator.set_password(password)
    operator.save()
    assert codes(door, password, "right") == ["in", "wrong"]


@pytest.mark.parametrize("typed", ["jose\N{COMBINING ACUTE ACCENT}", "josé", " josé "])
@at_each_door
def test_a_name_may_be_typed_in_any_form_of_unicode(operator: User, door: Door, typed: str) -> None:
    User.objects.create_user("josé", password="right")
    let_in, _ = DOORS[door]
    assert door(typed, "right").status_code == let_in


# Hashing at once


@pytest.fixture
def no_place_to_hash() -> Any:
    for _ in range(passwords.HASHES_AT_ONCE):
        passwords._places.acquire()
    yield
    for _ in range(passwords.HASHES_AT_ONCE):
        passwords._places.release()


@pytest.fixture
def real_user(transactional_db: None) -> User:
    return make_user("operator", is_staff=True)


@pytest.mark.embedded
@at_each_door
def test_a_busy_server_says_so_and_counts_nothing(
    real_user: User, no_place_to_hash: None, door: Door
) -> None:
    response = door(password="sovd-demo")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert b"busy checking other passwords" in response.content
    assert set(LogInCount.objects.values_list("attempts", flat=True)) == {0}
    assert not AuditEntry.objects.exists()


def test_a_busy_server_says_so_to_whoever_changes_a_password(
    real_user: User, no_place_to_hash: None
) -> None:
    client = Client()
    client.force_login(real_user)
    form = {"old_password": "sovd-demo", "new_password1": "x", "new_password2": "x"}
    response = client.post("/admin/password_change/", form)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")


def test_a_password_that_is_being_checked_holds_no_database_connection(
    real_user: User, settings: Any
) -> None:
    """A connection for each login would exhaust the pool of the process."""
    settings.PASSWORD_HASHERS = [f"{__name__}.LookingHasher"]
    LookingHasher.connected.clear()
    by_api()
    assert LookingHasher.connected == [False]


class LookingHasher(QuickHasher):
    connected: ClassVar[list[bool]] = []

    @property
    def digest(self) -> Any:
        """Return the digest, and note whether a database connection is held."""
        LookingHasher.connected.append(connection.connection is not None)
        return hashlib.sha256
