"""The command line of the client, typed in a terminal of its own."""

import os
import subprocess
import sys
from typing import Any, NamedTuple

from django.conf import settings

from commands.accounts.demo_users import PASSWORD
from dev.servers import spawn
from sovd.tests.processes import SECONDS

ENVIRONMENT = {"SOVD_USERNAME": "operator", "SOVD_PASSWORD": PASSWORD}


class Shown(NamedTuple):
    exit_code: int
    lines: list[str]
    errors: str


def started(
    url: str, *arguments: str | bytes, env: dict[str, str] | None = None, **options: Any
) -> subprocess.Popen[bytes]:
    given = ENVIRONMENT | {"SOVD_URL": url, "PATH": os.environ["PATH"]}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
    return spawn(
        [sys.executable, "-m", "sovd_client", *map(os.fsdecode, arguments)],
        cwd=settings.BASE_DIR,
        env=given | (env or {}),
        **pipes | options,
    )


def typed(url: str, *arguments: str | bytes, **options: Any) -> Shown:
    process = started(url, *arguments, **options)
    try:
        output, errors = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
        process.communicate()
    encoding = options.get("env", {}).get("PYTHONIOENCODING", "utf-8")
    lines = (output or b"").decode(encoding).splitlines()
    return Shown(process.returncode, lines, errors.decode(encoding))
