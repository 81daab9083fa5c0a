"""`make vehicle` as a process of its own, which the product's connector reaches."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

from dev.servers import free_port, spawn
from vehicles.connectors.doip.connector import DoipConnector
from vehicles.tests.targets import Target, TargetEcu, execute


async def test_it_starts_answers_keeps_its_journal_and_stops(tmp_path: Path) -> None:
    port, journal = free_port(), tmp_path / "journal.jsonl"
    options = ["--port", str(port), "--journal", str(journal)]
    process = spawn(
        [sys.executable, "-m", "dev.vehicle", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout
    greeting = process.stdout.readline().decode()
    connector = DoipConnector()
    target = Target(
        connector_settings={"host": "127.0.0.1", "port": port, "response_timeout": 10},
        configured_ecus=(TargetEcu("0x10", "", "0x1010"),),
    )

    for command_name in ("ClearDTC", "ReadDTC"):
        *_, last = await execute(connector, target, command_name, {"ecuAddress": "0x10"})
    await connector.close()
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=30)

    assert target.vin in greeting
    assert last.response["dtcCount"] == 0
    requests = [json.loads(line)["request"] for line in journal.read_text().splitlines()]
    assert requests == ["1902FF", "14FFFFFF", "1902FF", "1902FF"]
    assert b"0x1010  14FFFFFF -> 54" in output
    assert (process.returncode, b"Traceback" in errors) == (0, False)


def test_a_port_in_use_is_told_in_a_line() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        ended = subprocess.run(
            [sys.executable, "-m", "dev.vehicle", "--port", str(port)],
            capture_output=True,
            text=True,
            check=False,
        )

    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        f'Port {port} is in use. Choose another one: make vehicle ARGS="--port 13401"'
    ]
