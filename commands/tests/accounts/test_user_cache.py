"""Users and logins in the memory of a process: asked for once, and forgotten at each change."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from channels.layers import get_channel_layer
from django.contrib.auth.models import Group, Permission, User
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from commands.accounts import user_cache
from commands.accounts.user_cache import Kept
from commands.database.threads import in_thread
from commands.models import Command
from commands.tests.accounts.doors import COMMANDS, ask, log_out, tokens_of, with_header
from conftest import make_user, submit, until
from vehicles.models import Vehicle

ACCOUNTS = ("auth_user", "auth_permission", "commands_tokenfamily")


def view_permission() -> Permission:
    return Permission.objects.get(codename="view_command")


@pytest.fixture
def command(operator: User, vehicle: Vehicle) -> Command:
    return submit(operator, vehicle)


@pytest.fixture
def reader(transactional_db: None) -> User:
    """A user whose only right comes from a group."""
    user = make_user("reader")
    group = Group.objects.create(name="Readers")
    group.permissions.add(view_permission())
    user.groups.add(group)
    return user


def statuses_of(user: User, command: Command, change: Callable[[User], object]) -> list[int]:
    """Return the status of a request before and after the change, with one token."""
    client = with_header(f"Bearer {tokens_of(user)['access']}")
    address = f"{COMMANDS}{command.pk}/"
    before = client.get(address).status_code
    change(user)
    return [before, client.get(address).status_code]


def is_about_accounts(query: dict[str, str]) -> bool:
    return any(f'FROM "{table}"' in query["sql"] for table in ACCOUNTS)


@pytest.mark.embedded
def test_a_request_asks_once_for_the_user_and_the_login(operator: User) -> None:
    access = tokens_of(operator)["access"]
    asked = []
    for _ in range(3):
        with CaptureQueriesContext(connection) as captured:
            assert ask(access) == 200
        asked.append(sum(map(is_about_accounts, captured.captured_queries)))
    assert asked[0] > 0
    assert asked[1:] == [0, 0]


def deactivate(user: User) -> None:
    user.is_active = False
    user.save()


def change_password(user: User) -> None:
    user.set_password("another password")
    user.save()


LOSSES: dict[str, tuple[Callable[[User], object], int]] = {
    "membership": (lambda user: user.groups.clear(), 404),
    "permission of the group": (lambda user: user.groups.get().permissions.clear(), 404),
    "group": (lambda user: user.groups.get().delete(), 404),
    "activity": (deactivate, 401),
    "account": (User.delete, 401),
    "password": (change_password, 401),
}


@pytest.mark.parametrize("lost", LOSSES)
def test_a_loss_counts_at_once_in_the_process_that_makes_it(
    reader: User, command: Command, lost: str
) -> None:
    change, status = LOSSES[lost]
    assert statuses_of(reader, command, change) == [200, status]


def add_to(permission: Permission, user: User) -> None:
    permission.user_set.add(user)


GAINS: dict[str, Callable[[User], object]] = {
    "permission": lambda user: user.user_permissions.add(view_permission()),
    "permission, by its own list of users": lambda user: add_to(view_permission(), user),
    "membership": lambda user: user.groups.add(Group.objects.get(name="Viewers")),
}


@pytest.mark.parametrize("gained", GAINS)
def test_a_gain_counts_at_once(stranger: User, command: Command, gained: str) -> None:
    Group.objects.get_or_create(name="Viewers")[0].permissions.add(view_permission())
    assert statuses_of(stranger, command, GAINS[gained]) == [404, 200]


def test_a_logout_counts_at_once(operator: User) -> None:
    tokens, other = tokens_of(operator), tokens_of(operator)
    assert ask(tokens["access"]) == ask(other["access"]) == 200
    log_out(tokens["refresh"])
    assert (ask(tokens["access"]), ask(other["access"])) == (401, 200)


def test_a_change_counts_when_its_transaction_is_committed(operator: User) -> None:
    """A request before the end of the transaction reads the user of before, and keeps them."""
    access = tokens_of(operator)["access"]

    def ask_elsewhere() -> int:
        with ThreadPoolExecutor(1) as thread:
            status = thread.submit(ask, access).result()
            thread.submit(connections.close_all).result()
        return status

    with transaction.atomic():
        deactivate(operator)
        assert ask_elsewhere() == 200
    assert ask_elsewhere() == 401


def test_a_login_forgets_nobody(operator: User) -> None:
    access = tokens_of(operator)["access"]
    assert ask(access) == 200
    operator.save(update_fields=["last_login"])
    with CaptureQueriesContext(connection) as captured:
        assert ask(access) == 200
    assert not any(map(is_about_accounts, captured.captured_queries))


# --- Other processes


def change_by_sql(user: User) -> None:
    """Change the user as another process does: no signal of Django tells this one."""
    User.objects.filter(pk=user.pk).update(is_active=False)


@pytest.mark.embedded
@pytest.mark.parametrize("everybody", [False, True])
async def test_a_message_of_another_process_forgets_a_user(operator: User, everybody: bool) -> None:
    access = (await in_thread(tokens_of, operator))["access"]
    user_cache.Watch.start()
    assert await in_thread(ask, access) == 200
    await in_thread(change_by_sql, operator)
    user_id = None if everybody else operator.pk
    message = {"type": "account.changed", "user_id": user_id}

    async def is_refused() -> bool:
        await get_channel_layer().group_send(user_cache.ACCOUNTS, message)
        return await in_thread(ask, access) == 401

    await until(is_refused)


def age(store: Kept) -> None:
    """Let all that is kept have been read KEPT_SECONDS ago."""
    kept_now = store._values.items()
    store._values = {
        key: (until - user_cache.KEPT_SECONDS, value) for key, (until, value) in kept_now
    }


def test_without_a_message_a_lost_right_works_for_seconds(operator: User) -> None:
    access = tokens_of(operator)["access"]
    assert ask(access) == 200
    change_by_sql(operator)
    assert ask(access) == 200
    age(user_cache._users)
    assert ask(access) == 401


# --- The store


def test_a_value_that_was_read_before_a_change_is_not_kept() -> None:
    store = Kept()
    read: list[int] = []

    def load() -> Any:
        read.append(len(read))
        if len(read) == 1:
            store.forget(lambda value: False)  # while this one is being read
        return read[-1]

    assert [store.get("key", load) for _ in range(3)] == [0, 1, 1]


def test_an_error_is_not_kept() -> None:
    store = Kept()

    def fail() -> Any:
        raise User.DoesNotExist

    with pytest.raises(User.DoesNotExist):
        store.get("key", fail)
    assert store.get("key", lambda: 1) == 1


def test_the_store_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_cache, "MAX_KEPT", 3)
    store = Kept()
    for key in range(10):
        store.get(key, lambda: 1)
    assert len(store._values) <= 3
