"""The right to read a stream, checked again while the stream is open."""

from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.crypto import constant_time_compare

from commands.accounts import logins
from commands.models import Command
from commands.stream.protocol import Close, Refusal
from commands.stream.tickets import Grant


class Reader(NamedTuple):
    """The user of one stream, as they were when it was opened."""

    user_id: int
    command_id: UUID
    is_submitter: bool
    auth_hash: str  # changes with the password, as for Django's sessions
    login: str


def reader_of(grant: Grant, command: Command) -> Reader:
    user = grant.user
    is_submitter = command.submitted_by_id == user.pk
    return Reader(user.pk, command.pk, is_submitter, user.get_session_auth_hash(), grant.login)


def refusals(readers: Iterable[Reader]) -> dict[Reader, Refusal]:
    """Return the refusals of those who may no longer read, by three queries for all."""
    readers = set(readers)
    users = {user.pk: user for user in _users({reader.user_id for reader in readers})}
    ended = logins.ended(reader.login for reader in readers)
    found = ((reader, _refusal(reader, users.get(reader.user_id), ended)) for reader in readers)
    return {reader: refusal for reader, refusal in found if refusal}


def _refusal(reader: Reader, user: Any, ended_logins: set[str]) -> Refusal | None:
    if user is None:
        return Refusal(Close.UNAUTHENTICATED, "The user is no longer active.")
    if reader.login in ended_logins:
        return Refusal(Close.UNAUTHENTICATED, "The login of this stream has ended. Log in again.")
    if not constant_time_compare(user.get_session_auth_hash(), reader.auth_hash):
        return Refusal(Close.UNAUTHENTICATED, "The password has changed. Log in again.")
    if not (reader.is_submitter or user.sees_all_commands):
        return Refusal(Close.NOT_FOUND, f"There is no command {reader.command_id}.")
    return None


def _users(pks: set[int]) -> QuerySet[Any]:
    """Return the active ones of these users. The rule is `visible_to()`'s, for many users."""
    users = get_user_model().objects
    seers = users.with_perm(
        "commands.view_command", backend="django.contrib.auth.backends.ModelBackend"
    )
    sees_all = Exists(seers.filter(pk=OuterRef("pk")))
    return users.filter(pk__in=pks, is_active=True).annotate(sees_all_commands=sees_all)
