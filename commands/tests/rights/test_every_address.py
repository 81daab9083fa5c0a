"""Every role at every address, from the project's own list of addresses."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from commands import batches
from commands.models import Batch, Command
from commands.tests.rights.addresses import BODIES, address_of
from commands.tests.rights.rules import ROLES, routes, rules, spelt
from conftest import ReadDTC, browser, make_vehicle, token_of
from vehicles.models import Vehicle


def test_every_address_has_a_rule() -> None:
    assert routes() == rules().keys()


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
def test_every_spelling_of_an_address_has_the_same_rule(path: str, spelling: str) -> None:
    assert spelt(path) == spelling


class Clients:
    """One client of each role for the API, with a token, and one for pages, with a session."""

    def __init__(self, people: dict[str, User | None]) -> None:
        self._people = people
        self._made: dict[tuple[str, bool], Client] = {}

    def of(self, role: str, route: str) -> Client:
        user = self._people[role]
        key = (role, route.startswith(("api/", "sovd/")))
        if key not in self._made:
            self._made[key] = client_of(user, *key[1:]) if user else Client()
            self._made[key].raise_request_exception = False
        return self._made[key]

    def log_in_again(self) -> None:
        self._made.clear()


def client_of(user: User, has_token: bool) -> Client:
    """Return a client of a user who was active when it logged in."""
    is_active = user.username != "inactive"
    User.objects.filter(pk=user.pk).update(is_active=True)
    if has_token:
        client = Client(headers={"authorization": f"Bearer {token_of(user)}"})
    else:
        client = browser(user)
    User.objects.filter(pk=user.pk).update(is_active=is_active)
    return client


def submit_batch(user: User, vehicle: Vehicle) -> Command:
    """A command of a batch is one like any other."""
    batch = Batch(submitted_by=user, **ReadDTC)
    batches.submit(batch, [vehicle])
    return Command.objects.get(batch=batch)


def answers(clients: Clients, method: str, route: str, command: Command) -> list[str]:
    """Ask as each role: at one address, unless a role may end what the next one asks for."""
    is_own = method == "DELETE" or "{execution_id}" in route
    common = "" if is_own else address_of(route, command)
    return [
        answer(
            clients.of(role, route), method, route, common or address_of(route, command), command
        )
        for role in ROLES
    ]


def answer(client: Client, method: str, route: str, address: str, command: Command) -> str:
    body = BODIES[route](command) if route in BODIES else {}
    is_json = route.startswith(("api/", "sovd/"))
    json = "application/json" if is_json else "application/x-www-form-urlencoded"
    send = getattr(client, method.lower())
    response = send(address) if method == "GET" else send(address, body or "", content_type=json)
    response.close()  # an export's place is free for the next one
    return str(response.status_code)


def test_every_role_at_every_address(people: dict[str, User | None], counts: list[str]) -> None:
    owner = people["owner"]
    assert owner
    wrong: dict[str, list[str]] = {}
    clients = Clients(people)
    command = submit_batch(owner, make_vehicle())
    for number, ((method, route), rule) in enumerate(rules().items(), 1_000):
        seen = answers(clients, method, route, command)
        wrong |= {f"{method} {route}": seen} if seen != rule else {}
        if "logout" in route:
            clients.log_in_again()
        # An empty form of the admin changes nothing.
        if method != "GET" and not route.startswith("admin/"):
            command = submit_batch(owner, make_vehicle(number))
    assert not wrong
    counts.append(f"{len(rules())} methods of addresses, {len(ROLES)} roles, as the rules say")


# A vehicle without commands, unlike the one above, can be deleted.
DELETIONS = """
DELETE api/v1/vehicles/{vehicle_id}/         401   401   403   403   403   204
GET  admin/vehicles/vehicle/{id}/delete/     302   302   403   403   403   200
POST admin/vehicles/vehicle/{id}/delete/     302   302   403   403   403   302
"""


@pytest.mark.parametrize("rule", DELETIONS.strip().splitlines(), ids=lambda rule: rule[:6].strip())
def test_only_an_admin_deletes_a_vehicle_without_commands(
    people: dict[str, User | None], rule: str
) -> None:
    method, route, *codes = rule.split()
    clients, vehicle = Clients(people), make_vehicle()
    address = "/" + route.format(vehicle_id=vehicle.pk, id=vehicle.pk)
    senders = [getattr(clients.of(role, route), method.lower()) for role in ROLES]
    seen = [str(send(address, {"post": "yes"}).status_code) for send in senders]
    assert seen == codes
    assert Vehicle.objects.exists() == (method == "GET")
