"""The files that put the product into containers, checked by the real tools and the code."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

from dev.servers import spawn
from sovd.tests.live import Live
from sovd.tests.processes import Ended

BASE: Path = settings.BASE_DIR
BIN = Path(sys.executable).parent
REQUIRED = {"SECRET_KEY": "k" * 40, "POSTGRES_PASSWORD": "secret"}


def tool(name: str, *arguments: str | Path, **environment: str) -> Ended:
    process = spawn(
        [BIN / name, *arguments],
        cwd=BASE,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    output, errors = process.communicate(timeout=60)
    return Ended(process.returncode, output.decode(), errors.decode().splitlines())


def compose(*arguments: str | Path, **environment: str) -> Ended:
    # Without the .env of the developer.
    return tool("docker-compose", "--env-file", os.devnull, *arguments, **environment)


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    ended = compose("config", "--format", "json", **REQUIRED)
    assert ended.exit_code == 0, ended.errors
    found: dict[str, Any] = json.loads(ended.output)["services"]
    return found


# --- docker-compose.yml


def test_compose_starts_these_services(services: dict[str, Any]) -> None:
    ours = {"migrate", "web", "worker"}
    assert set(services) == {"postgres", "redis", *ours, "prometheus", "grafana"}


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_secret_is_named_with_what_to_do(name: str) -> None:
    ended = compose("config", **REQUIRED | {name: ""})
    assert ended.exit_code != 0
    told = [line for line in ended.errors if name in line]
    assert len(told) == len(ended.errors) == 1
    assert "set it in .env" in told[0]


def test_every_lasting_service_has_a_health_check(services: dict[str, Any]) -> None:
    lasting = {name: service for name, service in services.items() if name != "migrate"}
    assert [name for name, service in lasting.items() if "healthcheck" not in service] == []


def test_no_health_check_goes_through_a_proxy(services: dict[str, Any], live: Live) -> None:
    """Docker may set `http_proxy` in each container, and that proxy does not know this host."""
    command = services["web"]["healthcheck"]["test"][1:]
    command = [part.replace(":8000/", f":{live.port}/") for part in command]
    proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY"), "http://127.0.0.1:1")
    assert tool(*command, **proxies) == Ended(0, "", [])
    others = {services[name]["healthcheck"]["test"][3] for name in ("web", "worker")}
    assert all("ProxyHandler({})" in script for script in others)
    for name in ("prometheus", "grafana"):
        assert services[name]["healthcheck"]["test"][1:4] == ["wget", "-Y", "off"]


def test_a_stream_is_pinged_before_a_load_balancer_closes_it(services: dict[str, Any]) -> None:
    assert services["web"]["command"][:3] == ["python", "manage.py", "runweb"]
    assert "STREAM_PING_SECONDS" not in services["web"]["environment"]
    assert settings.STREAM_PING_SECONDS <= 20


def test_web_and_worker_start_after_the_migrations(services: dict[str, Any]) -> None:
    assert services["migrate"]["command"] == ["python", "manage.py", "migrate"]
    for name in ("web", "worker"):
        conditions = {on: how["condition"] for on, how in services[name]["depends_on"].items()}
        assert conditions == {
            "migrate": "service_completed_successfully",
            "postgres": "service_healthy",
            "redis": "service_healthy",
        }


def test_compose_lets_a_worker_finish_its_commands(services: dict[str, Any]) -> None:
    minutes, seconds = re.findall(r"\d+", services["worker"]["stop_grace_period"])  # such as 1m10s
    example = dict(re.findall(r"(?m)^#(\w+)=(.*)$", (BASE / ".env.example").read_text()))
    longest = float(example["COMMAND_TIMEOUT_SECONDS"]) + float(example["COMMAND_LEASE_SECONDS"])
    assert 60 * int(minutes) + int(seconds) > longest


def test_compose_sets_the_production_mode(services: dict[str, Any]) -> None:
    for name in ("migrate", "web", "worker"):
        environment = services[name]["environment"]
        assert environment["DEBUG"] == "0"
        assert environment["SECRET_KEY"] == REQUIRED["SECRET_KEY"]
        assert environment["DATABASE_URL"] == "postgres://sovd:secret@postgres:5432/sovd"
        assert environment["ALLOWED_HOSTS"] == "localhost,127.0.0.1"


def test_allowed_hosts_are_added_to_this_host() -> None:
    ended = compose("config", "--format", "json", ALLOWED_HOSTS="sovd.example.com", **REQUIRED)
    hosts = json.loads(ended.output)["services"]["web"]["environment"]["ALLOWED_HOSTS"]
    assert hosts == "sovd.example.com,localhost,127.0.0.1"


def test_our_containers_have_few_rights(services: dict[str, Any]) -> None:
    for name in ("migrate", "web", "worker"):
        service = services[name]
        assert (service["read_only"], service["tmpfs"]) == (True, ["/tmp"])  # noqa: S108
        assert (service["cap_drop"], service["security_opt"]) == (
            ["ALL"],
            ["no-new-privileges:true"],
        )
        assert service["environment"]["PROMETHEUS_MULTIPROC_DIR"].startswith("/tmp/")  # noqa: S108


def test_every_service_has_limits_of_cpu_and_memory(services: dict[str, Any]) -> None:
    for service in services.values():
        assert {"cpus", "memory"} <= service["deploy"]["resources"]["limits"].keys()


def test_services_without_a_password_listen_on_this_host_only(services: dict[str, Any]) -> None:
    for name in ("prometheus", "grafana"):
        (port,) = services[name]["ports"]
        assert port["host_ip"] == "127.0.0.1"


def test_a_range_of_ports_publishes_several_web_processes() -> None:
    ended = compose("config", "--format", "json", WEB_PORT="8000-8002", **REQUIRED)
    (port,) = json.loads(ended.output)["services"]["web"]["ports"]
    assert port["published"] == "8000-8002"


def test_the_data_of_postgres_outlive_its_container(services: dict[str, Any]) -> None:
    (volume,) = services["postgres"]["volumes"]
    assert (volume["type"], volume["target"]) == ("volume", "/var/lib/postgresql/data")


# --- prometheus.yml


def test_prometheus_scrapes_the_ports_of_the_services(services: dict[str, Any]) -> None:
    ports = {
        name: int(services[name]["environment"][f"{name.upper()}_METRICS_PORT"])
        for name in ("web", "worker")
    }
    jobs = yaml.safe_load((BASE / "prometheus.yml").read_text())["scrape_configs"]
    assert {job.get("metrics_path", "/metrics") for job in jobs} == {"/metrics"}
    asked = [dns for job in jobs for dns in job["dns_sd_configs"]]
    assert {name: dns["port"] for dns in asked for name in dns["names"]} == ports


def test_the_metrics_ports_are_not_published(services: dict[str, Any]) -> None:
    published = {
        (name, port["target"])
        for name, service in services.items()
        for port in service.get("ports", [])
    }
    assert published == {("web", 8000), ("prometheus", 9090), ("grafana", 3000)}


def test_prometheus_reads_our_rules(services: dict[str, Any]) -> None:
    mounts = {volume["source"]: volume["target"] for volume in services["prometheus"]["volumes"]}
    assert mounts[str(BASE / "prometheus.yml")] == "/etc/prometheus/prometheus.yml"
    (rules,) = yaml.safe_load((BASE / "prometheus.yml").read_text())["rule_files"]
    assert mounts[str(BASE / rules)] == f"/etc/prometheus/{rules}"


# --- Grafana


def test_grafana_finds_its_dashboards_and_prometheus(services: dict[str, Any]) -> None:
    mounts = {volume["target"]: Path(volume["source"]) for volume in services["grafana"]["volumes"]}
    provisioning = mounts["/etc/grafana/provisioning"]
    (source,) = provisioned(provisioning / "datasources" / "prometheus.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = provisioned(provisioning / "dashboards" / "sovd.yml")["providers"]
    boards = list(map(provisioned, mounts[provider["options"]["path"]].glob("*.json")))
    assert {board["title"] for board in boards} == {
        "SOVD Operations",
        "SOVD Commands",
        "SOVD Streams",
    }
    panels = [panel for board in boards for panel in board["panels"]]
    assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    path = Path(home)
    assert (mounts[str(path.parent)] / path.name).exists()


def provisioned(file: Path) -> dict[str, Any]:
    """Return the content of a YAML or JSON file: JSON is YAML."""
    found: dict[str, Any] = yaml.safe_load(file.read_text())
    return found


# --- Dockerfile

INSTRUCTIONS = (BASE / "Dockerfile").read_text()


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    assert tool("hadolint", "Dockerfile") == Ended(0, "", [])


def test_the_image_starts_the_server_that_compose_starts(services: dict[str, Any]) -> None:
    (command,) = re.findall(r"^CMD (.*)$", INSTRUCTIONS, re.MULTILINE)
    assert json.loads(command) == services["web"]["command"]
    assert re.search(r"^USER [1-9]", INSTRUCTIONS, re.MULTILINE)
    assert "--require-hashes" in INSTRUCTIONS


def test_the_image_holds_the_hashed_static_files_and_no_key() -> None:
    before, collecting, after = re.split(
        r"^(RUN(?:.*\\\n)*.*collectstatic.*(?:\n .*)*)", INSTRUCTIONS, flags=re.MULTILINE
    )
    assert "COPY . ./" in before
    assert "COPY" not in after
    assert "SECRET_KEY=" in collecting  # otherwise the embedded mode makes one and keeps it


def test_the_image_holds_the_code_and_nothing_else() -> None:
    ours = {app for app in settings.INSTALLED_APPS if (BASE / app).is_dir()}
    needed = {"requirements.txt", "manage.py", "sovd", "templates"} | ours
    lines = (BASE / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    assert {line[1:] for line in lines if line.startswith("!")} == needed


# --- Makefile


@pytest.mark.parametrize("target", ["run", "stack"])
def test_make_collects_the_static_files_before_it_starts_a_server(
    target: str, tmp_path: Path
) -> None:
    absent = f"STATIC={tmp_path}/staticfiles.json"
    ended = tool(shutil.which("make") or "make", "--dry-run", absent, target)
    commands = ended.output.splitlines()
    (collecting,) = [at for at, command in enumerate(commands) if "collectstatic" in command]
    assert (ended.exit_code, collecting < len(commands) - 1) == (0, True)
