"""A real Prometheus that scrapes the processes of a test, with our rules over short windows."""

import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml
from django.conf import settings

from dev.servers import free_port, spawn
from sovd.tests.processes import until
from sovd.tests.site import ask

BASE: Path = settings.BASE_DIR
RULES = BASE / "monitoring" / "alerts.yml"
SCRAPE_SECONDS = 2
WINDOW = f"{4 * SCRAPE_SECONDS}s"  # in place of minutes

Targets = dict[str, list[str]]  # by job, such as {"web": ["127.0.0.1:9101"]}


class Prometheus:
    def __init__(self, directory: Path, port: int) -> None:
        self.directory = directory
        self._port = port

    def is_ready(self) -> bool:
        return ask(self._port, "GET", "/-/ready")[0] == 200

    def watch(self, targets: Targets) -> None:
        """Set the targets, as DNS does in production."""
        for job in ("web", "worker"):
            found = [{"targets": targets.get(job, [])}]
            (self.directory / f"{job}.json").write_text(json.dumps(found))

    def query(self, expression: str) -> list[float]:
        """Return the value of each series, without NaN."""
        result = self._get("query", query=expression)["result"]
        values = [float(sample["value"][1]) for sample in result]
        return [value for value in values if value == value]  # noqa: PLR0124 - drops NaN

    def total(self, expression: str) -> float:
        return sum(self.query(expression))

    def firing(self) -> set[str]:
        alerts = self._get("alerts")["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def _get(self, path: str, **query: str) -> Any:
        status, text = ask(self._port, "GET", f"/api/v1/{path}?{urlencode(query)}")
        assert status == 200, (query, text)
        return json.loads(text)["data"]


@contextmanager
def prometheus(directory: Path, targets: Targets) -> Iterator[Prometheus]:
    port = free_port()
    (directory / "prometheus.yml").write_text(yaml.safe_dump(configuration()))
    (directory / "alerts.yml").write_text(with_short_waits(RULES.read_text()))
    server = Prometheus(directory, port)
    server.watch(targets)
    command: Sequence[str | Path] = [
        "prometheus",
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    process = spawn(command, stdout=subprocess.DEVNULL)
    try:
        until(server.is_ready)
        yield server
    finally:
        process.kill()
        process.wait()


def configuration() -> dict[str, Any]:
    """Return our configuration with files in place of DNS, the only part that needs containers."""
    ours: dict[str, Any] = yaml.safe_load((BASE / "prometheus.yml").read_text())
    ours["global"] = {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": "1s"}
    ours["rule_files"] = ["alerts.yml"]
    for job in ours["scrape_configs"]:
        del job["dns_sd_configs"]
        job["file_sd_configs"] = [{"files": [f"{job['job_name']}.json"], "refresh_interval": "1s"}]
    return ours


def with_short_waits(text: str) -> str:
    """Return the rules with the same expressions and thresholds, over shorter windows."""
    return re.sub(r"for: \w+", "for: 1s", with_short_windows(text))


def with_short_windows(text: str) -> str:
    return re.sub(r"(\[|offset )(5m|1h|\$__rate_interval)\b", rf"\g<1>{WINDOW}", text)
