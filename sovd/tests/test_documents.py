"""Documents that cannot lie: held against the code, and what they show against a live server."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from dev.servers import spawn
from sovd.tests.live import Live
from sovd.tests.processes import variables_of

BASE: Path = settings.BASE_DIR
README = (BASE / "README.md").read_text()
SECURITY = (BASE / "SECURITY.md").read_text()
PROTOCOL = (BASE / "docs/protocol.md").read_text()


# Settings


def test_the_settings_of_the_readme_are_settings() -> None:
    table = README.partition("## Settings")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = {name for cell in cells for name in re.findall(r"`([A-Z][A-Z_]+)`", cell)}
    assert named
    assert named <= {*variables_of("sovd/settings.py")}


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) < 200


# The session


def sh(text: str) -> str:
    return "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))


def shown_frames(text: str) -> list[dict[str, Any]]:
    return [json.loads(frame) for frame in re.findall(r'(?m)\{"event":.*\}$', text)]


def test_the_session_of_the_readme(live: Live, tmp_path: Path, counts: list[str]) -> None:
    """Typed as it stands there, but for the port, in a directory of its own."""
    session = README.partition("## A session with curl")[2].partition("\n## ")[0]
    script = sh(session).replace("http://localhost:8000", f"http://127.0.0.1:{live.port}")
    script = re.sub(r"(?m)^.*pip install.*$", "", script)
    (tmp_path / "docs").symlink_to(BASE / "docs")
    (tmp_path / "sovd_client").symlink_to(BASE / "sovd_client")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    process = spawn(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors.decode()
    real, shown = shown_frames(output.decode()), shown_frames(session)
    assert [shape(frame) for frame in real] == [shape(frame) for frame in shown]
    counts.append(
        f"{len(shown)} frames and {len(script.splitlines())} lines of shell of the README"
    )


def shape(frame: dict[str, Any]) -> object:
    """Everything but what differs from one command to the next."""
    kept = {name: value for name, value in frame.items() if name not in ("command_id", "timestamp")}
    return frame.keys(), kept | {"response": {*frame.get("response", {})}}


# Protocol


def test_every_close_code_is_in_the_protocol() -> None:
    source = (BASE / "commands/stream/consumer.py").read_text()
    codes = {*re.findall(r"\b4[0-9]{3}\b", source)}
    assert len(codes) > 5
    for document in (PROTOCOL, (BASE / "sovd/schema.py").read_text()):
        assert codes - {*re.findall(r"\b4[0-9]{3}\b", document)} == set()


# Security


def functions_of(file: str) -> set[str]:
    nodes = ast.walk(ast.parse((BASE / file).read_text()))
    return {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}


ROWS = re.findall(r"(?m)^\| .* \| `([\w/]+\.py)::(\w+)` \|$", SECURITY)


@pytest.mark.parametrize(("file", "name"), ROWS)
def test_every_defence_has_its_test(file: str, name: str) -> None:
    assert name in functions_of(file)


def test_no_row_is_without_one(counts: list[str]) -> None:
    table = [line for line in SECURITY.splitlines() if line.startswith("| ")]
    assert len(ROWS) == len(table) - 1
    counts.append(f"{len(ROWS)} attacks in SECURITY.md, each with its test")
