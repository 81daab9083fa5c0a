"""Documents, checked against the code and against a live server."""

import ast
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from drf_spectacular.generators import SchemaGenerator

import sovd_client
from commands.metrics import counters
from commands.models import OPEN, TERMINAL, ErrorCode, Kind
from commands.stream import protocol
from commands.stream.protocol import Close, Retry
from dev.servers import spawn
from sovd.tests.live import Live
from sovd_client import stream

BASE: Path = settings.BASE_DIR
README = (BASE / "README.md").read_text()
SECURITY = (BASE / "SECURITY.md").read_text()
PROTOCOL = (BASE / "docs/protocol.md").read_text()
FOLLOW = runpy.run_path(str(BASE / "docs/follow.py"))


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) < 200


# The session


def sh(text: str) -> str:
    return "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))


def shown_frames(text: str) -> list[dict[str, Any]]:
    return [json.loads(frame) for frame in re.findall(r'(?m)\{"event":.*\}$', text)]


def test_the_session_of_the_readme_works_as_shown(
    live: Live, tmp_path: Path, counts: list[str]
) -> None:
    """The session runs unchanged but for the port, in a directory of its own."""
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
    """Return a frame without the values that differ from one command to the next."""
    kept = {name: value for name, value in frame.items() if name not in ("command_id", "timestamp")}
    return frame.keys(), kept | {"response": {*frame.get("response", {})}}


# Protocol


def test_the_protocol_document_has_the_rows_of_the_table_of_closes() -> None:
    names = {name: f"`{name}`" for name in protocol.LIMITS}
    assert protocol.table(names) in PROTOCOL


def test_the_openapi_document_has_the_closes_with_the_limits_of_this_server(settings: Any) -> None:
    (about,) = [tag["description"] for tag in openapi()["tags"] if tag["name"] == "stream"]
    assert protocol.table(protocol.limits()) in about
    assert f"over {settings.CLIENT_FRAME_BYTES} bytes" in about


def openapi() -> Any:
    return SchemaGenerator().get_schema(public=True)


def test_the_protocol_document_names_every_event_and_every_error_of_a_command() -> None:
    rows = re.findall(r"(?m)^\| `(\w+)` \| `(\w+)`", PROTOCOL)
    assert {first for first, _ in rows} - {"event", "error_code"} == {*Kind, *ErrorCode}
    ends = {code: status for status, code in counters.ENDS if code}
    assert {first: second for first, second in rows if first in {*ErrorCode}} == ends


def error_codes(*retries: Retry) -> frozenset[str]:
    return frozenset(c.error_code for c in Close if c.error_code and c.retry in retries)


CONSOLE = "".join(path.read_text() for path in BASE.glob("commands/static/console/**/*.js"))


def in_console(pattern: str) -> str:
    (found,) = re.findall(pattern, CONSOLE, re.DOTALL)
    return str(found)


def test_the_console_gives_up_when_connecting_again_is_of_no_use() -> None:
    """A new ticket that is refused as `unauthenticated` means that the user has to log in."""
    given_up = json.loads(in_console(r"STOPPING_ERRORS = new Set\((.*?)\)"))
    assert {*given_up} == error_codes(Retry.NEVER) | {Close.UNAUTHENTICATED.error_code}


def test_the_console_has_words_for_every_error() -> None:
    words = re.findall(r"(?m)^  (\w+): \[", in_console(r"\nconst ERRORS = {(.*?)\n};"))
    assert {*words} == {*ErrorCode, *error_codes(*Retry)}


def test_the_console_knows_the_states_that_end_a_command() -> None:
    console = json.loads(in_console(r"ENDED = new Set\((.*?)\)"))
    assert {*console} == TERMINAL


@pytest.mark.parametrize(("status", "code"), counters.ENDS)
def test_the_clients_know_the_events_that_end_a_command(status: str, code: str) -> None:
    event: Any = {"event": "error" if code else "status", "sequence_number": 3, "status": status}
    assert sovd_client.is_terminal(event)
    assert FOLLOW["exit_code_of"](event) == 0


@pytest.mark.parametrize("status", [*OPEN])
def test_the_clients_know_the_events_that_end_no_command(status: str) -> None:
    event: Any = {"event": "status", "sequence_number": 3, "status": status}
    assert not sovd_client.is_terminal(event)
    assert FOLLOW["exit_code_of"](event) is None


def test_the_client_tells_refusals_that_are_final_from_those_of_its_token() -> None:
    assert error_codes(Retry.NEVER) == stream.FINAL_ERRORS
    assert error_codes(Retry.NEW_CREDENTIAL) == stream.TOKEN_ERRORS


def test_the_example_program_ends_where_connecting_again_is_of_no_use() -> None:
    """The program has one token, and cannot get a new one."""
    assert error_codes(Retry.NEVER, Retry.NEW_CREDENTIAL) == FOLLOW["FINAL_ERRORS"]


# Security


def functions_of(file: str) -> set[str]:
    nodes = ast.walk(ast.parse((BASE / file).read_text()))
    return {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}


ROWS = re.findall(r"(?m)^\| .* \| `([\w/]+\.py)::(\w+)` \|$", SECURITY)


@pytest.mark.parametrize(("file", "name"), ROWS)
def test_every_defence_has_its_test(file: str, name: str) -> None:
    assert name in functions_of(file)


def test_every_row_of_the_table_names_a_test(counts: list[str]) -> None:
    table = [line for line in SECURITY.splitlines() if line.startswith("| ")]
    assert len(ROWS) == len(table) - 1
    counts.append(f"{len(ROWS)} attacks in SECURITY.md, each with its test")
