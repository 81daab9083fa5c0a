"""A real PgBouncer in transaction mode, before the throw-away Postgres of the tests."""

import os
import pwd
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dev.servers import Server, database_version

CONFIGURATION = """
[databases]
* = host={host} port={postgres_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = transaction
default_pool_size = 4
{settings}
"""


class PgBouncer(Server):
    """Four sessions of Postgres for any number of clients. It refuses to run as root."""

    name = "pgbouncer"

    def __init__(self, directory: Path, database_url: str, settings: str = "") -> None:
        super().__init__(directory)
        self._behind = urlsplit(database_url)
        self._settings = settings

    @property
    def url(self) -> str:
        user, _, _ = self._behind.netloc.rpartition("@")
        return self._behind._replace(netloc=f"{user}@127.0.0.1:{self.port}").geturl()

    @property
    def version(self) -> str:
        return database_version(self.url)

    def prepare(self) -> None:
        users = self.directory / "users.txt"
        users.write_text(f'"{self._behind.username}" ""\n')
        text = CONFIGURATION.format(
            host=self._behind.hostname,
            postgres_port=self._behind.port,
            port=self.port,
            users=users,
            settings=self._settings,
        )
        (self.directory / "pgbouncer.ini").write_text(text)

    def command(self) -> list[str | Path]:
        return ["pgbouncer", self.directory / "pgbouncer.ini"]

    def spawn(self, command: Sequence[str | Path], **options: Any) -> subprocess.Popen[bytes]:
        if os.getuid() == 0:
            user = pwd.getpwnam("nobody")
            options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        return super().spawn(command, **options)
