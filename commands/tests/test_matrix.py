"""Who may do what: every role at every address, from the project's own list of addresses.

An address or a method that is new has no rule here, and fails the test until it has one.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import URLResolver, get_resolver

from commands import batches
from commands.models import Action, AuditEntry, Batch, Command
from commands.threads import in_thread
from conftest import WAIT_SECONDS, ReadDTC, make_user, make_vehicle, submit, token_of
from sovd.asgi import application, websocket_urlpatterns
from vehicles.models import Vehicle

ROLES = ["anonymous", "inactive", "stranger", "owner", "viewer", "admin"]

# What each role is answered. The owner submitted the command, the stranger is another operator;
# `inactive` has a token and a session from before. A 302 leads to the log-in, or says that there
# is no such thing. The admin comes last, when the owner has cancelled.
RULES = """
                                             anon  inact strng owner viewr admin
GET  /                                       302   302   200   200   200   200
GET  vehicles/                               302   302   200   200   200   200
GET  vehicles/{pk}/                          302   302   200   200   200   200
GET  commands/                               302   302   200   200   200   200
GET  commands/new/                           302   302   200   200   200   200
GET  commands/{pk}/                          302   302   404   200   200   200
GET  batches/                                302   302   200   200   200   200
GET  batches/new/                            302   302   200   200   200   200
GET  batches/{pk}/                           302   302   404   200   200   200
GET  favicon.ico                             302   302   302   302   302   302
POST favicon.ico                             302   302   302   302   302   302
GET  accounts/login/                         200   200   302   302   302   302
POST accounts/login/                         200   200   200   200   200   200
PUT  accounts/login/                         200   200   200   200   200   200
POST accounts/logout/                        302   302   302   302   302   302

POST api/v1/token/                           400   400   400   400   400   400
POST api/v1/token/refresh/                   400   400   400   400   400   400
POST api/v1/token/logout/                    400   400   400   400   400   400
POST api/v1/stream-tickets/                  401   401   404   201   201   201
GET  api/v1/command-types/                   401   401   200   200   200   200
GET  api/v1/vehicles/                        401   401   200   200   200   200
GET  api/v1/vehicles/{vehicle_id}/           401   401   200   200   200   200
GET  api/v1/vehicles/{vehicle_id}/trouble-codes/ 401   401   200   200   200   200
GET  api/v1/dashboard/                       401   401   200   200   200   200
GET  api/v1/commands/                        401   401   200   200   200   200
POST api/v1/commands/                        401   401   201   201   403   201
GET  api/v1/commands/export/                 401   401   200   200   200   200
GET  api/v1/commands/{command_id}/           401   401   404   200   200   200
POST api/v1/commands/{command_id}/cancel/    401   401   404   200   403   409
POST api/v1/commands/cancel/                 401   401   400   200   403   200
GET  api/v1/commands/{command_id}/events/    401   401   404   200   200   200
GET  api/v1/commands/{command_id}/responses/ 401   401   404   200   200   200
GET  api/v1/batches/                         401   401   200   200   200   200
POST api/v1/batches/                         401   401   201   201   403   201
GET  api/v1/batches/{batch_id}/              401   401   404   200   200   200
GET  api/v1/batches/{batch_id}/results/      401   401   404   200   200   200
POST api/v1/batches/{batch_id}/cancel/       401   401   404   200   403   409
GET  api/v1/                                 404   404   404   404   404   404
POST api/v1/                                 404   404   404   404   404   404
GET  api/schema/                             200   401   200   200   200   200
GET  api/docs/                               200   200   200   200   200   200

GET  admin/                                  302   302   200   200   200   200
POST admin/                                  302   302   200   200   200   200
GET  admin/login/                            302   302   302   302   302   302
POST admin/login/                            302   302   302   302   302   302
GET  admin/logout/                           302   302   405   405   405   405
POST admin/logout/                           302   302   302   302   302   302
GET  admin/password_change/                  302   302   200   200   200   200
POST admin/password_change/                  302   302   200   200   200   200
GET  admin/password_change/done/             302   302   200   200   200   200
POST admin/password_change/done/             302   302   405   405   405   405
GET  admin/autocomplete/                     302   302   403   403   403   403
POST admin/autocomplete/                     302   302   405   405   405   405
GET  admin/jsi18n/                           302   302   200   200   200   200
POST admin/jsi18n/                           302   302   405   405   405   405
GET  admin/r/{content_type_id}/{object_id}/  302   302   404   404   404   404
POST admin/r/{content_type_id}/{object_id}/  302   302   404   404   404   404
GET  admin/{app_label}/                      302   302   200   200   200   200
POST admin/{app_label}/                      302   302   200   200   200   200
GET  admin/{url}                             302   302   404   404   404   404
POST admin/{url}                             302   302   404   404   404   404

GET  admin/commands/command/                 302   302   200   200   200   200
POST admin/commands/command/                 302   302   200   200   200   200
GET  admin/commands/command/add/             302   302   403   403   403   403
POST admin/commands/command/add/             302   302   403   403   403   403
GET  admin/commands/command/{id}/history/    302   302   302   200   200   200
POST admin/commands/command/{id}/history/    302   302   302   200   200   200
GET  admin/commands/command/{id}/delete/     302   302   403   403   403   403
POST admin/commands/command/{id}/delete/     302   302   403   403   403   403
GET  admin/commands/command/{id}/change/     302   302   302   200   200   200
POST admin/commands/command/{id}/change/     302   302   403   403   403   403
GET  admin/commands/event/                   302   302   200   200   200   200
POST admin/commands/event/                   302   302   200   200   200   200
GET  admin/commands/event/add/               302   302   403   403   403   403
POST admin/commands/event/add/               302   302   403   403   403   403
GET  admin/commands/event/{id}/history/      302   302   302   200   200   200
POST admin/commands/event/{id}/history/      302   302   302   200   200   200
GET  admin/commands/event/{id}/delete/       302   302   403   403   403   403
POST admin/commands/event/{id}/delete/       302   302   403   403   403   403
GET  admin/commands/event/{id}/change/       302   302   302   200   200   200
POST admin/commands/event/{id}/change/       302   302   403   403   403   403
GET  admin/commands/batch/                   302   302   200   200   200   200
POST admin/commands/batch/                   302   302   200   200   200   200
GET  admin/commands/batch/add/               302   302   403   403   403   403
POST admin/commands/batch/add/               302   302   403   403   403   403
GET  admin/commands/batch/{id}/history/      302   302   302   200   200   200
POST admin/commands/batch/{id}/history/      302   302   302   200   200   200
GET  admin/commands/batch/{id}/delete/       302   302   403   403   403   403
POST admin/commands/batch/{id}/delete/       302   302   403   403   403   403
GET  admin/commands/batch/{id}/change/       302   302   302   200   200   200
POST admin/commands/batch/{id}/change/       302   302   403   403   403   403
GET  admin/commands/auditentry/              302   302   403   403   403   200
POST admin/commands/auditentry/              302   302   403   403   403   200
GET  admin/commands/auditentry/add/          302   302   403   403   403   403
POST admin/commands/auditentry/add/          302   302   403   403   403   403
GET  admin/commands/auditentry/{id}/history/ 302   302   403   403   403   200
POST admin/commands/auditentry/{id}/history/ 302   302   403   403   403   200
GET  admin/commands/auditentry/{id}/delete/  302   302   403   403   403   403
POST admin/commands/auditentry/{id}/delete/  302   302   403   403   403   403
GET  admin/commands/auditentry/{id}/change/  302   302   403   403   403   200
POST admin/commands/auditentry/{id}/change/  302   302   403   403   403   403

GET  admin/vehicles/vehicle/                 302   302   403   403   200   200
POST admin/vehicles/vehicle/                 302   302   403   403   200   200
GET  admin/vehicles/vehicle/add/             302   302   403   403   403   200
POST admin/vehicles/vehicle/add/             302   302   403   403   403   200
GET  admin/vehicles/vehicle/{id}/history/    302   302   403   403   200   200
POST admin/vehicles/vehicle/{id}/history/    302   302   403   403   200   200
GET  admin/vehicles/vehicle/{id}/delete/     302   302   403   403   403   200
POST admin/vehicles/vehicle/{id}/delete/     302   302   403   403   403   200
GET  admin/vehicles/vehicle/{id}/change/     302   302   403   403   200   200
POST admin/vehicles/vehicle/{id}/change/     302   302   403   403   403   200
GET  admin/auth/group/                       302   302   403   403   403   200
POST admin/auth/group/                       302   302   403   403   403   200
GET  admin/auth/group/add/                   302   302   403   403   403   200
POST admin/auth/group/add/                   302   302   403   403   403   200
GET  admin/auth/group/{id}/history/          302   302   403   403   403   200
POST admin/auth/group/{id}/history/          302   302   403   403   403   200
GET  admin/auth/group/{id}/delete/           302   302   403   403   403   200
POST admin/auth/group/{id}/delete/           302   302   403   403   403   200
GET  admin/auth/group/{id}/change/           302   302   403   403   403   200
POST admin/auth/group/{id}/change/           302   302   403   403   403   200
GET  admin/auth/user/                        302   302   403   403   403   200
POST admin/auth/user/                        302   302   403   403   403   200
GET  admin/auth/user/add/                    302   302   403   403   403   200
POST admin/auth/user/add/                    302   302   403   403   403   200
GET  admin/auth/user/{id}/password/          302   302   403   403   403   200
POST admin/auth/user/{id}/password/          302   302   403   403   403   200
GET  admin/auth/user/{id}/history/           302   302   403   403   403   200
POST admin/auth/user/{id}/history/           302   302   403   403   403   200
GET  admin/auth/user/{id}/delete/            302   302   403   403   403   200
POST admin/auth/user/{id}/delete/            302   302   403   403   403   200
GET  admin/auth/user/{id}/change/            302   302   403   403   403   200
POST admin/auth/user/{id}/change/            302   302   403   403   403   200
"""
# Only leads on to .../change/, whoever asks.
OF_OLD = re.compile(r"admin/\w+/\w+/\{id\}/$")

# The first frame's error code and the close code, or what was opened.
SOCKETS = {
    "ws/responses/{command_id}": ["4401", "4401", "4404", "opened", "opened", "opened"],
    "ws/responses/{command_id}/": ["4401", "4401", "4404", "opened", "opened", "opened"],
    "": ["refused"] * 6,  # anything else
}


def rules() -> dict[tuple[str, str], list[str]]:
    lines = [line.split() for line in RULES.splitlines()[2:] if line]
    return {(method, route.lstrip("/")): codes for method, route, *codes in lines}


def routes() -> set[tuple[str, str]]:
    """Each method and route of the project, in one spelling."""
    return {
        (method, route)
        for path, view in _patterns(get_resolver())
        for method in _methods(view)
        if not OF_OLD.match(route := spelt(path))
    }


def _patterns(resolver: Any, prefix: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _patterns(entry, route)
        else:
            yield route, entry.callback


def spelt(path: str) -> str:
    """`^commands/(?P<command_id>[^/.]+)/$` and `commands/<command_id>/` alike."""
    path = re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^)]*\))*?\)(?=/|\$|$)", r"{\1}", path)
    path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", path)
    path = path.replace("^", "").replace("$", "").replace("\\Z", "")
    return re.sub(r"(?<=^admin/)(\w+/\w+)/\{(object_)?id\}", r"\1/{id}", path)


def _methods(view: Any) -> set[str]:
    """Those that it handles; a plain function is asked both ways."""
    if actions := getattr(view, "actions", None):
        return {method.upper() for method in actions} - {"HEAD"}
    kind = getattr(view, "cls", None) or getattr(view, "view_class", None)
    offered = [name for name in kind.http_method_names if hasattr(kind, name)] if kind else []
    return {method.upper() for method in offered} - {"HEAD", "OPTIONS"} or {"GET", "POST"}


def test_every_address_has_a_rule() -> None:
    assert routes() == rules().keys()


def test_every_socket_has_a_rule() -> None:
    assert {spelt(str(entry.pattern)) for entry in websocket_urlpatterns} == SOCKETS.keys()


@pytest.mark.parametrize(
    ("path", "spelling"),
    [
        (
            "api/v1/^commands/(?P<command_id>[^/.]+)/cancel/$",
            "api/v1/commands/{command_id}/cancel/",
        ),
        ("admin/commands/command/<path:object_id>/change/", "admin/commands/command/{id}/change/"),
        ("admin/^(?P<app_label>vehicles|commands|auth)/$", "admin/{app_label}/"),
        ("admin/(?P<url>.*)$", "admin/{url}"),
    ],
)
def test_spelling(path: str, spelling: str) -> None:
    assert spelt(path) == spelling


# The people, and what they find


@pytest.fixture
def people(operator: User, stranger: User, viewer: User) -> dict[str, User | None]:
    return {
        "anonymous": None,
        "inactive": make_user("inactive", "add_command", is_staff=True, is_superuser=True),
        "stranger": stranger,
        "owner": operator,
        "viewer": viewer,
        "admin": make_user("admin", is_staff=True, is_superuser=True),
    }


def address_of(route: str, command: Command) -> str:
    """With the ids of things that are there."""
    group, _ = Group.objects.get_or_create(name="A group")
    user, _ = User.objects.get_or_create(username="somebody")
    entry = AuditEntry.objects.first() or AuditEntry.objects.create(action=Action.LOG_IN)
    ids = {
        "admin/commands/auditentry": entry.pk,
        "admin/commands/batch": command.batch_id,
        "admin/commands/command": command.pk,
        "admin/commands/event": command.events.values_list("pk", flat=True)[0],
        "admin/vehicles/vehicle": command.vehicle_id,
        "admin/auth/group": group.pk,
        "admin/auth/user": user.pk,
    }
    about = {
        "batches": command.batch_id,
        "commands": command.pk,
        "vehicles": command.vehicle_id,
    }
    return "/" + route.format(
        command_id=command.pk,
        batch_id=command.batch_id,
        vehicle_id=command.vehicle_id,
        id=ids.get("/".join(route.split("/")[:3])),
        pk=about.get(route.split("/", maxsplit=1)[0]),
        app_label="commands",
        content_type_id=1,
        object_id=command.pk,
        url="nothing",
    )


BODIES: dict[str, Callable[[Command], dict[str, Any]]] = {
    "api/v1/commands/": lambda command: {"vehicle_id": str(command.vehicle_id), **ReadDTC},
    "api/v1/commands/cancel/": lambda command: {"command_ids": [str(command.pk)]},
    "api/v1/batches/": lambda command: {"vehicle_ids": [str(command.vehicle_id)], **ReadDTC},
    "api/v1/stream-tickets/": lambda command: {"command_id": str(command.pk)},
}


def client_of(user: User | None, route: str) -> Client:
    """With a token for the API and with a session for pages; who is inactive had them before."""
    client = Client(raise_request_exception=False)
    if user and route.startswith("api/"):
        return Client(headers={"authorization": f"Bearer {token_of(user)}"})
    if user:
        client.force_login(user)
    return client


def submit_batch(user: User, vehicle: Vehicle) -> Command:
    """A command of a batch is one like any other."""
    batch = Batch(submitted_by=user, **ReadDTC)
    batches.submit(batch, [vehicle])
    return Command.objects.get(batch=batch)


def answer(user: User | None, method: str, route: str, command: Command) -> str:
    client = client_of(user, route)
    body = BODIES[route](command) if route in BODIES else {}
    if user and user.username == "inactive":
        User.objects.filter(pk=user.pk).update(is_active=False)
    json = "application/json" if route.startswith("api/") else "application/x-www-form-urlencoded"
    send = getattr(client, method.lower())
    address = address_of(route, command)
    response = send(address) if method == "GET" else send(address, body or "", content_type=json)
    if user:
        User.objects.filter(pk=user.pk).update(is_active=True)
    response.close()  # an export's place is free for the next one
    return str(response.status_code)


def test_every_role_at_every_address(people: dict[str, User | None], counts: list[str]) -> None:
    owner = people["owner"]
    assert owner
    wrong: dict[str, list[str]] = {}
    for (method, route), rule in rules().items():
        command = submit_batch(owner, make_vehicle())
        seen = [answer(people[role], method, route, command) for role in ROLES]
        wrong |= {f"{method} {route}": seen} if seen != rule else {}
        Command.objects.all().delete()
        Batch.objects.all().delete()
        Vehicle.objects.all().delete()
    assert not wrong
    counts.append(f"{len(rules())} methods of addresses, {len(ROLES)} roles, as the rules say")


# Sockets


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
