"""Every role at every WebSocket, from the project's own list of them."""

import pytest
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import User

from commands.database.threads import in_thread
from commands.tests.rights.rules import ROLES, spelt
from conftest import WAIT_SECONDS, submit, token_of
from sovd.asgi import application, websocket_urlpatterns
from vehicles.models import Vehicle

# The first frame's error code and the close code, or what was opened.
SOCKETS = {
    "ws/responses/{command_id}": ["4401", "4401", "4404", "opened", "opened", "opened"],
    "ws/responses/{command_id}/": ["4401", "4401", "4404", "opened", "opened", "opened"],
    "": ["refused"] * 6,  # anything else
}


def test_every_socket_has_a_rule() -> None:
    assert {spelt(str(entry.pattern)) for entry in websocket_urlpatterns} == SOCKETS.keys()


async def opening(path: str) -> str:
    communicator = WebsocketCommunicator(application, path)
    accepted, _ = await communicator.connect(WAIT_SECONDS)
    if not accepted:
        return "refused"
    try:
        message = await communicator.receive_output(WAIT_SECONDS)
        if '"error_code"' not in message["text"]:
            return "opened"
        return str((await communicator.receive_output(WAIT_SECONDS))["code"])
    finally:
        await communicator.disconnect()


@pytest.mark.parametrize("route", SOCKETS)
async def test_every_role_at_every_socket(
    people: dict[str, User | None], vehicle: Vehicle, route: str, counts: list[str]
) -> None:
    owner = people["owner"]
    assert owner
    command = await in_thread(submit, owner, vehicle)
    path = f"/{route or 'ws/nothing'}".format(command_id=command.pk)
    queries = {role: f"?token={token_of(user)}" if user else "" for role, user in people.items()}
    await in_thread(User.objects.filter(username="inactive").update, is_active=False)
    assert [await opening(path + queries[role]) for role in ROLES] == SOCKETS[route]
    counts.append(f"socket {route or '(any other)'}, {len(ROLES)} roles, as the rules say")
