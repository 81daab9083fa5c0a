"""A campaign through its API while web processes and workers are killed, one after the other."""

import json
import os
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dev.processes import PASSWORD, SEED, Product, production
from sovd.tests.processes import own_database, until
from sovd.tests.site import ask

pytestmark = pytest.mark.faults
VEHICLES = int(os.environ.get("CAMPAIGN_VEHICLES", "400"))
KILLS = int(os.environ.get("CAMPAIGN_KILLS", "6"))
AWAY = VEHICLES * 3 // 10
WAVES = [5, 40, 100]
SETTINGS = {
    "COMMAND_LEASE_SECONDS": 3,
    "DJANGO_SETTINGS_MODULE": "sovd.tests.settings",
    "MOCK_VEHICLE_LATENCY_SECONDS": 0.5,
    "STATIC_ROOT": "/nonexistent",
    "THROTTLE_COMMANDS": "",
    "CAMPAIGN_APPROVAL_VEHICLES": VEHICLES,
}
FLEET = f"""
import django; django.setup()
from vehicles.models import Vehicle
Vehicle.objects.bulk_create(
    Vehicle(vin=f"2HGCM82633A{{n:06}}", connector_settings={{"online": n % 10 >= 3}})
    for n in range({VEHICLES})
)
"""
COME_BACK = """UPDATE vehicles_vehicle SET connector_settings = '{"online": true}' RETURNING 1"""
# Of each vehicle: its wave, and of its one command the times and the end.
OUTCOMES = """
    SELECT wave.number, vin ~ '[012]$', status, command.error_code, submitted_at, completed_at
    FROM commands_campaignvehicle AS chosen
    JOIN commands_campaignwave AS wave ON wave.campaign_id = chosen.campaign_id
        AND place >= first_place AND place < first_place + wave.vehicle_count
    JOIN vehicles_vehicle USING (vehicle_id)
    LEFT JOIN commands_command AS command
        ON command.campaign_id = chosen.campaign_id AND command.vehicle_id = chosen.vehicle_id
"""
ENDED = "SELECT count(*) FROM commands_command WHERE completed_at IS NOT NULL"
UNPROBED = "SELECT count(*) FROM vehicles_vehicle WHERE probed_at IS NULL"
IS_SETTLED = "SELECT is_settled FROM commands_campaign"
COUNTED = "SELECT sum(completed), sum(failed) FROM commands_campaignwave"


def test_each_vehicle_of_a_campaign_has_one_command_whatever_is_killed(
    tmp_path: Path, counts: list[str]
) -> None:
    with own_database("campaigns") as url:
        given = production(url, os.environ["REDIS_URL"], tmp_path) | SETTINGS
        with Product(given, web=1, workers=2, logs=tmp_path / "logs") as product:
            product.run("seed", *SEED)
            product.run("fleet", "-c", FLEET)
            product.start_all()
            product.wait_until_up()
            until(lambda: rows(url, UNPROBED) == [(0,)])
            start_campaign(product.ports["web-1"])
            kill_one_after_the_other(product, url)
            until(lambda: ended_of(url) >= VEHICLES - AWAY)
            rows(url, COME_BACK)
            until(lambda: rows(url, IS_SETTLED) == [(True,)])
        outcomes, counted = rows(url, OUTCOMES), rows(url, COUNTED)

    lost = sum(row[3] == "worker_lost" for row in outcomes)  # those that cost three workers
    assert len(outcomes) == VEHICLES
    assert {row[2:4] for row in outcomes} <= {("completed", ""), ("failed", "worker_lost")}
    assert counted == [(VEHICLES - lost, lost)]
    for wave in range(2, len(WAVES) + 1):
        began = min(row[4] for row in outcomes if row[0] == wave)
        assert began >= max(row[5] for row in outcomes if row[0] == wave - 1 and not row[1])
    counts.append(
        f"{KILLS} kills in a campaign of {VEHICLES} vehicles, {AWAY} of them away, {lost} failed"
    )


def start_campaign(port: int) -> None:
    login = {"username": "admin", "password": PASSWORD}
    token = said(ask(port, "POST", "/api/v1/token/", login), 200)["access"]
    plan = {
        "command_name": "ReadDTC",
        "command_params": {"ecuAddress": "0x10"},
        "vehicle_filter": {"search": "2HGCM"},
        "waves": WAVES,
    }
    draft = said(ask(port, "POST", "/api/v1/campaigns/", plan, token), 201)
    address = f"/api/v1/campaigns/{draft['campaign_id']}/submit/"
    said(ask(port, "POST", address, token=token), 200)


def said(answer: tuple[int, str], status: int) -> Any:
    assert answer[0] == status, answer
    return json.loads(answer[1])


def kill_one_after_the_other(product: Product, url: str) -> None:
    for name in islice(cycle(product.running.copy()), KILLS):
        until(partial(has_more_ended, url, ended_of(url)))
        product.kill(name)
        product.start(name)


def has_more_ended(url: str, before: int) -> bool:
    return ended_of(url) > before or before >= VEHICLES - AWAY


def ended_of(url: str) -> int:
    return int(rows(url, ENDED)[0][0])


def rows(url: str, statement: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        return connection.execute(statement).fetchall()
