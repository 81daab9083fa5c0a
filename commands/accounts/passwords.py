"""Checking passwords: within THROTTLE_LOGIN, and a few at once.

Hashing a password takes a third of a second of CPU by design. Without a bound, twenty attempts to
log in with new names would keep everybody else waiting.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpRequest
from rest_framework import status

from commands.accounts.login_limit import LoginRefused, count_attempt, uncount_attempt

HASHES_AT_ONCE = 4  # of this process
WAIT_SECONDS = 2  # for one of these places

_places = BoundedSemaphore(HASHES_AT_ONCE)


class Busy(LoginRefused):
    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_code = "busy"
    default_detail = (
        "The server is busy checking other passwords. Yours was not checked. Try again in a second."
    )
    wait = 1


class PasswordBackend(ModelBackend):
    """Django's own, within the limit on attempts. It serves the pages and the API."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        """Return the user with this password. Raise LoginRefused if it was not checked."""
        if request is None or username is None:
            return super().authenticate(request, username, password, **kwargs)
        count_attempt(request, username)
        try:
            return super().authenticate(request, username, password, **kwargs)
        except Busy:
            uncount_attempt(request, username)
            raise


class BoundedHasher(PBKDF2PasswordHasher):
    """Django's first choice, HASHES_AT_ONCE."""

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        with _place():
            return super().encode(password, salt, iterations)


@contextmanager
def _place() -> Iterator[None]:
    """Wait for a place without holding a connection that others need. Raise Busy."""
    if not connection.in_atomic_block:
        connection.close()
    if not _places.acquire(timeout=WAIT_SECONDS):
        raise Busy
    try:
        yield
    finally:
        _places.release()
