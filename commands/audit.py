"""The audit: who did what, when, and from where. Postgres refuses to change or delete an entry.

Written by the edges. What changes commands has its entry in the same transaction: no deed without
its entry, and no entry without its deed. An export's is written before its first line is sent.
Log-ins are heard of by Django's signals.
"""

from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils.crypto import salted_hmac
from rest_framework.request import Request

from commands.limits import client_address
from commands.models import Action, AuditEntry

MOST_OF_A_NAME = AuditEntry._meta.get_field("username").max_length


def record(
    request: HttpRequest | Request, action: Action, subject: object = "", **details: object
) -> None:
    """That the request's user did this. `subject` is the ID of a command or batch."""
    record_of(request.user, request, action, subject, **details)


def record_each(request: HttpRequest | Request, action: Action, commands: Any) -> None:
    """That the request's user did this to each of them."""
    who = {"username": request.user.get_username(), "user_id": request.user.pk}
    address = client_address(request)
    AuditEntry.objects.bulk_create(
        AuditEntry(action=action, subject=str(pk), address=address, **who)
        for pk in commands.values_list("pk", flat=True)
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
def _logged_in(request: HttpRequest, user: User, **_: Any) -> None:
    record_of(user, request, Action.LOG_IN)


@receiver(user_logged_out)
def _logged_out(request: HttpRequest, user: User | None, **_: Any) -> None:
    if user:
        record_of(user, request, Action.LOG_OUT)


@receiver(user_login_failed)
def _log_in_failed(
    credentials: dict[str, Any], request: HttpRequest | Request | None = None, **_: Any
) -> None:
    """Who was locked out was refused without a look at the password: that is told once."""
    typed = _storable(credentials.get("username"))
    is_known = User.objects.filter(username=typed).exists()
    name = typed if is_known else _digest(typed)
    details = {} if is_known else {"unknown_name": True}
    if getattr(request, "axes_locked_out", False):
        if _is_told(name, request):
            return
        details["locked_out"] = True
    _write(request, Action.LOG_IN_FAILED, name, details=details)


def _is_told(name: str, request: Any) -> bool:
    """Before anybody is locked out again, passwords were looked at, which has entries too."""
    failures = AuditEntry.objects.filter(username=name, action=Action.LOG_IN_FAILED)
    last = failures.filter(address=client_address(request)).order_by("-id").first()
    return last is not None and "locked_out" in last.details


def _digest(typed: str) -> str:
    """Not what was typed: people type passwords into that field. The same is the same, and
    without the SECRET_KEY nobody can try what it was."""
    return salted_hmac("commands.audit", typed, algorithm="sha256").hexdigest()


def _storable(typed: object) -> str:
    """What was typed as a name, as far as Postgres can hold it."""
    text = str(typed or "")[:MOST_OF_A_NAME].replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return text.encode(errors="replace").decode()
