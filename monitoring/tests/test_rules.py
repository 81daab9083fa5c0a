"""The rules, the configuration and the names of the metrics, as Prometheus' own tool sees them."""

import re
from subprocess import run

import pytest
import yaml
from django.test import Client

from monitoring.tests.prometheus import BASE, RULES


def promtool(*arguments: str, given: str = "") -> str:
    """What it says; nothing is wrong."""
    command = ["promtool", *arguments]
    ended = run(command, cwd=BASE, input=given, text=True, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def test_the_configuration_and_its_rules_are_valid() -> None:
    promtool("check", "config", "prometheus.yml")


def test_each_rule_by_invented_series() -> None:
    promtool("test", "rules", "monitoring/rules.test.yml")


def test_the_metrics_are_named_by_the_conventions(transactional_db: None) -> None:
    assert promtool("check", "metrics", given=Client().get("/metrics").content.decode()) == ""


def alerts() -> list[str]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule]


@pytest.mark.parametrize("alert", alerts())
def test_each_alert_is_explained_unit_tested_and_caused(alert: str) -> None:
    assert f"### {alert}\n" in (BASE / "docs" / "monitoring.md").read_text()
    assert re.search(rf"alertname: {alert}\b", (BASE / "monitoring" / "rules.test.yml").read_text())
    assert f'"{alert}"' in (BASE / "monitoring" / "tests" / "test_live.py").read_text()
