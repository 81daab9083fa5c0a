"""What machines ask a web process, and what it tells of its API."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from channels.layers import InMemoryChannelLayer
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from commands import lifecycle
from commands.models import Command
from conftest import ReadDTC, api, claim_one, make_vehicle, submit
from sovd.health import check_migrated
from vehicles.models import Vehicle

CLOSED_PORT = 1

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape() -> tuple[dict[str, str], Samples]:
    """The type of each metric, and every sample by name and labels."""
    response = Client().get("/metrics")
    assert response.status_code == 200
    families = list(text_string_to_metric_families(response.content.decode()))
    types = {family.name: family.type for family in families}
    samples = [sample for family in families for sample in family.samples]
    return types, {(s.name, tuple(sorted(s.labels.items()))): s.value for s in samples}


# Alive and ready


def test_alive_needs_no_database() -> None:
    response = Client().get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.embedded
def test_ready(transactional_db: None) -> None:
    response = Client().get("/readyz")
    assert (response.status_code, response.json()) == (200, {"status": "ok", "problems": {}})


def test_not_ready_without_the_channel_layer(transactional_db: None, settings: Any) -> None:
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [f"redis://127.0.0.1:{CLOSED_PORT}/0"]},
        }
    }
    response = Client().get("/readyz")
    problems = response.json()["problems"]
    assert (response.status_code, problems.keys()) == (503, {"channel_layer"})
    assert str(CLOSED_PORT) in problems["channel_layer"]


@pytest.fixture
def no_database(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """New connections fail; the pool, which is open, does not know yet."""
    monkeypatch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
    monkeypatch.setitem(connection.settings_dict, "PORT", str(CLOSED_PORT))


def test_not_ready_without_the_database(no_database: None) -> None:
    response = Client().get("/readyz")
    problems = response.json()["problems"]
    assert (response.status_code, problems.keys()) == (503, {"database"})
    assert "Connection refused" in problems["database"]


@pytest.mark.parametrize("path", ["/", "/admin/", "/api/v1/commands/"])
def test_what_needs_the_database_says_so(operator: User, path: str) -> None:
    client = Client()
    client.force_login(operator)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(connection.settings_dict["OPTIONS"], "pool", None)
        patch.setitem(connection.settings_dict, "PORT", str(CLOSED_PORT))
        connection.close()
        response = client.get(path)
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert b"The database does not answer" in response.content


def test_whoever_wrote_is_told_to_look(operator: User, vehicle: Vehicle, settings: Any) -> None:
    """The COMMIT arrived, but no answer to it."""
    settings.FAILPOINTS = dict.fromkeys((("after_commit", n) for n in range(1000)), "cut")
    body = {"vehicle_id": str(vehicle.pk), **ReadDTC}
    response = api(operator).post("/api/v1/commands/", body)
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert (response.json()["code"], Command.objects.count()) == ("unavailable", 1)
    assert "may have been done or not" in response.json()["detail"]


def test_not_ready_before_the_migrations(transactional_db: None) -> None:
    newest = MigrationRecorder.Migration.objects.filter(app="commands").latest("applied")
    newest.delete()
    check_migrated.cache_clear()
    try:
        problems = Client().get("/readyz").json()["problems"]
    finally:
        newest.save(force_insert=True)
        check_migrated.cache_clear()
    assert problems.keys() == {"migrations"}
    assert f"commands.{newest.name}" in problems["migrations"]
    assert Client().get("/readyz").status_code == 200


@pytest.mark.embedded
def test_not_ready_before_the_first_migration(transactional_db: None) -> None:
    check_migrated.cache_clear()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE django_migrations RENAME TO away")
        try:
            assert Client().get("/readyz").json()["problems"].keys() == {"migrations"}
        finally:
            cursor.execute("ALTER TABLE away RENAME TO django_migrations")


def test_not_ready_when_messages_are_taken_and_not_brought(
    transactional_db: None, settings: Any
) -> None:
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": f"{__name__}.DeafLayer"}}
    problems = Client().get("/readyz").json()["problems"]
    assert problems == {"channel_layer": "TimeoutError"}


class DeafLayer(InMemoryChannelLayer):  # type: ignore[misc]
    async def send(self, channel: str, message: Any) -> None:
        """To nobody."""


# Metrics

OURS = {
    "commands_executed": "counter",
    "command_execution_duration_seconds": "histogram",
    "websocket_connections_active": "gauge",
    "vehicle_connections_active": "gauge",
    "sovd_command_timeout": "counter",
}


def test_every_metric_is_there(operator: User, vehicle: Vehicle) -> None:
    submit(operator, vehicle)
    lifecycle.complete(claim_one(), {})
    types, samples = scrape()
    assert OURS.items() <= types.items()
    names = {name for name, _ in samples}
    assert {
        "command_execution_duration_seconds_count",
        "websocket_connections_active",
        "vehicle_connections_active",
        "sovd_command_timeout_total",
        "django_http_requests_total_by_method_total",
        "django_http_responses_total_by_status_view_method_total",
        "process_cpu_seconds_total",
        "python_info",
    } <= names


def test_buckets_of_the_duration(transactional_db: None) -> None:
    _, samples = scrape()
    bounds = [
        float(labels[0][1])
        for name, labels in samples
        if name == "command_execution_duration_seconds_bucket"
    ]
    assert bounds == [0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, float("inf")]


def test_a_command_that_ends_is_counted(operator: User, vehicle: Vehicle) -> None:
    executed = ("commands_executed_total", (("status", "timed_out"),))
    duration = ("command_execution_duration_seconds_count", ())
    timeouts = ("sovd_command_timeout_total", ())
    counted = [executed, duration, timeouts]
    before = scrape()[1]
    submit(operator, vehicle)
    lifecycle.time_out(claim_one(), "No answer.")
    after = scrape()[1]
    assert [after[name] - before.get(name, 0) for name in counted] == [1, 1, 1]


@pytest.mark.embedded
def test_only_vehicles_that_were_seen_lately_are_connected(transactional_db: None) -> None:
    gauge = ("vehicle_connections_active", ())
    for number in (1, 2):
        make_vehicle(number)
    assert scrape()[1][gauge] == 0
    Vehicle.objects.seen()
    assert scrape()[1][gauge] == 2


def test_no_label_tells_of_a_person_a_vehicle_or_a_command(
    operator: User, vehicle: Vehicle
) -> None:
    command = submit(operator, vehicle)
    lifecycle.complete(claim_one(), {})
    for address in (
        f"/api/v1/commands/{command.pk}/",
        f"/api/v1/commands/{command.pk}/events/",
        f"/api/v1/vehicles/{vehicle.pk}/",
        f"/api/v1/vehicles/?search={vehicle.vin}",
        f"/api/v1/{vehicle.vin}",
    ):
        api(operator).get(address)
    values = {value for _, labels in scrape()[1] for _, value in labels}
    assert "completed" in values
    for private in (vehicle.vin, str(vehicle.pk), str(command.pk), operator.username):
        assert not [value for value in values if private in value]


# The API's own description


def test_the_schema_is_valid_and_complete(tmp_path: Path) -> None:
    file = tmp_path / "schema.yaml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(file))
    assert yaml.safe_load(file.read_text())["paths"].keys() == {
        f"/api/v1/{part}"
        for part in (
            "token/",
            "token/refresh/",
            "token/logout/",
            "stream-tickets/",
            "vehicles/",
            "vehicles/{vehicle_id}/",
            "vehicles/{vehicle_id}/trouble-codes/",
            "dashboard/",
            "command-types/",
            "commands/",
            "commands/{command_id}/",
            "commands/{command_id}/events/",
            "commands/{command_id}/responses/",
            "commands/{command_id}/cancel/",
            "commands/cancel/",
            "commands/export/",
            "batches/",
            "batches/{batch_id}/",
            "batches/{batch_id}/results/",
            "batches/{batch_id}/cancel/",
        )
    }


def test_each_operation_says_what_it_is_for(transactional_db: None) -> None:
    """A summary and one tag of its own; the stream, which is all prose, comes last."""
    schema = api_schema()
    operations = [each for path in schema["paths"].values() for each in path.values()]
    summaries = [operation["summary"] for operation in operations]
    assert all(summaries)
    assert len(set(summaries)) == len(summaries)
    tags = [tag["name"] for tag in schema["tags"]]
    assert {tag for operation in operations for tag in operation["tags"]} == set(tags)
    assert (tags[0], tags[-1]) == ("token", "stream")


def test_each_error_has_an_example_of_its_own(operator: User, vehicle: Vehicle) -> None:
    """Which is what the API really answers."""
    shown: dict[str, Any] = {}
    for path in api_schema()["paths"].values():
        for operation in path.values():
            for code, response in operation["responses"].items():
                if code >= "400":
                    shown[code] = response["content"]["application/json"]["example"]
    assert len({str(example) for example in shown.values()}) == len(shown) >= 11
    commands, client = "/api/v1/commands/", api(operator)
    body = {"vehicle_id": str(vehicle.pk), **ReadDTC}
    wrong = body | {"command_params": {"ecuAddress": "16"}}
    key = {"idempotency-key": "one"}
    ended = submit(operator, vehicle)
    lifecycle.complete(claim_one(), {})
    assert client.post(commands, body, headers=key).status_code == 201
    said = [
        client.post(commands, wrong),
        api(None).get(commands),
        client.get(f"{commands}{vehicle.pk}/"),
        client.get(commands, headers={"accept": "text/csv"}),
        client.post(f"{commands}{ended.pk}/cancel/"),
        client.post(commands, {"a": "x" * 300_000}),
        client.post(commands, "x", content_type="text/plain"),
        client.post(commands, wrong, headers=key),
    ]
    for response in said:
        assert response.json() == shown[str(response.status_code)]
    assert len({response.status_code for response in said}) == len(said)


def api_schema() -> Any:
    return Client().get("/api/schema/", headers={"accept": "application/json"}).json()


def test_everybody_may_read_the_schema(transactional_db: None) -> None:
    response = Client().get("/api/schema/", headers={"accept": "application/json"})
    assert response.status_code == 200
    assert response.json()["components"]["securitySchemes"]["jwtAuth"]["scheme"] == "bearer"


def test_the_docs_come_from_this_host_alone(transactional_db: None) -> None:
    page = Client().get("/api/docs/").content.decode()
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(addresses) >= 3
    for address in addresses:
        assert re.match("/[^/]", address)
        assert Client().get(address).status_code == 200
    assert not re.search("(https?:)?//(?!testserver)[a-z]", page)
