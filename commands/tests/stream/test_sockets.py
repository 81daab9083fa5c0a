"""Access to a stream, its ends, and the count of open sockets after each of them."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest
from asgiref.typing import ASGISendEvent
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.contrib.auth.models import User
from redis.asyncio import Redis

from commands import events
from commands.accounts.tokens import AccessToken, RefreshToken
from commands.database.threads import in_thread
from commands.metrics.scrape import registry
from commands.models import Command
from conftest import (
    WAIT_SECONDS,
    Stream,
    access_token,
    drain,
    follow,
    make_user,
    submit,
    token_of,
    until,
)
from sovd.asgi import application
from vehicles.models import Vehicle


@pytest.fixture
def command(operator: User, vehicle: Vehicle) -> Command:
    return submit(operator, vehicle)


async def refused(stream: Stream) -> tuple[str, int]:
    """Return the error code and the close code of a refused stream."""
    (frame,), code = await stream.rest()
    assert (frame["event"], frame["sequence_number"]) == ("error", 0)
    assert frame["error_message"]
    return frame["error_code"], code


# --- Tokens


def signed(**claims: Any) -> str:
    """Return a validly signed access token with odd claims."""
    usual = {"token_type": "access", "exp": time.time() + 60, "jti": "x", "user_id": "1"}
    kept = {name: value for name, value in (usual | claims).items() if value is not None}
    return jwt.encode(kept, settings.TOKEN_SIGNING_KEY, algorithm="HS256")


def expired() -> str:
    token = AccessToken()
    token.set_exp(lifetime=-token.lifetime)
    return str(token)


BAD_TOKENS: dict[str, Callable[[User], str | None]] = {
    "missing": lambda user: None,
    "empty": lambda user: "",
    "garbage": lambda user: "garbage",
    "expired": lambda user: expired(),
    "wrongly signed": lambda user: jwt.encode(AccessToken.for_user(user).payload, "x" * 50),
    "unsigned": lambda user: jwt.encode(AccessToken.for_user(user).payload, "", "none"),
    "refresh token": lambda user: str(RefreshToken.for_user(user)),
    "without a family": lambda user: signed(user_id=str(user.pk)),
    "no user": lambda user: signed(user_id=None),
    "user that is a list": lambda user: signed(user_id=[user.pk]),
    "user that is no number": lambda user: signed(user_id="abc"),
    "endless": lambda user: signed(exp=1e308, user_id=str(user.pk)),
    "without end": lambda user: signed(exp=None, user_id=str(user.pk)),
    "absent user": lambda user: signed(user_id="999999"),
    "lone surrogate": lambda user: "%ED%A0%80." * 3,
    "not ASCII": lambda user: "%C3%A4.%00.%FF",
}


@pytest.mark.parametrize("kind", BAD_TOKENS)
async def test_a_bad_token_is_refused(
    operator: User, command: Command, kind: str, caplog: Any
) -> None:
    token = await in_thread(BAD_TOKENS[kind], operator)
    async with follow(command.pk, token) as stream:
        assert await refused(stream) == ("unauthenticated", 4401)
    assert not [record for record in caplog.records if record.exc_info]


async def test_inactive_and_deleted_users_are_refused(command: Command) -> None:
    user = await in_thread(make_user, "gone")
    token = token_of(user)
    await in_thread(User.objects.filter(pk=user.pk).update, is_active=False)
    async with follow(command.pk, token) as stream:
        assert await refused(stream) == ("unauthenticated", 4401)
    await in_thread(user.delete)
    async with follow(command.pk, token) as stream:
        assert await refused(stream) == ("unauthenticated", 4401)


async def test_a_bearer_header_opens_a_stream(operator: User, command: Command) -> None:
    headers = {"authorization": f"Bearer {token_of(operator)}"}
    async with follow(command.pk, None, headers=headers) as stream:
        assert (await stream.frame())["status"] == "pending"


async def test_a_stream_ends_when_its_token_expires(operator: User, command: Command) -> None:
    token = access_token(operator)
    token.set_exp(lifetime=timedelta(seconds=1))
    async with follow(command.pk, str(token)) as stream:
        assert (await stream.frame())["sequence_number"] == 1
        assert await refused(stream) == ("token_expired", 4401)


# --- The right to see a command


async def test_submitters_and_viewers_see_a_command_and_strangers_do_not(
    operator: User, viewer: User, stranger: User, command: Command
) -> None:
    for user in (operator, viewer):
        async with follow(command.pk, token_of(user)) as stream:
            assert (await stream.frame())["sequence_number"] == 1
    async with follow(command.pk, token_of(stranger)) as stream:
        assert await refused(stream) == ("not_found", 4404)


async def test_absent_and_forbidden_commands_look_the_same(
    stranger: User, command: Command
) -> None:
    absent = "00000000-0000-4000-8000-000000000000"
    frames = []
    for command_id in (str(command.pk), absent):
        async with follow(command_id, token_of(stranger)) as stream:
            (frame,), code = await stream.rest()
            frames.append((frame["error_message"].replace(command_id, "ID"), code))
    assert frames[0] == frames[1]


@pytest.mark.parametrize("command_id", ["x", "1", "0" * 400, "%00", "%F0%9F%9A%97"])
async def test_an_invalid_command_id_is_refused(operator: User, command_id: str) -> None:
    async with follow(command_id, token_of(operator)) as stream:
        assert await refused(stream) == ("not_found", 4404)


async def test_refusals_come_in_a_fixed_order(stranger: User, command: Command) -> None:
    """First the user, then the right to see the command, then the request."""
    async with follow(command.pk, "garbage", after="x") as stream:
        assert await refused(stream) == ("unauthenticated", 4401)
    async with follow(command.pk, token_of(stranger), after="x") as stream:
        assert await refused(stream) == ("not_found", 4404)


# --- Origin


OWN = "http://testserver"


async def opens(command: Command, user: User, origin: str, **headers: str) -> bool:
    given = {"host": "testserver", "origin": origin} | headers
    communicator = WebsocketCommunicator(
        application,
        f"/ws/responses/{command.pk}?token={token_of(user)}",
        headers=[(name.encode(), value.encode()) for name, value in given.items()],
    )
    accepted, _ = await communicator.connect(WAIT_SECONDS)
    await communicator.disconnect()
    return bool(accepted)


@pytest.mark.parametrize(
    ("origin", "is_ours"),
    [
        (OWN, True),
        ("https://testserver", False),
        ("http://testserver:8000", False),
        ("http://evil.example", False),
        ("http://testserver.evil.example", False),
        ("null", False),
        ("", False),
    ],
)
async def test_only_pages_of_the_own_origin_open_a_stream(
    operator: User, command: Command, origin: str, is_ours: bool
) -> None:
    assert await opens(command, operator, origin) is is_ours


async def test_the_port_of_an_origin_counts(operator: User, command: Command) -> None:
    assert await opens(command, operator, f"{OWN}:8000", host="testserver:8000")
    assert not await opens(command, operator, OWN, host="testserver:8000")


async def test_a_trusted_origin_opens_a_stream(
    operator: User, command: Command, settings: Any
) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://console.example.com:8443"]
    assert await opens(command, operator, "https://console.example.com:8443")
    assert not await opens(command, operator, "https://console.example.com")
    assert not await opens(command, operator, "http://console.example.com:8443")


async def test_the_scheme_of_an_origin_counts_behind_a_proxy_that_ends_tls(
    operator: User, command: Command, settings: Any
) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    by_https = {"x-forwarded-proto": "https"}
    assert await opens(command, operator, "https://testserver", **by_https)
    assert not await opens(command, operator, "http://testserver", **by_https)
    assert not await opens(command, operator, "https://testserver")


async def test_a_foreign_name_that_points_at_this_server_is_refused(
    operator: User, command: Command
) -> None:
    """The page and the socket have the same origin, by DNS rebinding."""
    host = "rebound.example"
    assert not await opens(command, operator, f"http://{host}", host=host)


# --- The number of open sockets


def open_sockets() -> float:
    return registry().get_sample_value("websocket_connections_active") or 0.0


async def test_each_open_socket_counts_once(operator: User, command: Command) -> None:
    async with follow(command.pk, token_of(operator)) as stream:
        await stream.frame()
        assert open_sockets() == 1
        async with follow(command.pk, token_of(operator)) as second:
            await second.frame()
            assert open_sockets() == 2
        assert open_sockets() == 1
    assert open_sockets() == 0


async def test_a_refused_socket_does_not_count(command: Command) -> None:
    async with follow(command.pk, "garbage") as stream:
        await stream.rest()
        assert open_sockets() == 0


async def test_too_large_a_message_ends_a_stream(operator: User, command: Command) -> None:
    async with follow(command.pk, token_of(operator)) as stream:
        await stream.frame()
        await stream.send("x" * (64 * 1024 + 1))
        (error,), code = await stream.rest()
        assert (error["error_code"], error["sequence_number"], code) == ("frame_too_large", 0, 4413)
    assert open_sockets() == 0


async def test_too_many_frames_end_a_stream(operator: User, command: Command) -> None:
    async with follow(command.pk, token_of(operator)) as stream:
        await stream.frame()
        for _ in range(61):
            await stream.send(data=b"\xff")
        (error,), code = await stream.rest()
        assert (error["error_code"], error["sequence_number"], code) == ("too_many_frames", 0, 4429)
    assert open_sockets() == 0


@pytest.mark.parametrize("text", ["", "no JSON", '{"type": "command.event"}', "\x00"])
async def test_frames_of_the_client_are_not_read(
    operator: User, command: Command, text: str
) -> None:
    async with follow(command.pk, token_of(operator)) as stream:
        await stream.frame()
        await stream.send(text)
        await drain()
        assert (await stream.rest())[1] == 1000


async def test_a_stream_whose_connection_breaks_does_not_count(
    operator: User, command: Command, caplog: Any
) -> None:
    """The stream is closed, logged and no longer counted."""

    async def broken_application(scope: Any, receive: Any, send: Any) -> None:
        async def broken_send(message: ASGISendEvent) -> None:
            if message["type"] == "websocket.send":
                raise RuntimeError("the connection is broken")
            await send(message)

        await application(scope, receive, broken_send)

    async with follow(command.pk, token_of(operator), application=broken_application) as stream:
        assert await stream.rest() == ([], 4500)
        await until(lambda: open_sockets() == 0)
    assert "the connection is broken" in caplog.text


async def test_a_killed_socket_does_not_count(operator: User, command: Command) -> None:
    communicator = WebsocketCommunicator(
        application, f"/ws/responses/{command.pk}?token={token_of(operator)}"
    )
    await communicator.connect(WAIT_SECONDS)
    await communicator.receive_output(WAIT_SECONDS)
    assert open_sockets() == 1
    communicator.stop(exceptions=False)
    await until(lambda: open_sockets() == 0)


# --- On the real Redis


async def has_members(redis: Redis, group: str, count: int) -> bool:
    return bool(await redis.pubsub_numsub(group) == [(group.encode(), count)])


async def test_many_sockets_share_one_membership(operator: User, command: Command) -> None:
    """The process joins the group of a command once, and leaves it with the last socket."""
    group = f"asgi__group__{events.group_of(command.pk)}"
    async with Redis.from_url(settings.REDIS_URL) as redis:
        async with follow(command.pk, token_of(operator)) as stream:
            async with follow(command.pk, token_of(operator)) as second:
                await second.frame()
                await stream.frame()
                assert await has_members(redis, group, 1)
            assert await has_members(redis, group, 1)
        await until(lambda: has_members(redis, group, 0))


async def test_an_idle_socket_outlives_the_timeout_of_redis(
    operator: User, command: Command, settings: Any
) -> None:
    """The layer reads with a time-out of redis-py, 5 s by default. Here it is 0.1 s."""
    layer = settings.CHANNEL_LAYERS["default"]
    host = {"address": settings.REDIS_URL, "socket_timeout": 0.1}
    settings.CHANNEL_LAYERS = {"default": layer | {"CONFIG": {"hosts": [host]}}}
    settings.STREAM_POLL_SECONDS = 3600
    async with follow(command.pk, token_of(operator)) as stream:
        await stream.frame()
        assert await stream.nothing_for(1)
        await drain()
        assert (await stream.rest())[1] == 1000
