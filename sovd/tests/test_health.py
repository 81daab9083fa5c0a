"""Health, metrics and schema of a web process."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from commands import lifecycle
from commands.models import Command
from conftest import ReadDTC, api, claim_one, make_vehicle, mark_seen, submit
from dev.chaos.failpoints import Failpoints
from sovd.health import check_migrated
from sovd.tests.processes import until
from vehicles.models import Vehicle

CLOSED_PORT = 1

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape() -> tuple[dict[str, str], Samples]:
    """Return the type of each metric, and every sample by name and labels."""
    response = Client().get("/metrics")
    assert response.status_code == 200
    families = list(text_string_to_metric_families(response.content.decode()))
    types = {family.name: family.type for family in families}
    samples = [sample for family in families for sample in family.samples]
    return types, {(s.name, tuple(sorted(s.labels.items()))): s.value for s in samples}


# Alive and ready


def readyz() -> tuple[int, str, dict[str, str]]:
    response = Client().get("/readyz")
    said = response.json()
    return response.status_code, said["status"], said["problems"]


def is_ready() -> bool:
    return readyz() == (200, "ok", {})


def test_healthz_needs_no_database() -> None:
    response = Client().get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.embedded
def test_readyz_is_ok_when_everything_works(transactional_db: None) -> None:
    until(is_ready)


def test_readyz_is_degraded_without_the_channel_layer(
    transactional_db: None, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names the host and port, and the answer to everybody does not."""
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [f"redis://127.0.0.1:{CLOSED_PORT}/0"]},
        }
    }
    sentence = (
        "Redis takes no messages: everything works, but events and commands arrive seconds later."
    )
    until(lambda: readyz() == (200, "degraded", {"channel_layer": sentence}))
    assert f"127.0.0.1:{CLOSED_PORT}" in caplog.text


@pytest.fixture
def no_database(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let new connections fail; the pool is open, and does not know it yet."""
    monkeypatch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
    monkeypatch.setitem(connection.settings_dict, "PORT", str(CLOSED_PORT))


def test_readyz_is_503_without_the_database(
    no_database: None, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names the host and port, and the answer to everybody does not."""
    problems = {"database": "The database does not answer."}
    until(lambda: readyz() == (503, "unavailable", problems))
    assert f'"127.0.0.1", port {CLOSED_PORT}' in caplog.text


@pytest.mark.parametrize("path", ["/", "/admin/", "/api/v1/commands/"])
def test_pages_and_api_say_that_the_database_is_away(operator: User, path: str) -> None:
    client = Client()
    client.force_login(operator)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(connection.settings_dict["OPTIONS"], "pool", None)
        patch.setitem(connection.settings_dict, "PORT", str(CLOSED_PORT))
        connection.close()
        response = client.get(path)
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert b"The database does not answer" in response.content


def test_a_write_without_an_answer_to_its_commit_may_have_been_done(
    operator: User, vehicle: Vehicle
) -> None:
    body = {"vehicle_id": str(vehicle.pk), **ReadDTC}
    with Failpoints("after_commit=cut@1").armed():
        response = api(operator).post("/api/v1/commands/", body)
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert (response.json()["code"], Command.objects.count()) == ("unavailable", 1)
    assert "may have been done or not" in response.json()["detail"]


def test_readyz_is_503_before_the_migrations(transactional_db: None) -> None:
    newest = MigrationRecorder.Migration.objects.filter(app="commands").latest("applied")
    newest.delete()
    check_migrated.cache_clear()
    sentence = f"Run manage.py migrate; not applied: commands.{newest.name}"
    try:
        until(lambda: readyz() == (503, "unavailable", {"migrations": sentence}))
    finally:
        newest.save(force_insert=True)
        check_migrated.cache_clear()
    until(is_ready)


@pytest.mark.embedded
def test_readyz_is_503_before_the_first_migration(transactional_db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE django_migrations RENAME TO away")
        check_migrated.cache_clear()
        try:
            until(lambda: readyz()[2].keys() == {"migrations"})
        finally:
            cursor.execute("ALTER TABLE away RENAME TO django_migrations")
            check_migrated.cache_clear()


# Metrics

OURS = {
    "commands_executed": "counter",
    "command_execution_duration_seconds": "histogram",
    "websocket_connections_active": "gauge",
    "vehicle_connections_active": "gauge",
    "sovd_command_timeout": "counter",
}


def test_the_page_has_every_metric(operator: User, vehicle: Vehicle) -> None:
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


def test_the_duration_has_the_expected_buckets(transactional_db: None) -> None:
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
    mark_seen()
    assert scrape()[1][gauge] == 2


def test_no_label_names_a_person_a_vehicle_or_a_command(operator: User, vehicle: Vehicle) -> None:
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
            "token/logout-everywhere/",
            "service-accounts/",
            "service-accounts/{client_id}/",
            "stream-tickets/",
            "vehicles/",
            "vehicles/{vehicle_id}/",
            "vehicles/{vehicle_id}/lock/",
            "vehicles/{vehicle_id}/names/",
            "vehicles/{vehicle_id}/notes/",
            "vehicles/{vehicle_id}/notes/{note_id}/",
            "vehicles/tags/",
            "vehicles/tags/preview/",
            "views/",
            "views/{view_id}/",
            "vehicles/{vehicle_id}/probe/",
            "vehicles/{vehicle_id}/report/",
            "vehicles/{vehicle_id}/trouble-codes/",
            "vehicles/{vehicle_id}/values/",
            "descriptions/",
            "descriptions/{description_id}/",
            "connectors/",
            "dashboard/",
            "dashboard/trouble-codes/",
            "command-types/",
            "commands/",
            "commands/{command_id}/",
            "commands/{command_id}/events/",
            "commands/{command_id}/responses/",
            "commands/{command_id}/exchanges/",
            "commands/{command_id}/transcript/",
            "commands/{command_id}/trouble-codes/",
            "commands/{command_id}/cancel/",
            "commands/cancel/",
            "commands/export/",
            "batches/",
            "batches/{batch_id}/",
            "batches/preview/",
            "batches/{batch_id}/results/",
            "batches/{batch_id}/summary/",
            "campaigns/",
            "campaigns/preview/",
            "campaigns/{campaign_id}/",
            "campaigns/{campaign_id}/approve/",
            "campaigns/{campaign_id}/cancel/",
            "campaigns/{campaign_id}/pause/",
            "campaigns/{campaign_id}/resume/",
            "campaigns/{campaign_id}/submit/",
            "vehicles/{vehicle_id}/restore/",
            "vehicles/{vehicle_id}/retire/",
            "batches/{batch_id}/cancel/",
            "batches/{batch_id}/summary/",
            "campaigns/",
            "campaigns/{campaign_id}/",
            "campaigns/{campaign_id}/approve/",
            "campaigns/{campaign_id}/cancel/",
            "campaigns/{campaign_id}/pause/",
            "campaigns/{campaign_id}/resume/",
            "campaigns/{campaign_id}/submit/",
            "campaigns/preview/",
            "commands/{command_id}/trouble-codes/",
            "vehicles/{vehicle_id}/restore/",
            "vehicles/{vehicle_id}/retire/",
            "webhooks/",
            "webhooks/{webhook_id}/",
            "webhooks/{webhook_id}/deliveries/",
            "webhooks/{webhook_id}/secret/",
            "webhooks/{webhook_id}/test/",
        )
    }


def test_each_operation_has_a_summary_and_a_tag(transactional_db: None) -> None:
    """Every operation has a summary and one tag; the stream, which has no operation, is last."""
    schema = api_schema()
    operations = [each for path in schema["paths"].values() for each in path.values()]
    summaries = [operation["summary"] for operation in operations]
    assert all(summaries)
    assert len(set(summaries)) == len(summaries)
    tags = [tag["name"] for tag in schema["tags"]]
    assert {tag for operation in operations for tag in operation["tags"]} == set(tags)
    assert (tags[0], tags[-1]) == ("token", "stream")


def test_each_error_has_an_example_of_its_own(operator: User, vehicle: Vehicle) -> None:
    """The examples are real answers of the API."""
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


def test_the_schema_needs_no_login(transactional_db: None) -> None:
    response = Client().get("/api/schema/", headers={"accept": "application/json"})
    assert response.status_code == 200
    assert response.json()["components"]["securitySchemes"]["jwtAuth"]["scheme"] == "bearer"


def test_the_docs_come_from_this_host_alone(transactional_db: None) -> None:
    page = Client().get("/api/docs/").content.decode()
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(addresses) >= 3
    for address in addresses:
        assert re.match("/(?!/)", address)
        _, is_static, file = address.partition("/static/")
        assert finders.find(file) if is_static else Client().get(address).status_code in (200, 302)
    assert not re.search("(https?:)?//(?!testserver)[a-z]", page)
