"""The files that put the product into containers, held against the real tools and the code."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

from dev.servers import spawn
from sovd.tests.processes import Ended, variables_of

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
    # Whatever the developer has in .env is not what these tests are about.
    return tool("docker-compose", "--env-file", os.devnull, *arguments, **environment)


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    ended = compose("config", "--format", "json", **REQUIRED)
    assert ended.exit_code == 0, ended.errors
    found: dict[str, Any] = json.loads(ended.output)["services"]
    return found


# --- docker-compose.yml


def test_the_services(services: dict[str, Any]) -> None:
    ours = {"migrate", "web", "worker"}
    assert set(services) == {"postgres", "redis", *ours, "prometheus", "grafana"}


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_secret_is_named_with_what_to_do(name: str) -> None:
    ended = compose("config", **REQUIRED | {name: ""})
    assert ended.exit_code != 0
    told = [line for line in ended.errors if name in line]
    assert len(told) == len(ended.errors) == 1
    assert "set it in .env" in told[0]


def test_all_that_stays_has_a_health_check(services: dict[str, Any]) -> None:
    lasting = {name: service for name, service in services.items() if name != "migrate"}
    assert [name for name, service in lasting.items() if "healthcheck" not in service] == []


def test_nothing_works_on_tables_that_are_not_there(services: dict[str, Any]) -> None:
    assert services["migrate"]["command"] == ["python", "manage.py", "migrate"]
    for name in ("web", "worker"):
        conditions = {on: how["condition"] for on, how in services[name]["depends_on"].items()}
        assert conditions == {
            "migrate": "service_completed_successfully",
            "postgres": "service_healthy",
            "redis": "service_healthy",
        }


def test_the_worker_is_given_the_time_of_a_whole_command(services: dict[str, Any]) -> None:
    minutes, seconds = re.findall(r"\d+", services["worker"]["stop_grace_period"])  # such as 1m10s
    longest = float(EXAMPLE["COMMAND_TIMEOUT_SECONDS"]) + float(EXAMPLE["COMMAND_LEASE_SECONDS"])
    assert 60 * int(minutes) + int(seconds) > longest


def test_production_mode(services: dict[str, Any]) -> None:
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


def test_what_is_ours_can_do_little(services: dict[str, Any]) -> None:
    for name in ("migrate", "web", "worker"):
        service = services[name]
        assert (service["read_only"], service["tmpfs"]) == (True, ["/tmp"])  # noqa: S108
        assert (service["cap_drop"], service["security_opt"]) == (
            ["ALL"],
            ["no-new-privileges:true"],
        )
        assert service["environment"]["PROMETHEUS_MULTIPROC_DIR"].startswith("/tmp/")  # noqa: S108


def test_nothing_takes_the_whole_machine(services: dict[str, Any]) -> None:
    for service in services.values():
        assert {"cpus", "memory"} <= service["deploy"]["resources"]["limits"].keys()


def test_who_asks_for_no_password_listens_on_this_host_alone(services: dict[str, Any]) -> None:
    for name in ("prometheus", "grafana"):
        (port,) = services[name]["ports"]
        assert port["host_ip"] == "127.0.0.1"


def test_many_web_processes_get_a_port_each() -> None:
    ended = compose("config", "--format", "json", WEB_PORT="8000-8002", **REQUIRED)
    (port,) = json.loads(ended.output)["services"]["web"]["ports"]
    assert port["published"] == "8000-8002"


def test_the_data_of_postgres_outlive_its_container(services: dict[str, Any]) -> None:
    (volume,) = services["postgres"]["volumes"]
    assert (volume["type"], volume["target"]) == ("volume", "/var/lib/postgresql/data")


# --- prometheus.yml


def test_prometheus_asks_where_the_services_listen(services: dict[str, Any]) -> None:
    ports = {
        name: int(services[name]["environment"][f"{name.upper()}_METRICS_PORT"])
        for name in ("web", "worker")
    }
    jobs = yaml.safe_load((BASE / "prometheus.yml").read_text())["scrape_configs"]
    assert {job.get("metrics_path", "/metrics") for job in jobs} == {"/metrics"}
    asked = [dns for job in jobs for dns in job["dns_sd_configs"]]
    assert {name: dns["port"] for dns in asked for name in dns["names"]} == ports


def test_the_metrics_ports_are_for_the_network_behind(services: dict[str, Any]) -> None:
    published = {
        (name, port["target"])
        for name, service in services.items()
        for port in service.get("ports", [])
    }
    assert published == {("web", 8000), ("prometheus", 9090), ("grafana", 3000)}


def test_prometheus_reads_our_file(services: dict[str, Any]) -> None:
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
    """JSON is YAML."""
    found: dict[str, Any] = yaml.safe_load(file.read_text())
    return found


# --- Dockerfile


def test_dockerfile_is_clean() -> None:
    assert tool("hadolint", "Dockerfile") == Ended(0, "", [])


def test_the_image_serves_what_compose_asks_for(services: dict[str, Any]) -> None:
    instructions = (BASE / "Dockerfile").read_text()
    (command,) = re.findall(r"^CMD (.*)$", instructions, re.MULTILINE)
    assert json.loads(command) == services["web"]["command"]
    assert re.search(r"^USER [1-9]", instructions, re.MULTILINE)
    assert "--require-hashes" in instructions


def test_the_image_holds_the_code_and_nothing_else() -> None:
    ours = {app for app in settings.INSTALLED_APPS if (BASE / app).is_dir()}
    needed = {"requirements.txt", "manage.py", "sovd", "templates"} | ours
    lines = (BASE / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    assert {line[1:] for line in lines if line.startswith("!")} == needed


# --- .env.example

SETTINGS = variables_of("sovd/settings.py")
SERVE = variables_of("commands/management/commands/serve.py")
EXAMPLE = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", (BASE / ".env.example").read_text(), re.MULTILINE))


def test_every_variable_is_documented_and_no_other() -> None:
    asked = re.findall(r"\$\{([A-Z_]+):", (BASE / "docker-compose.yml").read_text())
    assert set(EXAMPLE) == {*SETTINGS, *SERVE, *asked}


@pytest.mark.parametrize(
    ("name", "call"),
    [(n, call) for n, call in SETTINGS.items() if ast.unparse(call.func) in ("number", "whole")],
)
def test_documented_defaults(name: str, call: ast.Call) -> None:
    assert float(EXAMPLE[name]) == ast.literal_eval(call.args[1])
