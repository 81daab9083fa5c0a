"""Trouble codes of simulated vehicles: read, cleared, and with snapshots."""

import pytest

from vehicles.connectors.dtc import DTC_DESCRIPTIONS
from vehicles.connectors.mock import DTC_CANDIDATES, MockConnector
from vehicles.tests.targets import MOCKED, Target, execute, refusal, responses, stored_codes

ENGINE = {"ecuAddress": "0x10"}
TRANSMISSION = {"ecuAddress": "0x18"}
P0420 = ENGINE | {"dtcCode": "P0420"}


# ReadDTC


async def test_read_dtc_streams_the_stored_codes_and_then_a_summary() -> None:
    *trouble_codes, summary = await responses(MockConnector(), "ReadDTC", ENGINE)

    assert {trouble_code["type"] for trouble_code in trouble_codes} == {"dtc"}
    assert summary == {
        "type": "summary",
        "ecuAddress": "0x10",
        "dtcCount": len(trouble_codes),
    }


@pytest.mark.parametrize("ecu_address", DTC_CANDIDATES)
@pytest.mark.parametrize("seed", range(5))
async def test_every_known_ecu_has_two_to_four_codes_at_first(seed: int, ecu_address: str) -> None:
    codes = await stored_codes(MockConnector(seed=seed), {"ecuAddress": ecu_address})

    assert 2 <= len(set(codes)) == len(codes) <= 4


@pytest.mark.parametrize("seed", range(5))
async def test_the_engine_always_has_its_catalyst_code(seed: int) -> None:
    assert "P0420" in await stored_codes(MockConnector(seed=seed), ENGINE)


async def test_a_trouble_code_says_what_it_is_and_in_which_state() -> None:
    everything = [
        trouble_code
        for seed in range(20)
        for trouble_code in (await responses(MockConnector(seed=seed), "ReadDTC", ENGINE))[:-1]
    ]

    failing_now = next(dtc for dtc in everything if dtc["status"] == "0x2F")
    assert failing_now == {
        "type": "dtc",
        "ecuAddress": "0x10",
        "dtcCode": failing_now["dtcCode"],
        "description": DTC_DESCRIPTIONS[failing_now["dtcCode"]],
        "status": "0x2F",
        "statusBits": [
            "testFailed",
            "testFailedThisOperationCycle",
            "pendingDTC",
            "confirmedDTC",
            "testFailedSinceLastClear",
        ],
        "confirmed": True,
    }
    pending_only = next(dtc for dtc in everything if dtc["status"] == "0x24")
    assert pending_only["statusBits"] == ["pendingDTC", "testFailedSinceLastClear"]
    assert pending_only["confirmed"] is False


def test_every_code_that_may_be_stored_has_a_description() -> None:
    candidates = {code for codes in DTC_CANDIDATES.values() for code in codes}

    assert candidates == DTC_DESCRIPTIONS.keys()


async def test_an_unknown_ecu_answers_with_no_codes() -> None:
    nothing = {"type": "summary", "ecuAddress": "0x7F", "dtcCount": 0}

    assert await responses(MockConnector(), "ReadDTC", {"ecuAddress": "0x7f"}) == [nothing]


async def test_a_status_mask_leaves_out_codes_that_have_none_of_its_bits() -> None:
    for seed in range(10):
        mock = MockConnector(seed=seed)
        *codes, _ = await responses(mock, "ReadDTC", ENGINE)
        *confirmed, summary = await responses(mock, "ReadDTC", ENGINE | {"statusMask": "0x08"})

        assert confirmed == [code for code in codes if code["confirmed"]]
        assert summary["dtcCount"] == len(confirmed)


# ClearDTC


async def test_cleared_codes_stay_cleared_on_that_ecu_only() -> None:
    mock = MockConnector()
    codes = await stored_codes(mock, ENGINE)
    transmission_codes = await stored_codes(mock, TRANSMISSION)

    assert await responses(mock, "ClearDTC", ENGINE) == [
        {
            "type": "cleared",
            "ecuAddress": "0x10",
            "clearedCount": len(codes),
            "before": codes,
            "remaining": [],
            "verified": True,
        }
    ]

    assert await stored_codes(mock, ENGINE) == []
    assert await stored_codes(mock, TRANSMISSION) == transmission_codes


async def test_clearing_again_clears_nothing() -> None:
    mock = MockConnector()
    await execute(mock, MOCKED, "ClearDTC", ENGINE)

    [cleared] = await responses(mock, "ClearDTC", ENGINE)

    assert cleared["clearedCount"] == 0


async def test_clearing_one_code_leaves_the_others() -> None:
    mock = MockConnector()
    codes = await stored_codes(mock, ENGINE)

    others = [code for code in codes if code != "P0420"]

    assert await responses(mock, "ClearDTC", P0420) == [
        {
            "type": "cleared",
            "ecuAddress": "0x10",
            "dtcCode": "P0420",
            "clearedCount": 1,
            "before": codes,
            "remaining": others,
            "verified": True,
        }
    ]

    assert await stored_codes(mock, ENGINE) == others


async def test_clearing_a_code_that_is_not_stored_is_refused() -> None:
    mock = MockConnector()
    await execute(mock, MOCKED, "ClearDTC", P0420)
    codes = await stored_codes(mock, ENGINE)

    message = await refusal(mock, "ClearDTC", P0420)

    assert message.startswith("NRC 0x31 requestOutOfRange: ECU 0x10 has no trouble code P0420")
    assert await stored_codes(mock, ENGINE) == codes


async def test_vehicles_are_cleared_one_by_one() -> None:
    mock, other = MockConnector(), Target(vin="1M8GDM9AXKP042788", connector="mock")
    codes = await stored_codes(mock, ENGINE, other)

    await execute(mock, MOCKED, "ClearDTC", ENGINE)

    assert await stored_codes(mock, ENGINE, other) == codes


# ReadDTCSnapshot


async def test_a_snapshot_has_the_values_of_when_the_code_was_stored() -> None:
    mock = MockConnector()

    [snapshot] = await responses(mock, "ReadDTCSnapshot", P0420)

    data = snapshot.pop("data")
    assert snapshot == {
        "type": "snapshot",
        "ecuAddress": "0x10",
        "dtcCode": "P0420",
        "recordNumber": 1,
    }
    assert [each["dataId"] for each in data] == ["0x0105", "0x010C", "0x010D"]
    assert all(each.keys() == {"dataId", "name", "value", "unit", "raw"} for each in data)
    assert await responses(mock, "ReadDTCSnapshot", P0420) == [snapshot | {"data": data}]


@pytest.mark.parametrize(("record", "is_there"), [(1, True), (255, True), (0, False), (2, False)])
async def test_a_snapshot_can_be_read_by_its_number(record: int, is_there: bool) -> None:
    params = P0420 | {"recordNumber": record}
    if is_there:
        [snapshot] = await responses(MockConnector(), "ReadDTCSnapshot", params)
        assert snapshot["recordNumber"] == 1
    else:
        message = await refusal(MockConnector(), "ReadDTCSnapshot", params)
        assert message.startswith(f"NRC 0x31 requestOutOfRange: ECU 0x10 has no snapshot {record}")


async def test_a_code_that_was_cleared_has_no_snapshot() -> None:
    mock = MockConnector()
    await execute(mock, MOCKED, "ClearDTC", ENGINE)

    assert "no trouble code P0420" in await refusal(mock, "ReadDTCSnapshot", P0420)
