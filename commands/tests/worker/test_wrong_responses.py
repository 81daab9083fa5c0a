"""Responses and faults of vehicles that end a command with an error."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django.fixtures import Settings

from commands.database.threads import in_thread
from commands.metrics.scrape import registry
from commands.models import Command
from commands.tests.worker.bench import Bench, outcome
from conftest import drain, read_all, worker_of
from vehicles.connectors.base import Response, VehicleError
from vehicles.connectors.mock import MockConnector


def timeouts() -> float:
    return registry().get_sample_value("sovd_command_timeout_total") or 0.0


FAULTS: dict[str, tuple[dict[str, Any], tuple[str, str], float]] = {
    "timeout": ({"timeout_rate": 1}, ("timed_out", "vehicle_timeout"), 1),
    "unreachable": ({"unreachable_rate": 1}, ("failed", "vehicle_unreachable"), 0),
    "malformed": ({"malformed_rate": 1}, ("failed", "malformed_answer"), 0),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.embedded
async def test_each_fault_of_a_vehicle_has_its_error(
    operator: User, command: Command, settings: Settings, fault: str
) -> None:
    settings.COMMAND_TIMEOUT_SECONDS = 0.05
    rates, (status, error_code), counted = FAULTS[fault]
    before = timeouts()
    await drain(MockConnector(**rates))
    frames, code = await read_all(command, operator)
    last = frames[-1]
    assert (last["event"], last["status"], last["error_code"]) == ("error", status, error_code)
    assert last["error_message"] == (await outcome(command))[2] != ""
    assert (code, timeouts() - before) == (1000, counted)


HOSTILE: list[Any] = [
    [],
    "text",
    None,
    {"a": "\x00"},
    {"\x00": 1},
    {"a": "\ud800"},
    {"a": float("nan")},
    {"a": float("inf")},
    {"a": 10**4000},
    {"a": b"bytes"},
    {1: "key"},
    {"a": "x" * 300_000},
    {"a": object()},
]


def nested(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize("response", [*HOSTILE, nested(100_000)], ids=range(len(HOSTILE) + 1))
async def test_hostile_responses_are_not_stored(command: Command, response: Any) -> None:
    bench = Bench(Response({"good": 1}), Response(response), Response({"never": 1}, is_final=True))
    bench.go.set()
    await worker_of(bench).drain()
    assert (await outcome(command))[:2] == ("failed", "malformed_answer")
    stored = await in_thread(list, command.events.filter(kind="response"))
    assert [event.payload["response"] for event in stored] == [{"good": 1}]


async def test_unusual_responses_are_stored_unchanged(operator: User, command: Command) -> None:
    odd = {"": [None, True, -1.5e300, 2**63 - 1, "\u2028<script>\x01\U0001f697"], "event": "error"}
    bench = Bench(Response(odd), Response(nested(31), is_final=True))
    bench.go.set()
    await worker_of(bench).drain()
    frames, _ = await read_all(command, operator)
    assert [frame["response"] for frame in frames[2:4]] == [odd, nested(31)]
    assert frames[-1]["status"] == "completed"


@pytest.mark.parametrize(
    ("answers", "error_code"),
    [
        ((Response({}),), "malformed_answer"),
        ((VehicleError("vehicle_refused", "NRC 0x22"),), "vehicle_refused"),
        ((ZeroDivisionError(),), "malformed_answer"),
        ((Response({}), TimeoutError()), "malformed_answer"),
    ],
    ids=["no last answer", "refused", "bug in the connector", "its own time-out"],
)
async def test_a_connector_that_raises_fails_its_command(
    command: Command, answers: tuple[Any, ...], error_code: str
) -> None:
    bench = Bench(*answers)
    bench.go.set()
    await worker_of(bench).drain()
    assert (await outcome(command))[:2] == ("failed", error_code)
