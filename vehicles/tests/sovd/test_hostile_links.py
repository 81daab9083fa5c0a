"""Links of a SOVD server that lead elsewhere."""

import pytest

from vehicles.connectors.sovd.connector import SovdConnector
from vehicles.tests.http_peer import reply
from vehicles.tests.sovd.hostile_server import (
    BASE,
    CAPABILITIES,
    ECU,
    ENGINE,
    ROOT,
    documents,
    peer,
    target,
)
from vehicles.tests.targets import KeptAttempt, execute, failure

LINKS = [
    "http://127.0.0.1:1/v1/components/engine",
    "https://192.0.2.1/v1/faults",
    "//192.0.2.1/v1/faults",
    "http://[::1]/v1",
    "file:///etc/passwd",
    "http://user:secret@192.0.2.1/",
    "http://[nonsense",
    "http://" + "a" * 5000,
]


@pytest.mark.parametrize("link", LINKS)
async def test_a_link_to_another_server_is_not_followed(
    connector: SovdConnector, link: str
) -> None:
    entity = reply(200, CAPABILITIES | {"faults": link})
    component = reply(200, {"items": [{"id": "engine", "href": link}]})
    root = reply(200, ROOT | {"components": link})
    version = reply(200, {"sovd_info": [{"version": "1.1.0", "base_uri": link}]})
    for place, answer in (
        (f"GET {ENGINE}", entity),
        (f"GET {BASE}/components", component),
        (f"GET {BASE}/", root),
        ("GET /version-info", version),
    ):
        async with peer(documents({place: answer})) as hostile:
            error = await failure(connector, target(hostile.origin), "ReadDTC", ECU)

        assert error.error_code == "malformed_answer"
        assert str(hostile.requests[-1]) == place


@pytest.mark.parametrize("link", LINKS)
async def test_a_location_elsewhere_leaves_the_outcome_of_an_operation_open(
    connector: SovdConnector, link: str
) -> None:
    operation = f"{ENGINE}/operations/0x0203"
    changes: dict[str, bytes | None] = {
        f"GET {ENGINE}/operations": reply(200, {"items": [{"id": "0x0203"}]}),
        f"POST {operation}/executions": reply(202, {"status": "running"}, Location=link),
    }
    attempt = KeptAttempt()
    params = ECU | {"routineId": "0x0203", "action": "start"}
    async with peer(documents(changes)) as hostile:
        error = await failure(connector, target(hostile.origin), "RoutineControl", params, attempt)

    assert (error.error_code, error.is_certain) == ("malformed_answer", False)
    assert len(attempt.announced) == 1
    assert str(hostile.requests[-1]) == f"DELETE {ENGINE}/locks/1"


async def test_a_lock_with_a_location_elsewhere_is_released_by_its_id(
    connector: SovdConnector,
) -> None:
    lock = reply(201, {"id": "1"}, Location="http://192.0.2.1/locks/1")
    async with peer(documents({f"POST {ENGINE}/locks": lock})) as hostile:
        await execute(connector, target(hostile.origin), "ClearDTC", ECU)

    assert str(hostile.requests[-1]) == f"DELETE {ENGINE}/locks/1"
