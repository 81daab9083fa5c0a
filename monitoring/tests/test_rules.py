"""Rules, configuration and names of metrics, checked by Prometheus' own tool."""

import re
from subprocess import run

import pytest
import yaml
from django.test import Client

from monitoring.tests.prometheus import BASE, RULES


def promtool(*arguments: str, given: str = "") -> str:
    """Return its output, which reports no problem."""
    command = ["promtool", *arguments]
    ended = run(command, cwd=BASE, input=given, text=True, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def test_the_configuration_and_its_rules_are_valid() -> None:
    promtool("check", "config", "prometheus.yml")


def test_each_rule_fires_on_its_series_and_not_short_of_them() -> None:
    promtool("test", "rules", "monitoring/alerts.test.yml")


def test_the_metrics_are_named_by_the_conventions(transactional_db: None) -> None:
    assert promtool("check", "metrics", given=Client().get("/metrics").content.decode()) == ""


@pytest.mark.parametrize("document", ["README.md", "docs/monitoring.md", "docs/production.md"])
def test_the_metrics_that_documents_name_exist(document: str, transactional_db: None) -> None:
    page = Client().get("/metrics").content.decode()
    known = {*re.findall(r"^# HELP (\S+)", page, re.MULTILINE), *rules("record")}
    named = {*re.findall(r"\b(?:sovd[:_][\w:]+|\w+_(?:total|active))\b", text_of(document))}
    assert named
    assert named - {"sovd_client", "sovd_facade"} <= known  # packages


def text_of(document: str) -> str:
    return (BASE / document).read_text()


def rules(kind: str) -> list[str]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule[kind] for group in groups for rule in group["rules"] if kind in rule]


@pytest.mark.parametrize("alert", rules("alert"))
def test_each_alert_is_explained_unit_tested_and_caused(alert: str) -> None:
    assert f"### {alert}\n" in text_of("docs/monitoring.md")
    assert re.search(rf"alertname: {alert}\b", text_of("monitoring/alerts.test.yml"))
    assert f'"{alert}"' in text_of("monitoring/tests/test_live.py")
