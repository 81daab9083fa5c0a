"""Requests to the routes of tokens, as a program sends them."""

from typing import Any

from django.contrib.auth.models import User
from rest_framework.test import APIClient

from commands.accounts.tokens import RefreshToken

COMMANDS = "/api/v1/commands/"
TOKEN = "/api/v1/token/"  # noqa: S105 - an address


def with_header(value: str) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=value)
    return client


def post(address: str, **body: object) -> Any:
    client = APIClient(raise_request_exception=False)
    return client.post(TOKEN + address, {name: str(value) for name, value in body.items()})


def log_in(name: str = "operator", password: str = "sovd-demo") -> Any:
    return post("", username=name, password=password)


def tokens_of(user: User) -> dict[str, str]:
    """Return the tokens of a new login, without hashing a password."""
    token = RefreshToken.for_user(user)
    return {"refresh": str(token), "access": str(token.access_token)}


def refresh(token: object) -> Any:
    return post("refresh/", refresh=token)


def log_out(token: object) -> Any:
    return post("logout/", refresh=token)


def ask(access: object) -> int:
    return int(with_header(f"Bearer {access}").get(COMMANDS).status_code)
