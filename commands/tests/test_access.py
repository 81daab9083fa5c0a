"""Who may do what: the one who submitted, the one who may look, the one who must not know."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import jwt
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken, Token

from commands.housekeeping import forget_expired
from commands.models import Command, UsedToken
from conftest import ReadDTC, api, submit
from vehicles.models import Vehicle

COMMANDS = "/api/v1/commands/"
PARTS = ["", "events/", "responses/"]


@pytest.fixture
def command(operator: User, vehicle: Vehicle) -> Command:
    return submit(operator, vehicle)


@pytest.fixture
def people(operator: User, viewer: User, stranger: User) -> dict[str, User | None]:
    return {"operator": operator, "viewer": viewer, "stranger": stranger, "anonymous": None}


def with_header(value: str) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=value)
    return client


# One command


@pytest.mark.embedded
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    ("who", "status"), [("operator", 200), ("viewer", 200), ("stranger", 404), ("anonymous", 401)]
)
def test_looking_at_a_command(
    people: dict[str, User | None], command: Command, who: str, status: int, part: str
) -> None:
    assert api(people[who]).get(f"{COMMANDS}{command.pk}/{part}").status_code == status


@pytest.mark.parametrize(
    ("who", "status"), [("operator", 200), ("viewer", 403), ("stranger", 404), ("anonymous", 401)]
)
def test_cancelling_a_command(
    people: dict[str, User | None], command: Command, who: str, status: int
) -> None:
    assert api(people[who]).post(f"{COMMANDS}{command.pk}/cancel/").status_code == status
    command.refresh_from_db()
    assert command.status == ("cancelled" if who == "operator" else "pending")


@pytest.mark.parametrize(
    ("method", "part"), [*(("get", part) for part in PARTS), ("post", "cancel/")]
)
def test_another_ones_command_answers_like_none(
    stranger: User, command: Command, method: str, part: str
) -> None:
    ask = getattr(api(stranger), method)
    hidden = ask(f"{COMMANDS}{command.pk}/{part}")
    absent = ask(f"{COMMANDS}{uuid4()}/{part}")
    assert hidden.status_code == absent.status_code == 404
    assert hidden.json() == absent.json() == {"code": "not_found", "detail": "Not found."}
    assert hidden.headers == absent.headers


# All commands


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("who", "sees"),
    [("operator", ["operator"]), ("stranger", ["stranger"]), ("viewer", ["operator", "stranger"])],
)
def test_the_list_holds_what_one_may_see(
    people: dict[str, User], vehicle: Vehicle, who: str, sees: list[str]
) -> None:
    for name in ("operator", "stranger"):
        submit(people[name], vehicle)
    rows = api(people[who]).get(f"{COMMANDS}?ordering=submitted_at").json()["results"]
    assert [row["submitted_by"] for row in rows] == sees


@pytest.mark.parametrize("query", ["", "submitted_by=operator", "status=pending"])
def test_no_filter_finds_another_ones_command(stranger: User, command: Command, query: str) -> None:
    page = api(stranger).get(f"{COMMANDS}?{query}").json()
    assert page == {"next": None, "previous": None, "results": []}


@pytest.mark.parametrize(
    ("who", "status"), [("operator", 201), ("viewer", 403), ("stranger", 201), ("anonymous", 401)]
)
def test_submitting(
    people: dict[str, User | None], vehicle: Vehicle, who: str, status: int
) -> None:
    body = {"vehicle_id": str(vehicle.pk), **ReadDTC}
    assert api(people[who]).post(COMMANDS, body).status_code == status
    assert [str(row.submitted_by) for row in Command.objects.all()] == [who] * (status == 201)


def test_a_viewer_is_told_what_is_missing(viewer: User, vehicle: Vehicle) -> None:
    body = {"vehicle_id": str(vehicle.pk), **ReadDTC}
    assert api(viewer).post(COMMANDS, body).json() == {
        "code": "permission_denied",
        "detail": "You may look, but not submit or cancel: that needs the permission to add "
        "commands.",
    }


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_nobody_changes_a_command(operator: User, command: Command, method: str) -> None:
    response = getattr(api(operator), method)(f"{COMMANDS}{command.pk}/", {})
    assert response.status_code == 405
    assert Command.objects.get().status == "pending"


ADDRESSES = [COMMANDS, "/api/v1/vehicles/", "/api/v1/command-types/"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_anonymous_is_asked_who_they_are(transactional_db: None, address: str) -> None:
    response = api(None).get(address)
    assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


# Tokens


def signed(token: Token, key: str = "", algorithm: str = "HS256", **changes: Any) -> str:
    """The token with changed claims; None takes one out."""
    claims = {k: v for k, v in (token.payload | changes).items() if v is not None}
    return jwt.encode(claims, key or settings.TOKEN_SIGNING_KEY, algorithm)


def part(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def unsigned(token: Token) -> str:
    return ".".join([part(b'{"alg": "none"}'), part(json.dumps(token.payload).encode()), ""])


def headed(header: bytes) -> str:
    return f"{part(header)}.e30.x"


# Each from a good token, of either kind.
WRONG_TOKENS: dict[str, Callable[[Any], str]] = {
    "expired": lambda token: signed(token, exp=1),
    "signed by another": lambda token: signed(token, key="k" * 50),
    "another algorithm": lambda token: signed(token, algorithm="HS512"),
    "algorithm none": unsigned,
    "another kind": lambda token: signed(token, token_type="sliding"),
    "no kind": lambda token: signed(token, token_type=None),
    "no id": lambda token: signed(token, jti=None),
    "user is a list": lambda token: signed(token, user_id=[1]),
    "user is an object": lambda token: signed(token, user_id={"id": 1}),
    "user is a name": lambda token: signed(token, user_id="abc"),
    "user has a NUL": lambda token: signed(token, user_id="1\x00"),
    "user is huge": lambda token: signed(token, user_id=10**30),
    "user is nobody": lambda token: signed(token, user_id=-1),
    "never ends": lambda token: signed(token, exp=None),
    "ends after time itself": lambda token: signed(token, exp=1e308),
    "ends in a huge year": lambda token: signed(token, exp=10**30),
    "ends at a text": lambda token: signed(token, exp="tomorrow"),
    "ends at digits in a text": lambda token: signed(token, exp="9999999999"),
    "ends at a list": lambda token: signed(token, exp=[]),
    "not a token": lambda token: "abc",
    "dots": lambda token: "...",
    "not ASCII": lambda token: "é.é.é",
    "bytes of a surrogate": lambda token: b"\xed\xa0\x80.e30.x".decode("latin-1"),
    "header with a surrogate": lambda token: headed(b'{"alg": "\\ud800"}'),
    "header is not UTF-8": lambda token: headed(b'{"alg": "\xed\xa0\x80"}'),
    "header is a list": lambda token: headed(b"[]"),
    "header is nested": lambda token: headed(b"[" * 9000),
    "header of endless digits": lambda token: headed(b"9" * 9000),
    "algorithm is a list": lambda token: headed(b'{"alg": []}'),
}


def assert_not_let_in(response: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert response.status_code == 401, response.content
    assert response.json().keys() == {"code", "detail"}
    assert not [record for record in caplog.records if record.levelname in {"ERROR", "CRITICAL"}]


@pytest.mark.parametrize("wrong", [*WRONG_TOKENS, "no user"])
def test_a_wrong_token(operator: User, wrong: str, caplog: pytest.LogCaptureFixture) -> None:
    make = WRONG_TOKENS.get(wrong, lambda token: signed(token, user_id=None))
    token = make(AccessToken.for_user(operator))
    assert_not_let_in(with_header(f"Bearer {token}").get(COMMANDS), caplog)


def test_a_refresh_token_in_place_of_an_access_token(
    operator: User, caplog: pytest.LogCaptureFixture
) -> None:
    token = RefreshToken.for_user(operator)
    assert_not_let_in(with_header(f"Bearer {token}").get(COMMANDS), caplog)


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer a b", "Basic YTpi", "é", "\x00"])
def test_a_wrong_header(
    transactional_db: None, header: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert_not_let_in(with_header(header).get(COMMANDS), caplog)


def test_what_the_wrong_tokens_are_made_from_is_good(operator: User) -> None:
    access = signed(AccessToken.for_user(operator))
    assert with_header(f"Bearer {access}").get(COMMANDS).status_code == 200
    assert refresh(signed(RefreshToken.for_user(operator))).status_code == 200


def test_an_inactive_user(operator: User, caplog: pytest.LogCaptureFixture) -> None:
    client = api(operator)
    User.objects.update(is_active=False)
    assert_not_let_in(client.get(COMMANDS), caplog)


def test_a_deleted_user(operator: User, caplog: pytest.LogCaptureFixture) -> None:
    client = api(operator)
    operator.delete()
    assert_not_let_in(client.get(COMMANDS), caplog)


# Tokens for a password, and for a refresh token


def obtain(name: str, password: str) -> Any:
    return api(None).post("/api/v1/token/", {"username": name, "password": password})


def refresh(token: object) -> Any:
    client = APIClient(raise_request_exception=False)
    return client.post("/api/v1/token/refresh/", {"refresh": str(token)})


@pytest.mark.embedded
def test_a_password_gives_tokens_that_work(operator: User) -> None:
    tokens = obtain("operator", "sovd-demo").json()
    assert with_header(f"Bearer {tokens['access']}").get(COMMANDS).status_code == 200
    again = refresh(tokens["refresh"]).json()
    assert with_header(f"Bearer {again['access']}").get(COMMANDS).status_code == 200


@pytest.mark.parametrize("name", ["operator", "nobody"])
def test_a_wrong_password_says_nothing_of_the_name(operator: User, name: str) -> None:
    response = obtain(name, "wrong")
    assert response.status_code == 401
    assert response.json() == {
        "code": "no_active_account",
        "detail": "No active account found with the given credentials",
    }


@pytest.mark.parametrize("wrong", WRONG_TOKENS)
def test_a_wrong_refresh_token(
    operator: User, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    token = WRONG_TOKENS[wrong](RefreshToken.for_user(operator))
    assert_not_let_in(refresh(token), caplog)


def test_an_access_token_in_place_of_a_refresh_token(
    operator: User, caplog: pytest.LogCaptureFixture
) -> None:
    assert_not_let_in(refresh(AccessToken.for_user(operator)), caplog)


def test_a_refresh_token_of_an_inactive_user(
    operator: User, caplog: pytest.LogCaptureFixture
) -> None:
    token = RefreshToken.for_user(operator)
    User.objects.update(is_active=False)
    assert_not_let_in(refresh(token), caplog)


def test_a_refresh_token_of_a_deleted_user(
    operator: User, caplog: pytest.LogCaptureFixture
) -> None:
    token = RefreshToken.for_user(operator)
    operator.delete()
    assert_not_let_in(refresh(token), caplog)


# Sessions


def logged_in(user: User, **options: Any) -> Client:
    client = Client(**options)
    client.force_login(user)
    return client


def csrf_of(client: Client) -> dict[str, str]:
    """The header that the console's page sends, from the page's own cookie."""
    client.get("/")
    return {"X-CSRFToken": client.cookies["csrftoken"].value}


def submit_by_session(client: Client, vehicle: Vehicle, headers: dict[str, str]) -> Any:
    body = {"vehicle_id": str(vehicle.pk), **ReadDTC}
    return client.post(COMMANDS, body, content_type="application/json", headers=headers)


def test_a_session_reads(operator: User, command: Command) -> None:
    page = logged_in(operator).get(COMMANDS).json()
    assert [row["command_id"] for row in page["results"]] == [str(command.pk)]


def test_a_session_writes_with_its_csrf_token(operator: User, vehicle: Vehicle) -> None:
    client = logged_in(operator, enforce_csrf_checks=True)
    assert submit_by_session(client, vehicle, csrf_of(client)).status_code == 201


@pytest.mark.parametrize("headers", [{}, {"X-CSRFToken": "a" * 32}, {"X-CSRFToken": "\x00"}])
def test_a_session_writes_nothing_without_it(
    operator: User, vehicle: Vehicle, headers: dict[str, str]
) -> None:
    client = logged_in(operator, enforce_csrf_checks=True)
    csrf_of(client)
    response = submit_by_session(client, vehicle, headers)
    assert (response.status_code, response.json()["code"]) == (403, "permission_denied")
    assert not Command.objects.exists()


# Refresh tokens are worth one use


def log_out(token: object) -> Any:
    client = APIClient(raise_request_exception=False)
    return client.post("/api/v1/token/logout/", {"refresh": str(token)})


@pytest.mark.embedded
def test_a_refresh_token_is_used_up_and_has_a_successor(operator: User) -> None:
    first = RefreshToken.for_user(operator)
    answer = refresh(first).json()
    assert answer.keys() == {"access", "refresh"}
    assert refresh(first).status_code == 401
    assert refresh(answer["refresh"]).status_code == 200


def test_of_two_uses_at_once_one_counts(operator: User) -> None:
    """The other one had looked before, and found nothing."""
    token = RefreshToken.for_user(operator)

    class Late:
        def __init__(self) -> None:
            self.was_here = False

        def __call__(self, execute: Any, sql: str, *arguments: Any) -> Any:
            if sql.startswith('INSERT INTO "commands_usedtoken"') and not self.was_here:
                self.was_here = True
                with ThreadPoolExecutor(1) as thread:
                    assert thread.submit(faster).result() == 200
            return execute(sql, *arguments)

    def faster() -> int:
        try:
            return int(refresh(token).status_code)
        finally:
            connection.close()

    with connection.execute_wrapper(Late()):
        assert refresh(token).status_code == 401


def test_logging_out_gives_the_refresh_token_up(
    operator: User, caplog: pytest.LogCaptureFixture
) -> None:
    token = RefreshToken.for_user(operator)
    assert (log_out(token).status_code, log_out(token).status_code) == (204, 401)
    assert_not_let_in(refresh(token), caplog)


# Whose it is does not matter: it is given up all the same.
@pytest.mark.parametrize("wrong", [name for name in WRONG_TOKENS if not name.startswith("user")])
def test_logging_out_with_a_wrong_token(
    operator: User, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert_not_let_in(log_out(WRONG_TOKENS[wrong](RefreshToken.for_user(operator))), caplog)


def test_used_tokens_are_forgotten_when_they_would_have_expired(operator: User) -> None:
    log_out(RefreshToken.for_user(operator))
    forget_expired()
    assert UsedToken.objects.count() == 1
    UsedToken.objects.update(expires_at=timezone.now())
    forget_expired()
    assert not UsedToken.objects.exists()


def test_the_key_of_tokens_is_not_the_secret_key(operator: User) -> None:
    """Who can sign a session cannot sign a token."""
    token = signed(AccessToken.for_user(operator), key=settings.SECRET_KEY)
    assert with_header(f"Bearer {token}").get(COMMANDS).status_code == 401
