"""Campaigns through their API while every part is killed, one after the other.

One goes to its end, one stops for its failures, and one waits for its window.
"""

import json
import os
from datetime import UTC, datetime
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import psycopg
import pytest

from commands.campaigns.windows import DAYS
from dev.processes import PASSWORD, Installation
from dev.servers import Server
from sovd.tests.processes import until
from sovd.tests.site import ask

pytestmark = pytest.mark.faults
VEHICLES = int(os.environ.get("CAMPAIGN_VEHICLES", "400"))
KILLS = int(os.environ.get("CAMPAIGN_KILLS", "10"))
AWAY = VEHICLES * 3 // 10
PATIENCE = 60 + VEHICLES / 5  # seconds
WAVES = [5, 40, 100]
SETTINGS = {
    "COMMAND_LEASE_SECONDS": 3,
    "DJANGO_SETTINGS_MODULE": "sovd.tests.settings",
    "MOCK_VEHICLE_LATENCY_SECONDS": 0.5,
    "STATIC_ROOT": "/nonexistent",
    "THROTTLE_COMMANDS": "",
    "CAMPAIGN_APPROVAL_VEHICLES": VEHICLES,
    "DATABASE_POOL_SIZE": 10,
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
# Of each vehicle of a campaign: its wave, and of its one command the times and the end.
OUTCOMES = """
    SELECT wave.number, vin ~ '[012]$', status, command.error_code, submitted_at, completed_at
    FROM commands_campaignvehicle AS chosen
    JOIN commands_campaignwave AS wave ON wave.campaign_id = chosen.campaign_id
        AND place >= first_place AND place < first_place + wave.vehicle_count
    JOIN vehicles_vehicle USING (vehicle_id)
    LEFT JOIN commands_command AS command
        ON command.campaign_id = chosen.campaign_id AND command.vehicle_id = chosen.vehicle_id
    WHERE chosen.campaign_id = %s
"""
ENDED = """SELECT count(*) FROM commands_command
    WHERE campaign_id = %s AND completed_at IS NOT NULL"""
UNPROBED = "SELECT count(*) FROM vehicles_vehicle WHERE probed_at IS NULL"
IS_SETTLED = "SELECT is_settled FROM commands_campaign WHERE campaign_id = %s"
STATE = "SELECT state, stop_reason FROM commands_campaign WHERE campaign_id = %s"
COUNTED = "SELECT sum(completed), sum(failed) FROM commands_campaignwave WHERE campaign_id = %s"
STARTED = "SELECT count(*) FROM commands_command WHERE campaign_id = %s AND started_at IS NOT NULL"
READ = {"command_name": "ReadDTC", "command_params": {"ecuAddress": "0x10"}}
REFUSED = {
    "command_name": "ReadDataByID",
    "command_params": {"ecuAddress": "0x10", "dataId": "0xDEAD"},
}


class Campaigns(Installation):
    """The product with its fleet, and the campaigns that it carries out."""

    _token = ""

    def prepare(self) -> None:
        super().prepare()
        self.run("fleet", "-c", FLEET)

    def begin(self) -> None:
        """Start the campaigns: one that ends, one that fails, and one whose window is closed."""
        login = {"username": "admin", "password": PASSWORD}
        self._token = said(self._post("token/", login), 200)["access"]
        self.whole = self._start(READ | {"waves": WAVES})
        self.failing = self._start(REFUSED | {"waves": [10, 100], "go_on_below_failed_percent": 50})
        day = DAYS[(datetime.now(UTC).weekday() + 3) % 7]
        window = {"days": [day], "from": "10:00", "to": "10:30", "time_zone": "UTC"}
        self.closed = self._start(READ | {"waves": [100], "windows": [window]})

    def _start(self, plan: dict[str, Any]) -> str:
        plan |= {"vehicle_filter": {"search": "2HGCM"}}
        campaign_id: str = said(self._post("campaigns/", plan), 201)["campaign_id"]
        said(self._post(f"campaigns/{campaign_id}/submit/"), 200)
        return campaign_id

    def _post(self, path: str, body: Any = None) -> tuple[int, str]:
        return ask(self.ports["web-1"], "POST", f"/api/v1/{path}", body, self._token)

    def kill_one_after_the_other(self) -> None:
        parts = [*self.web, *self.workers, *self._servers]
        for name in islice(cycle(parts), KILLS):
            until(partial(self._has_more_ended, self.ended()))
            self._kill(name)

    @property
    def _servers(self) -> dict[str, Server]:
        return {"postgres": self.servers.postgres, "valkey": self.servers.valkey}

    def _kill(self, name: str) -> None:
        if server := self._servers.get(name):
            server.kill()
            server.start()
        else:
            self.kill(name)
            self.start(name)

    def _has_more_ended(self, before: int) -> bool:
        return self.ended() > before or before >= VEHICLES - AWAY

    def ended(self) -> int:
        return int(self.rows(ENDED, self.whole)[0][0])

    def rows(self, statement: str, *arguments: Any) -> list[Any]:
        with psycopg.connect(self.servers.postgres.url) as connection:
            return connection.execute(statement, arguments).fetchall()


def test_each_vehicle_of_a_campaign_has_one_command_whatever_is_killed(
    tmp_path: Path, counts: list[str]
) -> None:
    with Campaigns(SETTINGS, tmp_path, web=1, workers=2) as product:
        product.start_all()
        until(lambda: product.rows(UNPROBED) == [(0,)], PATIENCE)
        product.begin()
        product.kill_one_after_the_other()
        until(lambda: product.ended() >= VEHICLES - AWAY, PATIENCE)
        product.rows(COME_BACK)
        until(lambda: product.rows(IS_SETTLED, product.whole) == [(True,)], PATIENCE)
        outcomes, counted = (product.rows(each, product.whole) for each in (OUTCOMES, COUNTED))
        until(lambda: product.rows(STATE, product.failing) == [("ended", "failures")], PATIENCE)
        stopped = product.rows(OUTCOMES, product.failing)
        assert product.rows(STARTED, product.closed) == [(0,)]
        assert product.rows(STATE, product.closed) == [("running", "")]

    lost = sum(row[3] == "worker_lost" for row in outcomes)  # those that cost three workers
    assert len(outcomes) == VEHICLES
    assert {row[2:4] for row in outcomes} <= {("completed", ""), ("failed", "worker_lost")}
    assert counted == [(VEHICLES - lost, lost)]
    for wave in range(2, len(WAVES) + 1):
        began = min(row[4] for row in outcomes if row[0] == wave)
        assert began >= max(row[5] for row in outcomes if row[0] == wave - 1 and not row[1])
    assert len(stopped) == VEHICLES
    assert {status for wave, _, status, *_ in stopped if wave > 1} == {None}
    counts.append(
        f"{KILLS} kills of web, workers, Postgres and Valkey in a campaign of {VEHICLES} vehicles, "
        f"{AWAY} of them away: {lost} failed"
    )


def said(answer: tuple[int, str], status: int) -> Any:
    assert answer[0] == status, answer
    return json.loads(answer[1])
