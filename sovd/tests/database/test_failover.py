"""A primary that is lost, and its standby that is promoted: two real servers with replication."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from conftest import ReadDTC
from dev.servers import Postgres, scratch_directory
from sovd.tests.live import Live, started
from sovd.tests.processes import SECONDS, until
from sovd.tests.site import VINS, ask


@contextmanager
def replicated(directory: Path) -> Iterator[tuple[Postgres, Postgres]]:
    """Run a primary and a hot standby that follows it."""
    homes = [directory / "first", directory / "second"]
    for home in homes:
        home.mkdir()
    primary, standby = Postgres(homes[0]), Postgres(homes[1])
    try:
        primary.start()
        clone(primary, standby)
        standby.start()
        yield primary, standby
    finally:
        primary.stop()
        standby.stop()


def clone(primary: Postgres, standby: Postgres) -> None:
    standby.prepare()
    shutil.rmtree(standby.data)
    options = ["--checkpoint=fast", "--write-recovery-conf", f"--pgdata={standby.data}"]
    source = f"--dbname=postgres://postgres@127.0.0.1:{primary.port}/"
    process = standby.spawn([standby.installation / "bin" / "pg_basebackup", source, *options])
    assert process.wait(SECONDS) == 0, standby.log.read_text()


def test_a_promoted_standby_is_used_without_a_restart() -> None:
    """The standby answers reads before its promotion, and refuses writes with certainty."""
    with scratch_directory() as directory, replicated(directory) as (primary, standby):
        hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
        with started(f"postgres://postgres@{hosts}/sovd", directory, {}) as product:
            site = Live(product)
            body = read_dtc(site)
            assert post(site, body)[0] == 201
            until(lambda: has_replicated(primary, standby))
            primary.kill()
            until(lambda: "takes no writes, so nothing was done" in post(site, body)[1])
            until(lambda: "takes no writes" in ask(site.port, "GET", "/readyz")[1])
            vehicles = "/api/v1/vehicles/"
            until(lambda: ask(site.port, "GET", vehicles, token=site.token)[0] == 200)
            with psycopg.connect(standby.url) as connection:
                connection.execute("SELECT pg_promote()")
            until(lambda: post(site, body)[0] == 201)
            until(lambda: ask(site.port, "GET", "/readyz")[0] == 200)
            until(lambda: statuses(site) == {"completed"})


def read_dtc(site: Live) -> dict[str, Any]:
    (vehicle,) = site.get(f"/api/v1/vehicles/?search={VINS[0]}")["results"]
    return {"vehicle_id": vehicle["vehicle_id"], **ReadDTC}


def post(site: Live, body: dict[str, Any]) -> tuple[int, str]:
    return ask(site.port, "POST", "/api/v1/commands/", body, site.token)


def statuses(site: Live) -> set[str]:
    status, text = ask(site.port, "GET", "/api/v1/commands/", token=site.token)
    return {each["status"] for each in json.loads(text)["results"]} if status == 200 else set()


def has_replicated(primary: Postgres, standby: Postgres) -> bool:
    with psycopg.connect(primary.url) as first, psycopg.connect(standby.url) as second:
        sent = first.execute("SELECT pg_current_wal_lsn()").fetchone()
        question = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
        return second.execute(question, sent).fetchone() == (True,)
