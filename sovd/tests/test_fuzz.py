"""What nobody thought of, at a live server. `make fuzz` sends more than the tests do."""

import os
import re
from pathlib import Path

from sovd.tests.live import Live
from sovd.tests.processes import tool

# It wants more than a schema can say: that a vehicle exists, that a text holds no NUL.
NOT = "positive_data_acceptance"


def test_the_api_is_what_its_schema_says(live: Live, tmp_path: Path, counts: list[str]) -> None:
    examples = os.environ.get("FUZZ_EXAMPLES", "4")
    ended = tool(
        "schemathesis",
        "run",
        f"http://127.0.0.1:{live.port}/api/schema/",
        *("--header", f"Authorization: Bearer {live.token}"),
        *("--checks", "all", "--exclude-checks", NOT),
        *("--max-examples", examples, "--seed", "20260301", "--generation-database", "none"),
        *("--phases", "examples,coverage,fuzzing", "--no-color", "--warnings", "off"),
        cwd=tmp_path,
        seconds=300,
    )
    assert ended.exit_code == 0, ended.output
    assert (live.errors(), live.dead()) == ([], [])
    (generated,) = re.findall(r"(\d+) generated", ended.output)
    counts.append(f"{generated} schemathesis cases, none beside the schema")
