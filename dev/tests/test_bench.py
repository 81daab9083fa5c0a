"""The shape of a report, and the proof that a figure that got worse is named."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dev.bench.load import Socket
from dev.bench.report import ROWS, TOLERANCE, scaled, summary, table, worse
from dev.processes import ROOT

MAX_SECONDS = 120


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dev.bench", "--only", "inserts", "--quick", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=MAX_SECONDS, check=False
    )


@pytest.mark.faults
def test_the_shortest_measurement_makes_a_report(tmp_path: Path) -> None:
    ended = bench("--force", "--json", str(tmp_path / "report.json"))
    assert ended.returncode == 0, ended.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["machine"].keys() >= {"commit", "cores", "load_average", "others_cores"}
    assert [*report["figures"]] == ["insert_per_s", "insert_us"]
    assert all(figure["median"] > 0 for figure in report["figures"].values())
    assert "insert_per_s" in ended.stdout


@pytest.mark.faults
def test_a_machine_that_others_use_gives_no_report() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        ended = bench()
        other.kill()
    assert ended.returncode == 1
    assert "other processes used" in ended.stderr
    assert ended.stdout == ""


def test_figures_are_scaled_to_a_machine_of_nominal_speed() -> None:
    """Halve all times and double all rates on a machine half as fast; memory is the same."""
    figures = {"a_per_s": 10.0, "b_ms": 10.0, "c_us": 10.0, "d_kib": 10.0, "e_mib": 10.0}
    assert scaled(figures, slowness=2) == {
        "a_per_s": 20.0,
        "b_ms": 5.0,
        "c_us": 5.0,
        "d_kib": 10.0,
        "e_mib": 10.0,
    }


def test_a_summary_has_the_median_and_the_spread_of_the_runs() -> None:
    found = summary([{"a_ms": 1.0}, {"a_ms": 2.0}, {"a_ms": 4.0}])
    assert found == {"a_ms": {"median": 2.0, "spread": 1.5, "runs": [1.0, 2.0, 4.0]}}


def test_every_figure_is_in_the_table_once_and_its_yardstick_beside_it() -> None:
    names = {name for row in ROWS for name in (row.figure, row.floor) if name} | {"another_ms"}
    lines = [*table(summary([dict.fromkeys(names, 3.0)]))][1:]
    assert [line.split()[0] for line in lines] == [*(row.figure for row in ROWS), "another_ms"]
    (ratio,) = [line for line in lines if line.startswith("command_web_ms")]
    assert ratio.split()[3:5] == ["3.00", "1.00"]


BASELINE = summary(
    [{"command_web_ms": 10.0, "plain_web_ms": 5.0, "list_per_s": 100.0, "memory_kib": 20.0}]
)


@pytest.mark.parametrize(
    ("now", "found"),
    [
        ({"command_web_ms": 10.0, "plain_web_ms": 3.9}, ["command_web_ms by plain_web_ms"]),
        ({"command_web_ms": 15.0, "plain_web_ms": 7.0}, []),
        ({"list_per_s": 79.0}, ["list_per_s"]),
        ({"list_per_s": 81.0}, []),
        ({"list_per_s": 500.0, "memory_kib": 10.0}, []),
        ({"memory_kib": 26.0}, ["memory_kib"]),
        ({"burst_per_s": 1.0}, []),
    ],
    ids=["ratio", "slower machine", "rate", "noise", "better", "memory", "not in the baseline"],
)
def test_a_row_that_got_worse_is_named(now: dict[str, float], found: list[str]) -> None:
    problems = [*worse(summary([now]), BASELINE)]
    assert [problem.partition(":")[0] for problem in problems] == found
    assert TOLERANCE == 0.25  # of the cases above


@pytest.mark.parametrize("chunk", [1, 7, 1_000_000])
async def test_the_client_finds_the_frames_however_they_arrive(chunk: int) -> None:
    payloads = [b"a" * 5, b"b" * 300, b"c" * 70_000, b""]
    lengths = [b"\x05", b"\x7e\x01\x2c", b"\x7f" + (70_000).to_bytes(8, "big"), b"\x00"]
    data = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
    data += b"".join(
        b"\x81" + length + body for length, body in zip(lengths, payloads, strict=True)
    )
    received: list[bytes] = []
    socket = Socket(received.append)
    for at in range(0, len(data), chunk):
        socket.data_received(data[at : at + chunk])
    assert received == payloads
