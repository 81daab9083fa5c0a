"""The campaign in short, and the proof that it can see: it must fail on every broken product."""

import subprocess
import sys
from pathlib import Path

import pytest

from dev.chaos import nemesis

ROOT = Path(__file__).resolve().parent.parent.parent
WEB, WORKERS = ("web-1", "web-2"), ("worker-1", "worker-2", "worker-3")
LONGEST_SECONDS = 400

# By variant: the promise that it is first to break.
BROKEN = {
    "forwards_without_replay": "streams that",
    "claims_without_guard": "moves that there are not",
    "writes_without_fence": "lost the claim",
    "repeats_what_must_not_be": "asked twice",
    "never_renews": "claims taken from who was alive",
    "rings_before_the_commit": "streams that differ from their log",
    "clears_the_bell_after_reading": "streams that stood still",
}

SEED = "89"  # pauses three workers beyond their leases
SEEDS = {"never_renews": "3111"}  # leaves the slow worker alone, so that nothing else excuses it


def campaign(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dev.chaos", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=LONGEST_SECONDS, check=False
    )


def test_a_short_campaign() -> None:
    """Of a seed whose schedule has one of everything; `make chaos` draws another each time."""
    ended = campaign("--commands", "150", "--seconds", "20", "--seed", "12")
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("variant", BROKEN)
def test_a_broken_product_is_seen(variant: str) -> None:
    arguments = ("--commands", "400", "--seconds", "40", "--seed", SEEDS.get(variant, SEED))
    ended = campaign(*arguments, "--variant", variant)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    *_, found = ended.stdout.partition("\n\n")
    assert any(BROKEN[variant] in line and line.endswith(":") for line in found.splitlines()), found


def test_the_same_seed_is_the_same_schedule() -> None:
    first, again, other = (nemesis.schedule(seed, 90, WEB, WORKERS) for seed in (1, 1, 2))
    assert first == again != other


def test_a_long_campaign_has_enough_of_everything() -> None:
    steps = nemesis.schedule(1, 900, WEB, WORKERS)
    count = {
        (action, server): sum(s.action == action and s.target.startswith(server) for s in steps)
        for action in ("kill", "pause", "drain", "flush", "forge")
        for server in ("worker", "web", "valkey", "postgres", "doorbells")
    }
    assert count["kill", "worker"] >= 20
    assert count["kill", "valkey"] >= 10
    assert count["flush", "valkey"] >= 2
    assert count["kill", "postgres"] >= 5
    assert count["kill", "web"] >= 5
    assert min(count["pause", "worker"], count["drain", "worker"]) >= 2
    assert count["forge", "doorbells"] >= 2


@pytest.mark.parametrize("seed", range(20))
def test_nothing_happens_to_what_is_away_and_all_comes_back(seed: int) -> None:
    away: set[str] = set()
    for step in nemesis.schedule(seed, 300, WEB, WORKERS):
        if step.action in nemesis.BACK:
            assert step.target not in away
            away.add(step.target)
        elif step.action in nemesis.BACK.values():
            away.remove(step.target)
        else:
            assert step.target not in away
    assert not away
