"""Service accounts: created and revoked by the API, with tokens by OAuth 2.0 client credentials."""

from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from commands.accounts.tokens import AccessToken
from commands.models import AuditEntry, ServiceAccount, TokenFamily
from commands.tests.accounts.doors import ask
from conftest import api, make_user
from vehicles.models import Vehicle

ACCOUNTS = "/api/v1/service-accounts/"
TOKEN = "/sovd/token"  # noqa: S105 - an address
GRANT = {"grant_type": "client_credentials"}
FORM = "application/x-www-form-urlencoded"

pytestmark = pytest.mark.embedded


@pytest.fixture
def creator(transactional_db: None) -> User:
    return make_user("creator", "add_user", "add_command", "view_vehicle")


@pytest.fixture
def operators(transactional_db: None) -> Group:
    return group_of("Operators", "add_command", "view_vehicle")


def group_of(name: str, *codenames: str) -> Group:
    group, _ = Group.objects.get_or_create(name=name)
    group.permissions.set(Permission.objects.filter(codename__in=codenames))
    return group


@pytest.fixture
def account(creator: User, operators: Group) -> dict[str, Any]:
    return create(creator)


def create(user: User, **fields: Any) -> dict[str, Any]:
    body = {"name": "night-shift", "groups": ["Operators"]} | fields
    response = api(user).post(ACCOUNTS, body)
    assert response.status_code == 201, response.content
    created: dict[str, Any] = response.json()
    return created


def credentials(account: dict[str, Any]) -> dict[str, str]:
    return {name: account[name] for name in ("client_id", "client_secret")}


def by_form(client_id: str, client_secret: str, **form: str) -> Any:
    said = GRANT | {"client_id": client_id, "client_secret": client_secret} | form
    return Client().post(TOKEN, "&".join(f"{k}={quote_plus(v)}" for k, v in said.items()), FORM)


def by_basic(client_id: str, client_secret: str, **form: str) -> Any:
    said = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
    header = {"authorization": f"Basic {b64encode(said.encode()).decode()}"}
    body = "&".join(f"{k}={quote_plus(v)}" for k, v in (GRANT | form).items())
    return Client().post(TOKEN, body, FORM, headers=header)


at_each_way = pytest.mark.parametrize("way", [by_form, by_basic])
Way = Callable[..., Any]


@at_each_way
def test_a_program_gets_a_token_that_has_the_rights_of_its_groups(
    account: dict[str, Any], vehicle: Vehicle, way: Way
) -> None:
    response = way(**credentials(account))
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    body = response.json()
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 900)
    client = Client(headers={"authorization": f"Bearer {body['access_token']}"})
    said = {"vehicle_id": str(vehicle.pk), "command_name": "ScanVehicle"}
    response = client.post("/api/v1/commands/", said, "application/json")
    assert (response.status_code, response.json()["submitted_by"]) == (201, "night-shift")
    assert client.delete(f"/api/v1/vehicles/{vehicle.pk}/").status_code == 403


def test_the_secret_is_shown_once_and_stored_as_a_digest(
    creator: User, account: dict[str, Any]
) -> None:
    (listed,) = api(creator).get(ACCOUNTS).json()["results"]
    assert listed == {name: value for name, value in account.items() if name != "client_secret"}
    assert api(creator).get(f"{ACCOUNTS}{account['client_id']}/").json() == listed
    assert account["client_secret"] not in str(ServiceAccount.objects.values().get())
    assert not User.objects.get(username="night-shift").has_usable_password()


def test_revoking_ends_the_tokens_at_once(creator: User, account: dict[str, Any]) -> None:
    token = by_form(**credentials(account)).json()["access_token"]
    assert ask(token) == 200
    assert api(creator).delete(f"{ACCOUNTS}{account['client_id']}/").status_code == 204
    assert ask(token) == 401
    assert by_form(**credentials(account)).json()["error"] == "invalid_client"
    assert api(creator).get(ACCOUNTS).json()["results"] == []
    assert User.objects.filter(username="night-shift", is_active=False).exists()


def test_a_deactivated_user_gets_no_token(account: dict[str, Any]) -> None:
    User.objects.filter(username="night-shift").update(is_active=False)
    assert by_form(**credentials(account)).status_code == 401


def test_a_token_ends_with_its_family_and_cannot_be_renewed(account: dict[str, Any]) -> None:
    body = by_form(**credentials(account)).json()
    assert "refresh_token" not in body
    (family,) = TokenFamily.objects.filter(user__username="night-shift")
    seconds = AccessToken(body["access_token"])["exp"] - family.expires_at.timestamp()
    assert abs(seconds) <= 1


@pytest.mark.parametrize("user", ["creator", "night-shift"])
@at_each_way
def test_passwords_of_users_are_refused(account: dict[str, Any], way: Way, user: str) -> None:
    response = way(user, "sovd-demo")
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    assert response.headers["WWW-Authenticate"].startswith("Basic ")


@at_each_way
def test_wrong_secrets_are_limited_like_passwords(
    account: dict[str, Any], way: Way, settings: Any
) -> None:
    settings.THROTTLE_LOGIN = "2/min"
    right = credentials(account)
    wrong = right | {"client_secret": "wrong"}
    codes = [way(**said).status_code for said in (wrong, right, wrong, wrong, right)]
    assert codes == [401, 200, 401, 401, 429]
    assert int(way(**right).headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password", "username": "creator"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "invalid_request"),
        ({"client_id": "\0"}, "invalid_client"),
        ({"client_id": "x" * 5_000}, "invalid_client"),
        ({"client_secret": "é"}, "invalid_client"),
        ({"scope": "anything"}, None),
    ],
    ids=["password", "no grant", "nul", "long", "not ascii", "scope"],
)
def test_errors_have_the_codes_of_the_standard(
    account: dict[str, Any], form: dict[str, str], error: str | None
) -> None:
    response = by_form(**credentials(account) | form)
    assert response.json().get("error") == error


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("grant_type=client_credentials&grant_type=client_credentials", FORM),
        ('{"grant_type": "client_credentials"}', "application/json"),
        ("", FORM),
    ],
    ids=["twice", "json", "empty"],
)
def test_a_body_that_is_no_form_is_an_invalid_request(
    transactional_db: None, body: str, content_type: str
) -> None:
    response = Client().post(TOKEN, body, content_type)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("header", ["Basic", "Basic é", "Basic ////", "Basic YQ==", "Bearer x"])
def test_a_wrong_header_is_an_invalid_client(transactional_db: None, header: str) -> None:
    response = Client().post(
        TOKEN, "&".join("=".join(i) for i in GRANT.items()), FORM, headers={"authorization": header}
    )
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")


def test_two_ways_at_once_are_refused(account: dict[str, Any]) -> None:
    assert by_basic(**credentials(account), scope="x").status_code == 200
    said = f"{account['client_id']}:{account['client_secret']}"
    header = {"authorization": f"Basic {b64encode(said.encode()).decode()}"}
    body = f"grant_type=client_credentials&client_secret={account['client_secret']}"
    response = Client().post(TOKEN, body, FORM, headers=header)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


# Rights


def test_nobody_gives_rights_that_they_do_not_have(creator: User) -> None:
    group_of("Fleet admins", "send_unsafe_to_many")
    response = api(creator).post(ACCOUNTS, {"name": "climber", "groups": ["Fleet admins"]})
    assert response.status_code == 403
    assert not User.objects.filter(username="climber").exists()
    admin = make_user("admin", is_superuser=True)
    assert create(admin, groups=["Fleet admins"])["groups"] == ["Fleet admins"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "creator"),
        ("name", "two words"),
        ("name", ""),
        ("name", 7),
        ("groups", ["Nobody"]),
        ("groups", "Operators"),
        ("client_secret", "mine"),
    ],
    ids=["taken", "blank", "empty", "number", "no such group", "no list", "own secret"],
)
def test_a_wrong_account_is_refused_by_field(
    creator: User, operators: Group, field: str, value: object
) -> None:
    body = {"name": "night-shift", "groups": ["Operators"]} | {field: value}
    response = api(creator).post(ACCOUNTS, body)
    assert response.status_code == 400
    assert {name.partition(".")[0] for name in response.json()["fields"]} == {field}


def test_every_step_is_audited(creator: User, account: dict[str, Any]) -> None:
    by_form(**credentials(account))
    by_form(account["client_id"], "wrong")
    by_form("nobody", "wrong")
    api(creator).delete(f"{ACCOUNTS}{account['client_id']}/")
    entries = AuditEntry.objects.order_by("id").values_list("action", "username", "subject")
    assert list(entries[:3]) == [
        ("add_account", "creator", account["client_id"]),
        ("log_in", "night-shift", ""),
        ("log_in_failed", "night-shift", ""),
    ]
    assert AuditEntry.objects.get(details__unknown_name=True).username != "nobody"
    assert entries[4] == ("revoke_account", "creator", account["client_id"])
