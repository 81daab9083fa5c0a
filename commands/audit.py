"""The audit trail. Postgres refuses to change or delete an entry.

The API and the admin write it. An operation on commands and its entry share one transaction. The
entry of an export is written before its first line is sent. Logins come by Django's signals.
"""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils.crypto import salted_hmac
from rest_framework.request import Request

from commands.client_address import client_address
from commands.models import Action, AuditEntry

MAX_NAME_CHARACTERS = AuditEntry._meta.get_field("username").max_length


def record(
    request: HttpRequest | Request, action: Action, subject: object = "", **details: object
) -> None:
    """Record an action of the request's user. `subject` is the ID of its object."""
    record_of(request.user, request, action, subject, **details)


def entry(
    request: HttpRequest | Request, action: Action, subject: object, **details: object
) -> AuditEntry:
    """Return an entry for an action of the request's user, to be written by the caller."""
    return AuditEntry(
        username=request.user.get_username(),
        user_id=request.user.pk,
        action=action,
        subject=str(subject),
        details=details,
        address=client_address(request),
    )


def record_each(request: HttpRequest | Request, action: Action, commands: Any) -> None:
    """Record an action of the request's user for each of these commands."""
    user = {"username": request.user.get_username(), "user_id": request.user.pk}
    address = client_address(request)
    AuditEntry.objects.bulk_create(
        AuditEntry(action=action, subject=str(pk), address=address, **user)
        for pk in commands.values_list("pk", flat=True)
    )


def record_shell(command: str, actions: Iterable[tuple[Action, object, dict[str, Any]]]) -> None:
    """Record actions of `manage.py <command>`, each with its subject and details.

    No user can have the name that stands for it: it has a blank.
    """
    AuditEntry.objects.bulk_create(
        AuditEntry(username=f"manage.py {command}", action=action, subject=str(pk), details=details)
        for action, pk, details in actions
    )


def record_of(
    user: User | AnonymousUser,
    request: HttpRequest | Request | None,
    action: Action,
    subject: object = "",
    **details: object,
) -> None:
    _write(request, action, user.get_username(), user_id=user.pk, subject=subject, details=details)


def _write(
    request: HttpRequest | Request | None, action: Action, username: str, **fields: Any
) -> None:
    address = client_address(request) if request else None
    AuditEntry.objects.create(username=username, action=action, address=address, **fields)


@receiver(user_logged_in)
def _logged_in(request: HttpRequest | Request, user: User, **_: Any) -> None:
    record_of(user, request, Action.LOG_IN)


@receiver(user_logged_out)
def _logged_out(request: HttpRequest | Request, user: User | None, **_: Any) -> None:
    if user:
        record_of(user, request, Action.LOG_OUT)


@receiver(user_login_failed)
def _login_failed(
    credentials: dict[str, Any], request: HttpRequest | Request | None = None, **_: Any
) -> None:
    _record_failed_login(request, credentials.get("username"))


def record_locked_out(request: HttpRequest | Request, typed_name: str) -> None:
    """Record once that attempts with this name are refused without checking the password."""
    _record_failed_login(request, typed_name, locked_out=True)


def _record_failed_login(
    request: HttpRequest | Request | None, typed_name: object, **details: bool
) -> None:
    name = _storable(typed_name)
    if not User.objects.filter(username=name).exists():
        name = _digest(name)
        details = {"unknown_name": True, **details}
    _write(request, Action.LOG_IN_FAILED, name, details=details)


def _digest(typed_name: str) -> str:
    """Return a keyed digest: people type passwords into that field.

    Nobody can find the name by trying without SECRET_KEY.
    """
    return salted_hmac("commands.audit", typed_name, algorithm="sha256").hexdigest()


def _storable(typed_name: object) -> str:
    """Return the name as far as Postgres can hold it."""
    text = str(typed_name or "")[:MAX_NAME_CHARACTERS].replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return text.encode(errors="replace").decode()
