"""Faults as different SOVD servers write them."""

from typing import Any

import pytest

from vehicles.connectors.sovd.connector import SovdConnector
from vehicles.tests.http_peer import reply
from vehicles.tests.sovd.hostile_server import ECU, ENGINE, FAULT, documents, peer, target
from vehicles.tests.targets import execute


@pytest.mark.parametrize(
    ("fault", "code", "raw", "status"),
    [
        ({"code": "042013", "status": {"confirmedDTC": "1"}}, "P0420-13", "042013", "0x08"),
        ({"code": "042013", "status": {"confirmed_dtc": True}}, "P0420-13", "042013", "0x08"),
        (
            {"code": "042013", "status": {"PENDINGDTC": 1, "mask": "FF"}},
            "P0420-13",
            "042013",
            "0x04",
        ),
        ({"code": "042013", "status": {"mask": "0x2f"}}, "P0420-13", "042013", "0x2F"),
        ({"code": "042013", "status": {"mask": 9}}, "P0420-13", "042013", "0x09"),
        ({"code": "c10000", "display_code": "U0100"}, "U0100-00", "C10000", "0x08"),
        ({"code": "9f1a2b", "display_code": "B1234"}, "B1234", "9F1A2B", "0x08"),
        ({"code": "7", "display_code": "p0420 13", "status": {}}, "P0420-13", None, "0x08"),
        ({"code": "P0420", "status": {"aggregatedStatus": "active"}}, "P0420", None, "0x09"),
        ({"fault_code": "P042013", "status": "PENDING"}, "P0420-13", None, "0x04"),
        ({"code": "LIDAR_BLIND", "status": "confirmed"}, "LIDAR_BLIND", None, "0x08"),
    ],
)
async def test_faults_of_every_dialect_are_read(
    connector: SovdConnector, fault: dict[str, Any], code: str, raw: str | None, status: str
) -> None:
    for body in ({"items": [fault]}, {"faults": [fault]}, [fault]):
        async with peer(documents({f"GET {ENGINE}/faults": reply(200, body)})) as hostile:
            read, _ = await execute(connector, target(hostile.origin), "ReadDTC", ECU)

        response = read.response
        assert (response["dtcCode"], response.get("dtcRaw"), response["status"]) == (
            code,
            raw,
            status,
        )


@pytest.mark.parametrize("status", ["cleared", "healed"])
async def test_a_fault_that_is_over_is_not_told(connector: SovdConnector, status: str) -> None:
    faults = reply(200, {"items": [FAULT | {"status": {"aggregatedStatus": status}}]})
    async with peer(documents({f"GET {ENGINE}/faults": faults})) as hostile:
        [summary] = await execute(connector, target(hostile.origin), "ReadDTC", ECU)

    assert summary.response["dtcCount"] == 0
