"""Tickets: each opens one stream of one command for its user, once, within seconds."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone

from commands.accounts.tokens import AccessToken
from commands.database.threads import in_thread
from commands.models import Command, StreamTicket
from commands.stream.tickets import NotATicket, redeem
from commands.worker.retention import delete_expired
from conftest import api, drain, follow, submit, token_of
from vehicles.models import Vehicle

TICKETS = "/api/v1/stream-tickets/"


@pytest.fixture
def command(operator: User, vehicle: Vehicle) -> Command:
    return submit(operator, vehicle)


def ticket_of(user: User, command: Command) -> str:
    response = api(user).post(TICKETS, {"command_id": str(command.pk)})
    assert response.status_code == 201, response.content
    assert response.json().keys() == {"ticket", "expires_in"}
    assert response.json()["expires_in"] == 30
    return str(response.json()["ticket"])


async def opened(command_id: Any, query: str, **headers: str) -> tuple[Any, int]:
    """Return the error code or the number of frames, and the close code."""
    async with follow(f"{command_id}?{query}#", None, headers=headers) as stream:
        await drain()
        frames, code = await stream.rest()
        return frames[0].get("error_code") or len(frames), code


@pytest.mark.embedded
async def test_a_ticket_opens_the_stream_once(operator: User, command: Command) -> None:
    ticket = await in_thread(ticket_of, operator, command)
    assert await opened(command.pk, f"ticket={ticket}") == (6, 1000)
    assert await opened(command.pk, f"ticket={ticket}") == ("unauthenticated", 4401)


async def test_a_ticket_of_another_command_is_refused(operator: User, vehicle: Vehicle) -> None:
    """The attempt uses the ticket up, since another client has learned it."""
    one, other = [await in_thread(submit, operator, vehicle) for _ in range(2)]
    ticket = await in_thread(ticket_of, operator, one)
    assert await opened(other.pk, f"ticket={ticket}") == ("unauthenticated", 4401)
    assert await opened(one.pk, f"ticket={ticket}") == ("unauthenticated", 4401)


@pytest.mark.parametrize("ticket", ["", "x", "%00", "%FF", "%ED%A0%80", "9" * 5_000])
async def test_an_invalid_ticket_is_refused(command: Command, ticket: str) -> None:
    assert await opened(command.pk, f"ticket={ticket}") == ("unauthenticated", 4401)


async def test_an_expired_ticket_is_refused(operator: User, command: Command) -> None:
    ticket = await in_thread(ticket_of, operator, command)
    await in_thread(StreamTicket.objects.update, expires_at=timezone.now())
    assert await opened(command.pk, f"ticket={ticket}") == ("unauthenticated", 4401)


async def test_a_ticket_of_an_inactive_user_is_refused(operator: User, command: Command) -> None:
    ticket = await in_thread(ticket_of, operator, command)
    await in_thread(User.objects.update, is_active=False)
    assert await opened(command.pk, f"ticket={ticket}") == ("unauthenticated", 4401)


async def test_a_ticket_of_a_user_who_lost_the_right_is_refused(
    viewer: User, command: Command
) -> None:
    ticket = await in_thread(ticket_of, viewer, command)
    await in_thread(viewer.user_permissions.clear)
    assert await opened(command.pk, f"ticket={ticket}") == ("not_found", 4404)


async def test_a_stream_ends_with_the_token_that_its_ticket_was_made_from(
    operator: User, command: Command
) -> None:
    ticket = await in_thread(ticket_of, operator, command)
    await in_thread(StreamTicket.objects.update, stream_ends_at=timezone.now())
    async with follow(f"{command.pk}?ticket={ticket}#", None) as stream:
        (frame,), code = await stream.rest()
    assert (frame["error_code"], code) == ("token_expired", 4401)


def test_a_stream_lasts_as_long_as_the_token_or_a_new_one(
    operator: User, command: Command, settings: Any
) -> None:
    settings.ACCESS_TOKEN_SECONDS = 60
    token = AccessToken.for_user(operator)
    token.set_exp(lifetime=timedelta(seconds=7))
    client = api(None)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    by_token = client.post(TICKETS, {"command_id": str(command.pk)}).json()["ticket"]
    browser = Client()
    browser.force_login(operator)
    by_session = browser.post(
        TICKETS, {"command_id": str(command.pk)}, content_type="application/json"
    ).json()["ticket"]
    assert 0 < redeem(by_token, str(command.pk)).seconds <= 7
    assert 50 < redeem(by_session, str(command.pk)).seconds <= 60


@pytest.mark.parametrize("other", ["ticket", "token", "header"])
async def test_two_credentials_are_refused(operator: User, command: Command, other: str) -> None:
    """Each credential is good by itself, but it is not known which one counts."""
    ticket = await in_thread(ticket_of, operator, command)
    token = token_of(operator)
    query = f"ticket={ticket}&{other}={token if other == 'token' else ticket}"
    headers = {"authorization": f"Bearer {token}"} if other == "header" else {}
    query = f"ticket={ticket}" if other == "header" else query
    assert await opened(command.pk, query, **headers) == ("bad_request", 4400)
    assert await opened(command.pk, f"ticket={ticket}") == (6, 1000)


async def test_a_token_in_the_query_and_one_in_the_header_are_refused(
    operator: User, command: Command
) -> None:
    token = token_of(operator)
    bearer = {"authorization": f"Bearer {token}"}
    assert await opened(command.pk, f"token={token}", **bearer) == ("bad_request", 4400)
    assert await opened(command.pk, "token=", **bearer) == (6, 1000)


def test_a_ticket_opens_one_stream_for_many_simultaneous_clients(
    operator: User, command: Command
) -> None:
    ticket, at_once = ticket_of(operator, command), 6
    ready = Barrier(at_once)

    def enter() -> bool:
        ready.wait()
        try:
            redeem(ticket, str(command.pk))
        except NotATicket:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(at_once) as threads:
        entered = [future.result() for future in [threads.submit(enter) for _ in range(at_once)]]
    assert sorted(entered) == [False] * (at_once - 1) + [True]


def test_the_slower_of_two_clients_with_one_ticket_is_refused(
    operator: User, command: Command
) -> None:
    """Both have read it before: the DELETE decides."""
    ticket = ticket_of(operator, command)

    def faster(execute: Any, sql: str, *arguments: Any) -> Any:
        if sql.startswith("DELETE"):
            with ThreadPoolExecutor(1) as thread:
                thread.submit(StreamTicket.objects.all().delete).result()
        return execute(sql, *arguments)

    with connection.execute_wrapper(faster), pytest.raises(NotATicket):
        redeem(ticket, str(command.pk))


# Getting a ticket


def test_users_who_see_a_command_get_a_ticket(
    operator: User, viewer: User, command: Command
) -> None:
    for user in (operator, viewer):
        assert api(user).post(TICKETS, {"command_id": str(command.pk)}).status_code == 201


def test_hidden_and_absent_commands_look_the_same(stranger: User, command: Command) -> None:
    hidden, absent = (
        api(stranger).post(TICKETS, {"command_id": str(pk)}) for pk in (command.pk, uuid4())
    )
    assert hidden.status_code == absent.status_code == 404
    assert hidden.content == absent.content


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "command_id"), ({"command_id": "x"}, "command_id"), ({"ticket": "mine"}, "ticket")],
)
def test_a_wrong_request_names_its_field(operator: User, body: dict[str, Any], field: str) -> None:
    response = api(operator).post(TICKETS, body)
    assert (response.status_code, [*response.json()["fields"]]) == (400, [field])


def test_a_session_needs_its_csrf_token(operator: User, command: Command) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator)
    body = {"command_id": str(command.pk)}
    assert client.post(TICKETS, body, content_type="application/json").status_code == 403
    client.get("/")
    headers = {"X-CSRFToken": client.cookies["csrftoken"].value}
    response = client.post(TICKETS, body, content_type="application/json", headers=headers)
    assert response.status_code == 201


def test_tickets_are_stored_as_digests_and_deleted_when_expired(
    operator: User, command: Command
) -> None:
    ticket = ticket_of(operator, command)
    assert ticket not in str(StreamTicket.objects.values())
    delete_expired()
    assert StreamTicket.objects.exists()
    StreamTicket.objects.update(expires_at=timezone.now())
    delete_expired()
    assert not StreamTicket.objects.exists()
