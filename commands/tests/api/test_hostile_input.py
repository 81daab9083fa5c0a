"""Hostile input: no client causes a 500, and bad input is a 400 that names the field."""

import json
import logging
import random
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from channels.testing import HttpCommunicator
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from commands import batches
from commands.models import Batch, Command
from commands.tests.api.hostile_input import (
    AN_ID,
    BATCHES,
    BODIES,
    COMMANDS,
    HEADERS,
    LISTS,
    METHODS,
    NAMED,
    NAMED_IN_BATCHES,
    NAMES,
    NASTY,
    NO_UUIDS,
    PLACES,
    TICKETS,
    TOKEN,
    TOO_DEEP,
    UNREADABLE,
    VEHICLES,
    batch_of,
)
from conftest import ReadDTC, make_user, token_of
from sovd.asgi import application
from vehicles.models import Vehicle
from vehicles.strict_json import MAX_BYTES


@pytest.fixture(autouse=True)
def nothing_is_logged_as_an_error(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert not [r.getMessage() for r in caplog.get_records("call") if r.levelno >= logging.ERROR]


@pytest.fixture
def client(operator: User) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token_of(operator)}")
    return client


@pytest.fixture
def command(operator: User, vehicle: Vehicle) -> Command:
    batch = Batch(submitted_by=operator, **ReadDTC)
    batches.submit(batch, [vehicle])
    return Command.objects.get(batch=batch)


def complaints(response: Any) -> dict[str, list[str]]:
    """Return the messages of a 400 by field."""
    assert response.status_code == 400, response.content[:200]
    body = response.json()
    assert body.keys() <= {"code", "detail", "fields"}
    assert body["detail"]
    fields: dict[str, list[str]] = body.get("fields", {})
    return fields


def post(
    client: APIClient, body: bytes, content_type: str = "application/json", address: str = COMMANDS
) -> Any:
    return client.generic("POST", address, body, content_type)  # type: ignore[arg-type]


# Bodies


@pytest.mark.parametrize("name", NAMED)
def test_a_body_is_refused_by_field(client: APIClient, vehicle: Vehicle, name: str) -> None:
    body, field, says = NAMED[name]
    fields = complaints(post(client, body.replace("VEHICLE", str(vehicle.pk)).encode()))
    assert [said for each, (said, *_) in fields.items() if each.startswith(field) and says in said]
    assert not Command.objects.exists()


@pytest.mark.parametrize("name", NAMED_IN_BATCHES)
def test_a_batch_is_refused_by_field(client: APIClient, vehicle: Vehicle, name: str) -> None:
    body, field = NAMED_IN_BATCHES[name]
    fields = complaints(post(client, batch_of(body).encode(), address=BATCHES))
    assert [each for each in fields if each.startswith(field)], fields
    assert not Batch.objects.exists()


@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.parametrize("address", [COMMANDS, TOKEN])
def test_an_unreadable_body_is_bad_input(client: APIClient, address: str, name: str) -> None:
    response = post(client, UNREADABLE[name], address=address)
    assert complaints(response) == {}
    assert response.json()["code"] == "parse_error"


@pytest.mark.parametrize("name", TOO_DEEP)
@pytest.mark.parametrize("address", [COMMANDS, TOKEN])
def test_a_body_that_is_nested_too_deep_is_bad_input(
    client: APIClient, address: str, name: str
) -> None:
    """Python itself may refuse the depth before our check does: the response is the same."""
    ((_, problems),) = complaints(post(client, TOO_DEEP[name], address=address)).items()
    assert problems == ["It is nested deeper than 32 levels."]


def padded(vehicle: Vehicle, size: int) -> bytes:
    return json.dumps({"vehicle_id": str(vehicle.pk), **ReadDTC}).encode().ljust(size)


def test_a_body_of_256_kib_is_read(client: APIClient, vehicle: Vehicle) -> None:
    assert post(client, padded(vehicle, MAX_BYTES)).status_code == 201


@pytest.mark.parametrize("size", [MAX_BYTES + 1, settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1])
def test_a_larger_body_is_too_large(client: APIClient, vehicle: Vehicle, size: int) -> None:
    response = post(client, padded(vehicle, size))
    assert response.status_code == 413
    assert response.json() == {
        "code": "too_large",
        "detail": "The body is larger than 262144 bytes.",
    }
    assert not Command.objects.exists()


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json; charset=rot13", 201),
        ("application/json; charset=utf-16", 201),
        ("application/json; charset=nonsense", 201),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/x-www-form-urlencoded; charset=rot13", 415),
        ("multipart/form-data", 415),
        ("multipart/form-data; boundary=x", 415),
        ("nonsense", 415),
        ("application/json;" * 500, 415),
    ],
)
def test_a_body_of_another_content_type_is_refused(
    client: APIClient, vehicle: Vehicle, content_type: str, status: int
) -> None:
    """JSON is read as UTF-8, also if the header names another charset."""
    response = post(client, padded(vehicle, 0), content_type)
    assert response.status_code == status
    assert Command.objects.exists() is (status == 201)


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded; charset=rot13",
    ],
)
def test_a_hostile_form_with_a_csrf_token_is_no_server_error(
    operator: User, content_type: str
) -> None:
    client = Client(raise_request_exception=False, enforce_csrf_checks=True)
    client.force_login(operator)
    for address in (COMMANDS, TICKETS, "/accounts/login/", "/admin/login/"):
        response = client.generic("POST", address, b"a=\xff", content_type)
        assert 400 <= response.status_code < 500, address


# Query parameters


@pytest.mark.parametrize(
    ("address", "name"), [(address, name) for address in LISTS for name in LISTS[address].split()]
)
def test_a_wrong_query_parameter_is_named(
    client: APIClient, command: Command, address: str, name: str
) -> None:
    address = address.replace("COMMAND", str(command.pk)).replace("BATCH", str(command.batch_id))
    for value in NASTY:
        response = client.get(f"{address}?{name}={value}")
        response.close()  # an export's place is free for the next one
        if "%00" in value or response.status_code not in {200, 404}:
            assert name == "format" or complaints(response).keys() == {name}, value


def test_thousands_of_parameters_are_refused(client: APIClient) -> None:
    response = client.get(f"{COMMANDS}?{'&'.join(f'a{n}=1' for n in range(2_000))}")
    assert complaints(response) == {}


def forged(*cursor: object) -> str:
    return urlsafe_b64encode(json.dumps(cursor).encode()).decode()


A_TIME = "2026-03-01T12:00:00+00:00"
FORGED = {
    "DRF's garbage": b64encode(b"p=garbage").decode(),
    "DRF's NUL": b64encode(b"p=%00").decode(),
    "DRF's offset": b64encode(b"o=1" + b"0" * 30).decode(),
    "DRF's direction": b64encode(b"r=1").decode(),
    "no base64": "!!!",
    "no ASCII": "é",
    "no JSON": b64encode(b"{").decode(),
    "no list": b64encode(b'{"a": 1}').decode(),
    "a number": b64encode(b"1").decode(),
    "endless digits": b64encode(b"9" * 9_000).decode(),
    "nested": b64encode(b"[" * 9_000).decode(),
    "empty": forged(),
    "no position": forged(False),
    "half a position": forged(False, A_TIME),
    "too long a position": forged(False, A_TIME, AN_ID, AN_ID),
    "wrong direction": forged("x", A_TIME, AN_ID),
    "wrong types": forged(False, 1, 2),
    "nothing": forged(False, None, None),
    "garbage": forged(False, "garbage", AN_ID),
    "NUL": forged(False, A_TIME + "\x00", AN_ID),
    "surrogate": forged(False, A_TIME, "\ud800"),
    "no time zone": forged(False, "2026-03-01T12:00:00", AN_ID),
    "only a date": forged(False, "2026-03-01", AN_ID),
    "before all time": forged(True, "0001-01-01T00:00:00+14:00", AN_ID),
    "after all time": forged(True, "9999-12-31T23:59:59-14:00", AN_ID),
    "huge id": forged(False, A_TIME, "9" * 9_000),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_cursor_is_named(client: APIClient, command: Command, name: str) -> None:
    for address in (COMMANDS, BATCHES):
        response = client.get(address, {"cursor": FORGED[name]})
        assert complaints(response).keys() == {"cursor"}


@pytest.mark.parametrize("vin", ["\x00", "a\x00", "\ud800", None, 1, ["a"]])
def test_a_forged_cursor_for_a_text_is_named(
    client: APIClient, command: Command, vin: object
) -> None:
    for address in (VEHICLES, f"{BATCHES}{command.batch_id}/results/"):
        response = client.get(address, {"cursor": forged(False, vin)})
        assert complaints(response).keys() == {"cursor"}


def test_a_cursor_made_like_the_forged_ones_is_accepted(
    client: APIClient, command: Command
) -> None:
    """Other forged cursors are then refused for their own fault."""
    page = client.get(COMMANDS, {"cursor": forged(True, A_TIME, AN_ID)}).json()
    assert [row["command_id"] for row in page["results"]] == [str(command.pk)]


# Addresses


@pytest.mark.parametrize("value", NO_UUIDS)
def test_an_address_without_a_uuid_is_not_found(client: APIClient, value: str) -> None:
    for list_, part in [
        (VEHICLES, ""),
        *((COMMANDS, part) for part in ("", "events/", "responses/")),
        *((BATCHES, part) for part in ("", "results/")),
    ]:
        response = client.get(f"{list_}{value}/{part}")
        assert (response.status_code, response.json()["code"]) == (404, "not_found")
    for list_ in (COMMANDS, BATCHES):
        assert client.post(f"{list_}{value}/cancel/").status_code == 404


@pytest.mark.parametrize("method", ["get", "post", "put", "delete"])
@pytest.mark.parametrize("debug", [False, True])
def test_an_address_without_its_slash_is_not_found(
    client: APIClient, settings: Any, method: str, debug: bool
) -> None:
    settings.DEBUG = debug
    response = getattr(client, method)("/api/v1/commands")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert "ends with a slash" in response.json()["detail"]


def test_the_documentation_ignores_a_wrong_token_and_refuses_an_unknown_format(
    transactional_db: None,
) -> None:
    headers = {"accept": "nonsense", "authorization": "Bearer a.b.c"}
    client = Client(raise_request_exception=False, headers=headers)
    assert client.get("/api/docs/").status_code == 406
    assert client.post("/api/docs/").status_code in {405, 406}


# Cookies, and the admin's own query parameters


@pytest.mark.parametrize("cookie", [r'sessionid="\000abcdefghijk"', "sessionid=abcdefghijk\x00"])
@pytest.mark.parametrize(
    ("address", "status"),
    [("/", 302), ("/admin/", 302), ("/accounts/login/", 200), (COMMANDS, 401)],
)
def test_a_session_cookie_with_a_nul_is_no_session(
    transactional_db: None, cookie: str, address: str, status: int
) -> None:
    client = Client(raise_request_exception=False, headers={"cookie": cookie})
    assert client.get(address).status_code == status


@pytest.fixture
def admin(command: Command) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(make_user("admin", is_staff=True, is_superuser=True))
    return client


PAGES = {
    "/admin/commands/command/": "status__exact command_name submitted_at__gte",
    "/admin/commands/event/": "kind__exact sequence_number",
    "/admin/vehicles/vehicle/": "make connection_status year",
    "/admin/auth/user/": "username is_staff__exact",
}


@pytest.mark.parametrize("page", PAGES)
def test_a_nul_in_a_parameter_of_the_admin_is_no_server_error(admin: Client, page: str) -> None:
    for name in ["q", "p", *PAGES[page].split()]:
        response = admin.get(f"{page}?{name}=a%00")
        assert complaints(response).keys() == {name}


@pytest.mark.parametrize("page", PAGES)
def test_a_hostile_parameter_of_the_admin_is_no_server_error(admin: Client, page: str) -> None:
    for name in ["q", "o", "p", "e", "nonsense", *PAGES[page].split()]:
        for value in ["x", "%FF", "-1", "9" * 10_000, "0001-01-01T00:00:00%2B14:00"]:
            response = admin.get(f"{page}?{name}={value}")
            assert response.status_code in {200, 302, 400}, (name, value[:50])


LOOKUPS = {
    "/admin/commands/command/": "error_message__regex=( error_message__iregex=(x+x+)+y "
    "submitted_at__year=99999 submitted_at__year=0 command_id__regex=( command_params__a__regex=( "
    "submitted_by__password__startswith=p vehicle__vin__regex=( status__regex=( status__in=x",
    "/admin/commands/event/": "payload__regex=( payload__a__regex=( created_at__year=99999 kind=x",
    "/admin/commands/batch/": "stop_reason__regex=( submitted_at__year=99999",
    "/admin/commands/auditentry/": "at__year=99999 at__year=0 details__regex=( action__regex=(",
    "/admin/vehicles/vehicle/": "make__regex=( created_at__year=99999 metadata__a__regex=( year=1",
    "/admin/auth/user/": "username__regex=( last_login__year=99999 password__startswith=p",
    "/admin/auth/group/": "name__regex=( permissions__codename__regex=(",
}


@pytest.mark.parametrize("page", LOOKUPS)
@pytest.mark.parametrize("who", ["operator", "viewer", "admin"])
def test_a_lookup_that_no_filter_of_the_admin_uses_is_refused(
    admin: Client, operator: User, viewer: User, page: str, who: str
) -> None:
    """Django would carry out each that a table's own columns know: whoever asks gets the list as
    it is, if they may see it."""
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.get(username=who))
    may_look = client.get(page).status_code == 200
    for lookup in LOOKUPS[page].split():
        response = client.get(page + "?" + lookup.replace("+", "%2B"))
        if may_look:
            assert response.status_code == 302, lookup
            assert response.headers["Location"] == f"{page}?e=1"
        else:
            assert response.status_code == 403


# What nobody thought of

SEED = 20260301
CASES = 400


def random_request(dice: random.Random, client: APIClient, known: list[str]) -> tuple[str, Any]:
    address = dice.choice(PLACES).format(dice.choice([*known, *NO_UUIDS]))
    query = "&".join(f"{dice.choice(NAMES)}={dice.choice(NASTY)}" for _ in range(dice.randrange(4)))
    body = dice.choice(BODIES)
    names = dice.sample(list(HEADERS), dice.randrange(3))
    headers = {name: dice.choice(HEADERS[name]) for name in names}
    method = dice.choice(METHODS)
    if "Authorization" in headers:  # the client's own would win
        client = APIClient(raise_request_exception=False)
    response = client.generic(
        method,
        f"{address}?{query}",
        body,  # type: ignore[arg-type]
        headers.pop("Content-Type", "application/json"),
        headers=headers,
    )
    return f"{method} {address[:80]}?{query[:200]} {headers} {body[:80]!r}", response


def test_random_requests_cause_no_server_error(client: APIClient, command: Command) -> None:
    dice = random.Random(SEED)
    known = [str(command.pk), str(command.vehicle_id), str(command.batch_id)]
    codes = set()
    for _ in range(CASES):
        request, response = random_request(dice, client, known)
        assert response.status_code < 500, request
        codes.add(response.status_code)
    assert codes >= {200, 400, 401, 404, 405}


@pytest.mark.parametrize("charset", ["charset*=utf-8''%00", "charset=no-such-thing"])
async def test_an_unknown_charset_is_no_server_error(charset: str, caplog: Any) -> None:
    """ASGI reads the charset before any middleware."""
    headers = [(b"host", b"localhost"), (b"content-type", f"text/plain; {charset}".encode())]
    communicator = HttpCommunicator(application, "POST", "/accounts/login/", headers=headers)
    response = await communicator.get_response(10)
    await communicator.wait(10)
    assert response["status"] in (400, 403)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
