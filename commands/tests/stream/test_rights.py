"""A stream ends soon after its user loses the right to read it, and goes on for all others."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client

from commands.accounts import logins
from commands.accounts.tokens import RefreshToken
from commands.database.threads import in_thread
from commands.models import Command
from commands.stream.connection_manager import Connections
from commands.stream.request import read_request
from commands.stream.rights import Reader, reader_of, refusals
from commands.stream.tickets import Grant
from conftest import access_token, api, drain, follow, make_user, submit, token_of
from vehicles.models import Vehicle


@pytest.fixture
def command(operator: User, vehicle: Vehicle) -> Command:
    return submit(operator, vehicle)


def view_permission() -> Permission:
    return Permission.objects.get(codename="view_command")


def member(user: User) -> User:
    """Let the user see all commands by a group alone."""
    group, _ = Group.objects.get_or_create(name="Night shift")
    group.permissions.add(view_permission())
    user.groups.add(group)
    return user


def change_password(user: User) -> None:
    user.set_password("another password")
    user.save()


def set_fields(**fields: bool) -> Callable[[User], object]:
    return lambda user: User.objects.filter(pk=user.pk).update(**fields)


def by_permission() -> User:
    return make_user("reader", "view_command")


def by_group() -> User:
    return member(make_user("reader"))


def by_both() -> User:
    return member(by_permission())


def superuser() -> User:
    return make_user("reader", is_superuser=True, is_staff=True)


Made = Callable[[], User]
Change = Callable[[User], object]

LOSSES: dict[str, tuple[Made, Change, tuple[str, int]]] = {
    "permission": (by_permission, lambda user: user.user_permissions.clear(), ("not_found", 4404)),
    "membership": (by_group, lambda user: user.groups.clear(), ("not_found", 4404)),
    "permission of the group": (
        by_group,
        lambda user: user.groups.get().permissions.clear(),
        ("not_found", 4404),
    ),
    "group": (by_group, lambda user: user.groups.get().delete(), ("not_found", 4404)),
    "superuser flag": (superuser, set_fields(is_superuser=False), ("not_found", 4404)),
    "activity": (by_permission, set_fields(is_active=False), ("unauthenticated", 4401)),
    "activity of a superuser": (superuser, set_fields(is_active=False), ("unauthenticated", 4401)),
    "account": (by_permission, User.delete, ("unauthenticated", 4401)),
    "password": (by_permission, change_password, ("unauthenticated", 4401)),
}


@pytest.mark.parametrize("lost", LOSSES)
async def test_a_stream_ends_when_its_user_loses(lost: str, viewer: User, command: Command) -> None:
    make, lose, reason = LOSSES[lost]
    user = await in_thread(make)
    async with (
        follow(command.pk, token_of(user)) as stream,
        follow(command.pk, token_of(viewer)) as other,
    ):
        await stream.frame()
        await in_thread(lose, user)
        await Connections.of_this_process().check_rights()
        (frame,), code = await stream.rest()
        assert (frame["error_code"], code) == reason
        await drain()
        assert (await other.rest())[1] == 1000


KEPT: dict[str, tuple[Made, Change]] = {
    "one permission of two": (by_both, lambda user: user.user_permissions.clear()),
    "a group that gave nothing more": (by_both, lambda user: user.groups.clear()),
    "the staff flag": (superuser, set_fields(is_staff=False)),
}


@pytest.mark.parametrize("lost", KEPT)
async def test_a_stream_goes_on_when_its_user_loses(lost: str, command: Command) -> None:
    make, lose = KEPT[lost]
    user = await in_thread(make)
    async with follow(command.pk, token_of(user)) as stream:
        await stream.frame()
        await in_thread(lose, user)
        await Connections.of_this_process().check_rights()
        await drain()
        assert (await stream.rest())[1] == 1000


async def test_a_submitter_needs_no_permission_to_go_on(operator: User, command: Command) -> None:
    async with follow(command.pk, token_of(operator)) as stream:
        await stream.frame()
        await in_thread(operator.user_permissions.clear)
        await Connections.of_this_process().check_rights()
        await drain()
        assert (await stream.rest())[1] == 1000


@pytest.mark.embedded
async def test_rights_are_checked_without_being_asked(command: Command) -> None:
    user = await in_thread(by_permission)
    async with follow(command.pk, token_of(user)) as stream:
        await stream.frame()
        await in_thread(user.user_permissions.clear)
        assert (await stream.rest())[1] == 4404


# --- The login of a stream


def token_login(user: User) -> tuple[str, Callable[[], object]]:
    """Log in by the API. Return the credential of a stream, and the way to log out."""
    refresh = RefreshToken.for_user(user)
    body = {"refresh": str(refresh)}
    return f"token={refresh.access_token}", lambda: api(None).post("/api/v1/token/logout/", body)


def ticket_of(client: Any, command: Command) -> str:
    body = {"command_id": str(command.pk)}
    made = client.post("/api/v1/stream-tickets/", body, content_type="application/json")
    return f"ticket={made.json()['ticket']}"


def session_login(user: User, command: Command) -> tuple[str, Callable[[], object]]:
    browser = Client()
    browser.force_login(user)
    return ticket_of(browser, command), lambda: browser.post("/accounts/logout/")


def ended_from_another_session(user: User, command: Command) -> tuple[str, Callable[[], object]]:
    """Log in twice by a browser. The second session ends all others of the user."""
    browser, another = Client(), Client()
    for client in (browser, another):
        client.force_login(user)
    return ticket_of(browser, command), lambda: another.post("/accounts/sessions/end-others/")


def token_and_ticket_login(user: User, command: Command) -> tuple[str, Callable[[], object]]:
    credential, log_out = token_login(user)
    program = Client(headers={"Authorization": f"Bearer {credential.removeprefix('token=')}"})
    return ticket_of(program, command), log_out


LOGINS: dict[str, Callable[[User, Command], tuple[str, Callable[[], object]]]] = {
    "a token": lambda user, command: token_login(user),
    "a ticket of a token": token_and_ticket_login,
    "a ticket of a session": session_login,
    "a session that another one ends": ended_from_another_session,
}


@pytest.mark.parametrize("kind", LOGINS)
async def test_a_stream_ends_with_the_login_of(kind: str, operator: User, command: Command) -> None:
    """The same user's stream from another login goes on."""
    credential, log_out = await in_thread(LOGINS[kind], operator, command)
    async with (
        follow(f"{command.pk}?{credential}#", None) as stream,
        follow(command.pk, await in_thread(token_of, operator)) as other,
    ):
        await stream.frame()
        await in_thread(log_out)
        await Connections.of_this_process().check_rights()
        (frame,), code = await stream.rest()
        assert (frame["error_code"], code) == ("unauthenticated", 4401)
        await drain()
        assert (await other.rest())[1] == 1000


@pytest.mark.parametrize("kind", LOGINS)
async def test_logging_out_everywhere_ends_the_stream_of(
    kind: str, operator: User, command: Command
) -> None:
    credential, _ = await in_thread(LOGINS[kind], operator, command)
    async with follow(f"{command.pk}?{credential}#", None) as stream:
        await stream.frame()
        everywhere = "/api/v1/token/logout-everywhere/"
        response = await in_thread(lambda: api(operator).post(everywhere))
        assert response.status_code == 204
        await Connections.of_this_process().check_rights()
        assert (await stream.rest())[1] == 4401


# --- What it costs


def scope_of(command: Command, query: str) -> dict[str, Any]:
    route = {"kwargs": {"command_id": str(command.pk)}}
    return {"query_string": query.encode(), "url_route": route, "headers": []}


def test_the_queries_of_a_handshake_are_counted(
    operator: User, command: Command, known: Any, django_assert_num_queries: Any
) -> None:
    """The command; with a ticket also its row, and the statement that deletes it."""
    known(operator)
    credential, _ = token_login(operator)
    read_request(scope_of(command, credential))  # from now on the login is known
    ticket = ticket_of(Client(headers={"Authorization": f"Bearer {token_of(operator)}"}), command)
    for query, count in ((credential, 1), (ticket, 3)):
        with django_assert_num_queries(count):
            read_request(scope_of(command, query))


# --- The check itself


def reader(user: User, command: Command) -> Reader:
    return reader_of(Grant(user, 60, logins.of_token(access_token(user))), command)


def test_the_check_knows_the_rule_of_the_api(operator: User, command: Command) -> None:
    """The check asks for many users at once, in another way than `visible_to()`."""
    others = [make_user(f"u{n}", *rights) for n, rights in enumerate([(), ("view_command",)])]
    others += [make_user("boss", is_superuser=True), member(make_user("member"))]
    others += [make_user("gone", "view_command", is_active=False)]
    for user in [operator, *others]:
        is_refused = bool(refusals([reader(user, command)]))
        assert is_refused == (api(user).get(f"/api/v1/commands/{command.pk}/").status_code != 200)


def test_three_queries_check_all_streams_of_a_process(
    operator: User, viewer: User, stranger: User, command: Command, django_assert_num_queries: Any
) -> None:
    readers = [reader(user, command) for user in (operator, viewer, stranger)]
    readers.append(readers[0]._replace(login=logins.of_session(SessionStore("unknown" * 4))))
    with django_assert_num_queries(3):
        refused = refusals(readers)
    assert {*refused} == {readers[2], readers[3]}
