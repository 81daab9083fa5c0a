"""Users, with their permissions, and logins: kept for KEPT_SECONDS in the memory of a process.

A request and a handshake then ask the database for neither. This process forgets a user on every
change that Django makes to them, and tells the other processes by a notification. Without one, as
after a change by SQL, a right that was taken away may work for KEPT_SECONDS more.
"""

import asyncio
from collections.abc import Callable, Collection, Hashable, Mapping
from copy import copy
from threading import Lock
from time import monotonic
from typing import Any
from uuid import UUID

from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from django.db.models.signals import m2m_changed, post_delete, post_save
from django.dispatch import receiver

from commands.models import TokenFamily
from commands.notifications import Listener, publisher

KEPT_SECONDS = 3.0
MAX_KEPT = 2_000
ACCOUNTS = "accounts"  # the group that gets a message for each change of a user or a login

EVERYBODY = None


class Kept:
    """Values by key. A value that was being read while it changed is not kept."""

    def __init__(self) -> None:
        self._values: dict[Hashable, tuple[float, Any]] = {}
        self._changes = 0
        self._lock = Lock()

    def get(self, key: Hashable, load: Callable[[], Any]) -> Any:
        """Return the value of the key, loaded by `load` if it is not kept."""
        until, value = self._values.get(key, (0.0, None))
        if monotonic() < until:
            return value
        changes = self._changes
        value = load()
        self._keep(key, value, changes)
        return value

    def _keep(self, key: Hashable, value: Any, changes: int) -> None:
        with self._lock:
            if changes == self._changes:
                if len(self._values) >= MAX_KEPT:
                    self._values.clear()
                self._values[key] = monotonic() + KEPT_SECONDS, value

    def forget(self, is_changed: Callable[[Any], bool]) -> None:
        with self._lock:
            self._changes += 1
            values = self._values.items()
            self._values = {key: kept for key, kept in values if not is_changed(kept[1])}


_users, _families = Kept(), Kept()


def user(pk: int) -> User:
    """Return a copy of this user, who has their permissions. Raise User.DoesNotExist."""
    found: User = copy(_users.get(pk, lambda: _load_user(pk)))
    return found


def family(pk: UUID) -> TokenFamily:
    """Return the family, with its user. Raise TokenFamily.DoesNotExist."""
    found: TokenFamily = copy(_families.get(pk, lambda: TokenFamily.objects.get(pk=pk)))
    try:
        found.user = user(found.user_id)
    except User.DoesNotExist as error:
        raise TokenFamily.DoesNotExist from error
    return found


def _load_user(pk: int) -> User:
    found = User.objects.get(pk=pk)
    found.get_all_permissions()  # which the model keeps for `has_perm`
    return found


# --- Changes


def changed(user_id: int | None) -> None:
    """Forget this user or EVERYBODY, in all processes, now and after the transaction.

    Others may read the rows of before, and keep them, until it is committed.
    """
    _forget(user_id)
    transaction.on_commit(lambda: _tell(user_id), robust=True)


def _tell(user_id: int | None) -> None:
    _forget(user_id)
    publisher.publish(ACCOUNTS, {"type": "account.changed", "user_id": user_id})


def _forget(user_id: int | None) -> None:
    _users.forget(lambda user: user_id in (EVERYBODY, user.pk))
    _families.forget(lambda family: user_id in (EVERYBODY, family.user_id))


@receiver([post_save, post_delete], sender=User)
def _user_changed(instance: User, update_fields: Collection[str] | None = None, **_: Any) -> None:
    if set(update_fields or ()) != {"last_login"}:  # as each login writes it
        changed(instance.pk)


@receiver(m2m_changed, sender=User.groups.through)
@receiver(m2m_changed, sender=User.user_permissions.through)
def _rights_changed(instance: User | Group | Permission, **_: Any) -> None:
    changed(instance.pk if isinstance(instance, User) else EVERYBODY)


@receiver(m2m_changed, sender=Group.permissions.through)
@receiver(post_delete, sender=Group)
@receiver(post_delete, sender=Permission)
def _rights_of_many_changed(**_: Any) -> None:
    changed(EVERYBODY)


# --- Changes in other processes


class Watch:
    """The listener of this process to changes in others, for the lifetime of one event loop."""

    _loop: asyncio.AbstractEventLoop | None = None
    _listener: Listener

    @classmethod
    def start(cls) -> None:
        """Listen on the running loop from now on."""
        loop = asyncio.get_running_loop()
        if loop is not cls._loop:
            cls._loop, cls._listener = loop, Listener(_on_message)
            cls._listener.join(ACCOUNTS)


def _on_message(message: Mapping[str, Any]) -> None:
    _forget(message["user_id"])
