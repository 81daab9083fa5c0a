"""Nothing that a client sends causes a 500; bad input is a 400 that names the field."""

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
from commands.plain_json import MAX_BYTES
from conftest import ReadDTC, make_user, token_of
from sovd.asgi import application
from vehicles.models import Vehicle

COMMANDS = "/api/v1/commands/"
VEHICLES = "/api/v1/vehicles/"
BATCHES = "/api/v1/batches/"
TICKETS = "/api/v1/stream-tickets/"
TOKEN = "/api/v1/token/"  # noqa: S105 - an address


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
    """What a 400 says of each field."""
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


def command_with(params: str) -> str:
    return f'{{"vehicle_id": "VEHICLE", "command_name": "ReadDTC", "command_params": {params}}}'


def with_ecu(value: str) -> str:
    return command_with(f'{{"ecuAddress": {value}}}')


ECU = "command_params.ecuAddress"
NAMED = {
    "NUL in a value": (with_ecu(r'"0x1\u0000"'), ECU, "contains a NUL"),
    "NUL in a key": (command_with(r'{"\u0000": 1}'), "command_params", "a key that contains a NUL"),
    "NUL in a field's name": (r'{"\u0000": 1}', "body", "a key that contains a NUL"),
    "NUL in the name": (r'{"command_name": "Read\u0000"}', "command_name", "contains a NUL"),
    "surrogate in a value": (with_ecu(r'"\ud800"'), ECU, "lone surrogate"),
    "surrogate in a key": (command_with(r'{"\udfff": 1}'), "command_params", "lone surrogate"),
    "surrogate in a list": (with_ecu(r'["a", "\udc00"]'), f"{ECU}[1]", "lone surrogate"),
    # How deep Python reads at all depends on how deep in calls it is: well below that.
    "300 lists": (with_ecu("[" * 300 + "]" * 300), f"{ECU}[0][0]", "deeper than 32"),
    "300 objects": (with_ecu('{"a":' * 300 + "1" + "}" * 300), f"{ECU}.a.a", "deeper than 32"),
    "4,000 digits": (with_ecu("9" * 4_000), ECU, "beyond 64 bits"),
    "10,000 digits": (with_ecu("-" + "9" * 10_000), ECU, "beyond 64 bits"),
    "NaN": (with_ecu("NaN"), ECU, "not a finite number"),
    "Infinity": (with_ecu("Infinity"), ECU, "not a finite number"),
    "minus Infinity": (with_ecu("-Infinity"), ECU, "not a finite number"),
    "1e999": (with_ecu("1e999"), ECU, "not a finite number"),
    "list": ("[]", "body", "Expected a dictionary"),
    "list of commands": (f"[{with_ecu('1')}]", "body", "Expected a dictionary"),
    "string": ('"ReadDTC"', "body", "Expected a dictionary"),
    "number": ("1", "body", "Expected a dictionary"),
    "true": ("true", "body", "Expected a dictionary"),
    "null": ("null", "body", "No data"),
    "nothing": ("", "vehicle_id", "required"),
    "vehicle is a number": ('{"vehicle_id": -1, "command_name": "ReadDTC"}', "vehicle_id", "UUID"),
    "vehicle is an object": ('{"vehicle_id": {}, "command_name": "a"}', "vehicle_id", "UUID"),
}


@pytest.mark.parametrize("name", NAMED)
def test_a_body_is_refused_by_field(client: APIClient, vehicle: Vehicle, name: str) -> None:
    body, field, says = NAMED[name]
    fields = complaints(post(client, body.replace("VEHICLE", str(vehicle.pk)).encode()))
    assert [said for each, (said, *_) in fields.items() if each.startswith(field) and says in said]
    assert not Command.objects.exists()


def batch_of(vehicles: str) -> str:
    params = '{"ecuAddress": "0x10"}'
    return f'{{"command_name": "ReadDTC", "command_params": {params}, {vehicles}}}'


NAMED_IN_BATCHES = {
    "NUL in the filter": (r'"vehicle_filter": {"search": "\u0000"}', "vehicle_filter.search"),
    "surrogate in the filter": (r'"vehicle_filter": {"\ud800": ""}', "vehicle_filter"),
    "list in the filter": ('"vehicle_filter": {"search": ["a"]}', "vehicle_filter.search"),
    "object in the filter": ('"vehicle_filter": {"search": {}}', "vehicle_filter.search"),
    "null in the filter": ('"vehicle_filter": {"search": null}', "vehicle_filter.search"),
    "numbers for vehicles": ('"vehicle_ids": [1]', "vehicle_ids"),
    "huge numbers for vehicles": (f'"vehicle_ids": [{2**63 - 1}, -1]', "vehicle_ids.1"),
    "lists for vehicles": ('"vehicle_ids": [[]]', "vehicle_ids.0"),
    "object for vehicles": ('"vehicle_ids": {"0": "x"}', "vehicle_ids"),
    "true percent": ('"vehicle_filter": {}, "stop_above_failed_percent": true', "stop_above"),
    "huge percent": (f'"vehicle_filter": {{}}, "stop_above_failed_percent": {2**62}', "stop_above"),
    "half a percent": ('"vehicle_filter": {}, "stop_above_failed_percent": 0.5', "stop_above"),
    "huge count": (f'"vehicle_filter": {{}}, "vehicle_count": {2**62}', "vehicle_count"),
    "no count": ('"vehicle_filter": {}, "vehicle_count": []', "vehicle_count"),
}


@pytest.mark.parametrize("name", NAMED_IN_BATCHES)
def test_a_batch_is_refused_by_field(client: APIClient, vehicle: Vehicle, name: str) -> None:
    body, field = NAMED_IN_BATCHES[name]
    fields = complaints(post(client, batch_of(body).encode(), address=BATCHES))
    assert [each for each in fields if each.startswith(field)], fields
    assert not Batch.objects.exists()


UNREADABLE = {
    "no JSON": b"{",
    "only blanks": b"  ",
    "invalid UTF-8": b'{"command_name": "\xff\xfe"}',
    "a surrogate's bytes": b'{"command_name": "\xed\xa0\x80"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"command_name": "ReadDTC"}'.encode("utf-16"),
    "two bodies": b"{}{}",
    "NUL bytes": b"\x00\x00",
}


@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.parametrize("address", [COMMANDS, TOKEN])
def test_an_unreadable_body(client: APIClient, address: str, name: str) -> None:
    response = post(client, UNREADABLE[name], address=address)
    assert complaints(response) == {}
    assert response.json()["code"] == "parse_error"


TOO_DEEP = {
    "900 lists": b"[" * 900 + b"]" * 900,
    "100,000 lists": b"[" * 100_000 + b"]" * 100_000,
    "100,000 open lists": b"[" * 100_000,
    "40,000 objects": b'{"a":' * 40_000 + b"1" + b"}" * 40_000,
}


@pytest.mark.parametrize("name", TOO_DEEP)
@pytest.mark.parametrize("address", [COMMANDS, TOKEN])
def test_too_deep_a_body(client: APIClient, address: str, name: str) -> None:
    """Python itself may give up before we have counted: the answer is the same."""
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
def test_content_types(client: APIClient, vehicle: Vehicle, content_type: str, status: int) -> None:
    """JSON is UTF-8, whatever charset is said."""
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
def test_forms_where_a_csrf_token_is_looked_for(operator: User, content_type: str) -> None:
    client = Client(raise_request_exception=False, enforce_csrf_checks=True)
    client.force_login(operator)
    for address in (COMMANDS, TICKETS, "/accounts/login/", "/admin/login/"):
        response = client.generic("POST", address, b"a=\xff", content_type)
        assert 400 <= response.status_code < 500, address


# Query parameters

LISTS = {
    COMMANDS: "vehicle_id batch_id status command_name submitted_by submitted_after "
    "submitted_before search ordering page_size cursor format",
    VEHICLES: "connection_status search ordering page_size cursor format",
    f"{COMMANDS}COMMAND/events/": "after",
    BATCHES: "command_name submitted_by ordering page_size cursor format",
    f"{BATCHES}BATCH/results/": "status ordering page_size cursor format",
    f"{COMMANDS}export/": "vehicle_id status command_name submitted_by submitted_after "
    "submitted_before search format",
}
NASTY = [
    "",
    "%00",
    "a%00",
    "%ED%A0%80",
    "%FF",
    "%F0%9F%98%80",
    "9" * 10_000,
    "-" + "9" * 10_000,
    "1e999",
    "NaN",
    "-1",
    "1_0",
    "%D9%A3",
    "[]",
    "%25",
    "%5C",
    "x" * 5_000,
    "0001-01-01",
    "0001-01-01T00:00:00%2B14:00",
    "9999-12-31T23:59:59-14:00",
    "9999-12-31T23:59:60Z",
    "0000-00-00",
    "2026-02-30T00:00:00Z",
    "2026-01-01T00:00:00%2B99:99",
    "10000-01-01T00:00:00Z",
]


@pytest.mark.parametrize(
    ("address", "name"), [(address, name) for address in LISTS for name in LISTS[address].split()]
)
def test_query_parameters(client: APIClient, command: Command, address: str, name: str) -> None:
    address = address.replace("COMMAND", str(command.pk)).replace("BATCH", str(command.batch_id))
    for value in NASTY:
        response = client.get(f"{address}?{name}={value}")
        response.close()  # an export's place is free for the next one
        if "%00" in value or response.status_code not in {200, 404}:
            assert name == "format" or complaints(response).keys() == {name}, value


def test_thousands_of_parameters(client: APIClient) -> None:
    response = client.get(f"{COMMANDS}?{'&'.join(f'a{n}=1' for n in range(2_000))}")
    assert complaints(response) == {}


def forged(*cursor: object) -> str:
    return urlsafe_b64encode(json.dumps(cursor).encode()).decode()


A_TIME, AN_ID = "2026-03-01T12:00:00+00:00", "00000000-0000-0000-0000-000000000000"
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
def test_forged_cursors(client: APIClient, command: Command, name: str) -> None:
    for address in (COMMANDS, BATCHES):
        response = client.get(address, {"cursor": FORGED[name]})
        assert complaints(response).keys() == {"cursor"}


@pytest.mark.parametrize("vin", ["\x00", "a\x00", "\ud800", None, 1, ["a"]])
def test_forged_cursors_of_text(client: APIClient, command: Command, vin: object) -> None:
    for address in (VEHICLES, f"{BATCHES}{command.batch_id}/results/"):
        response = client.get(address, {"cursor": forged(False, vin)})
        assert complaints(response).keys() == {"cursor"}


def test_a_cursor_that_is_not_forged(client: APIClient, command: Command) -> None:
    """So that the others are refused for what is wrong with them."""
    page = client.get(COMMANDS, {"cursor": forged(True, A_TIME, AN_ID)}).json()
    assert [row["command_id"] for row in page["results"]] == [str(command.pk)]


# Addresses

NO_UUIDS = ["x", "%00", "%FF", "%ED%A0%80", "9" * 10_000, "-1", AN_ID[:-1], f"%7B{AN_ID}", "..%2f"]


@pytest.mark.parametrize("value", NO_UUIDS)
def test_path_parameters_that_are_no_uuid(client: APIClient, value: str) -> None:
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
def test_an_address_without_its_slash(
    client: APIClient, settings: Any, method: str, debug: bool
) -> None:
    settings.DEBUG = debug
    response = getattr(client, method)("/api/v1/commands")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert "ends with a slash" in response.json()["detail"]


def test_the_documentation_with_a_wrong_token_in_no_known_format(transactional_db: None) -> None:
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
def test_a_session_cookie_with_a_nul_is_none(
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
def test_parameters_of_the_admin_with_a_nul(admin: Client, page: str) -> None:
    for name in ["q", "p", *PAGES[page].split()]:
        response = admin.get(f"{page}?{name}=a%00")
        assert complaints(response).keys() == {name}


@pytest.mark.parametrize("page", PAGES)
def test_parameters_of_the_admin(admin: Client, page: str) -> None:
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
def test_lookups_that_no_filter_of_the_admin_uses(
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
METHODS = ["GET"] * 6 + ["POST"] * 4 + ["PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "X"]
PLACES = [
    COMMANDS,
    VEHICLES,
    TOKEN,
    "/api/v1/token/refresh/",
    "/api/v1/command-types/",
    f"{COMMANDS}export/",
    TICKETS,
    "/accounts/login/",
    "/api/schema/",
    "/readyz",
    *(f"{COMMANDS}{{}}/{part}" for part in ("", "events/", "responses/", "cancel/")),
    f"{COMMANDS}cancel/",
    BATCHES,
    *(f"{BATCHES}{{}}/{part}" for part in ("", "results/", "cancel/")),
    f"{VEHICLES}{{}}/",
]
NAMES = sorted({name for names in LISTS.values() for name in names.split()} - {"format"})
BODIES = [
    *(body.encode() for body, _, _ in NAMED.values()),
    *UNREADABLE.values(),
    *TOO_DEEP.values(),
    b"{}",
    *(batch_of(body).encode() for body, _ in NAMED_IN_BATCHES.values()),
]
HEADERS = {
    "Accept": ["*/*", "text/html", "nonsense", ";;;", "application/json; version=\xff", "," * 500],
    "Authorization": ["Bearer", "Bearer a.b.c", "Basic \xff", "Bearer " + "9" * 9_000, "Token x"],
    "Content-Type": [
        "text/plain",
        "application/json; charset=utf-16",
        "multipart/form-data",
        ";;;",
    ],
    "Cookie": ["sessionid=x", "csrftoken=\xff", "sessionid=" + "9" * 4_000, "=;=;", '"\\777"'],
    "X-CSRFToken": ["\xff", "9" * 9_000],
    "X-Forwarded-For": ["\xff", "," * 500],
    "If-Modified-Since": ["\xff", "Mon, 99 Foo 99999 99:99:99 GMT"],
}


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


def test_random_requests(client: APIClient, command: Command) -> None:
    dice = random.Random(SEED)  # noqa: S311
    known = [str(command.pk), str(command.vehicle_id), str(command.batch_id)]
    codes = set()
    for _ in range(CASES):
        request, response = random_request(dice, client, known)
        assert response.status_code < 500, request
        codes.add(response.status_code)
    assert codes >= {200, 400, 401, 404, 405}


@pytest.mark.parametrize("charset", ["charset*=utf-8''%00", "charset=no-such-thing"])
async def test_charset_that_cannot_be_looked_up(charset: str, caplog: Any) -> None:
    """Over ASGI, where it fails before any middleware."""
    headers = [(b"host", b"localhost"), (b"content-type", f"text/plain; {charset}".encode())]
    communicator = HttpCommunicator(application, "POST", "/accounts/login/", headers=headers)
    response = await communicator.get_response(10)
    await communicator.wait(10)
    assert response["status"] in (400, 403)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
