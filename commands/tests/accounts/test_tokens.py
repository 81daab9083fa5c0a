"""Tokens of the API: which ones are accepted, and how they are renewed."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import timedelta
from time import monotonic
from typing import Any
from uuid import uuid4

import jwt
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import F
from django.utils import timezone
from rest_framework_simplejwt.tokens import Token

from commands.accounts import user_cache
from commands.accounts.tokens import AccessToken, RefreshToken
from commands.models import TokenFamily
from commands.tests.accounts.doors import (
    COMMANDS,
    ask,
    log_in,
    log_out,
    post,
    refresh,
    tokens_of,
    with_header,
)
from conftest import WAIT_SECONDS, meanwhile

# Wrong tokens


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
    "no user": lambda token: signed(token, user_id=None),
    "no family": lambda token: signed(token, family=None),
    "family is a list": lambda token: signed(token, family=[1]),
    "family is a name": lambda token: signed(token, family="abc"),
    "family is unknown": lambda token: signed(token, family=str(uuid4())),
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


def assert_refused(response: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert response.status_code == 401, response.content
    assert response.json().keys() == {"code", "detail"}
    assert not [record for record in caplog.records if record.levelname in {"ERROR", "CRITICAL"}]


@pytest.mark.parametrize("wrong", WRONG_TOKENS)
def test_a_wrong_access_token_is_refused(
    operator: User, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    token = WRONG_TOKENS[wrong](AccessToken.for_user(operator))
    assert_refused(with_header(f"Bearer {token}").get(COMMANDS), caplog)


@pytest.mark.parametrize("wrong", WRONG_TOKENS)
@pytest.mark.parametrize("use", [refresh, log_out])
def test_a_wrong_refresh_token_is_refused(
    operator: User, wrong: str, use: Callable[[object], Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert_refused(use(WRONG_TOKENS[wrong](RefreshToken.for_user(operator))), caplog)


def test_the_wrong_tokens_are_made_from_good_ones(operator: User) -> None:
    assert ask(signed(AccessToken.for_user(operator))) == 200
    assert refresh(signed(RefreshToken.for_user(operator))).status_code == 200


@pytest.mark.parametrize(("seconds", "status"), [(3, 200), (-3, 200), (60, 401), (-60, 401)])
def test_clocks_of_two_hosts_may_differ_by_seconds(
    operator: User, seconds: int, status: int
) -> None:
    """The token was issued in the future, or has expired, by the clock that reads it."""
    now = int(timezone.now().timestamp()) + seconds
    claims: dict[str, Any] = {"iat": now, "nbf": now} if seconds > 0 else {"exp": now}
    assert ask(signed(AccessToken.for_user(operator), **claims)) == status


def test_a_token_that_is_kept_expires(operator: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_cache, "KEPT_SECONDS", 3600)
    a_moment_ago = int(timezone.now().timestamp()) - 6  # it counts for ten seconds: LEEWAY
    token = signed(AccessToken.for_user(operator), exp=a_moment_ago)
    assert ask(token) == 200
    deadline = monotonic() + WAIT_SECONDS
    while ask(token) == 200:
        assert monotonic() < deadline


def test_a_token_of_another_users_family_is_refused(operator: User, stranger: User) -> None:
    assert ask(signed(AccessToken.for_user(operator), user_id=str(stranger.pk))) == 401


def test_one_kind_of_token_does_not_stand_in_for_the_other(
    operator: User, caplog: pytest.LogCaptureFixture
) -> None:
    token = RefreshToken.for_user(operator)
    assert_refused(with_header(f"Bearer {token}").get(COMMANDS), caplog)
    assert_refused(refresh(token.access_token), caplog)


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer a b", "Basic YTpi", "é", "\x00"])
def test_a_wrong_header_is_refused(
    transactional_db: None, header: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert_refused(with_header(header).get(COMMANDS), caplog)


def test_a_token_signed_with_the_key_of_sessions_is_refused(operator: User) -> None:
    assert ask(signed(AccessToken.for_user(operator), key=settings.SECRET_KEY)) == 401


# Login and refresh


@pytest.mark.embedded
def test_a_password_gives_tokens_that_work(operator: User) -> None:
    tokens = log_in().json()
    assert tokens.keys() == {"access", "refresh"}
    assert ask(tokens["access"]) == 200
    assert ask(refresh(tokens["refresh"]).json()["access"]) == 200


@pytest.mark.parametrize("name", ["operator", "nobody"])
def test_a_wrong_password_says_nothing_about_the_name(operator: User, name: str) -> None:
    response = log_in(name, "wrong")
    assert response.status_code == 401
    assert response.json() == {
        "code": "no_active_account",
        "detail": "No active account found with the given credentials",
    }


@pytest.mark.parametrize("address", ["", "refresh/"])
def test_a_response_with_a_secret_is_not_stored(operator: User, address: str) -> None:
    refresh_token = RefreshToken.for_user(operator)
    body = {"username": "operator", "password": "sovd-demo", "refresh": refresh_token}
    response = post(address, **body)
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"


def test_a_login_by_the_api_is_the_users_last_login(operator: User) -> None:
    log_in()
    operator.refresh_from_db()
    assert operator.last_login is not None


@pytest.mark.embedded
def test_a_refresh_token_has_a_successor(operator: User) -> None:
    first = RefreshToken.for_user(operator)
    second = refresh(first).json()["refresh"]
    assert refresh(second).status_code == 200


@pytest.mark.embedded
def test_a_spent_refresh_token_ends_its_whole_family(operator: User) -> None:
    first, other = tokens_of(operator), tokens_of(operator)
    second = refresh(first["refresh"]).json()
    assert ask(first["access"]) == ask(second["access"]) == 200
    assert refresh(first["refresh"]).json()["detail"] == (
        "This refresh token was used before, so its login has ended. Log in again."
    )
    assert refresh(second["refresh"]).status_code == 401
    assert ask(first["access"]) == ask(second["access"]) == 401
    assert (ask(other["access"]), refresh(other["refresh"]).status_code) == (200, 200)


def test_of_two_uses_of_a_refresh_token_at_once_one_counts(operator: User) -> None:
    token = RefreshToken.for_user(operator)
    codes: list[int] = []
    with meanwhile('FROM "commands_tokenfamily"', lambda: codes.append(refresh(token).status_code)):
        codes.append(refresh(token).status_code)
    assert codes == [200, 401]
    assert not TokenFamily.objects.exists()


def test_a_login_has_an_absolute_lifetime(operator: User, settings: Any) -> None:
    settings.REFRESH_TOKEN_DAYS = 2
    token = tokens_of(operator)["refresh"]
    TokenFamily.objects.update(expires_at=F("expires_at") - timedelta(days=2, minutes=-10))
    successor = RefreshToken(refresh(token).json()["refresh"])
    assert timedelta(minutes=9) < lifetime_of(successor) <= timedelta(minutes=10)
    TokenFamily.objects.update(expires_at=timezone.now())
    assert refresh(successor).status_code == ask(successor.access_token) == 401


def lifetime_of(token: Any) -> timedelta:
    return timedelta(seconds=token["exp"] - timezone.now().timestamp())
