import asyncio
import json
import selectors
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import override_settings

from vehicles.connector import Answer, Connector, VehicleError
from vehicles.mock_vehicle import DTC_CANDIDATES, DTC_DESCRIPTIONS, MockVehicle

ENGINE = {"ecuAddress": "0x10"}
TRANSMISSION = {"ecuAddress": "0x18"}
AN_HOUR = 3600


@dataclass(frozen=True)
class DemoVehicle:
    vin: str = "1HGBH41JXMN109186"
    metadata: Any = None
    vehicle_id: UUID = field(default_factory=uuid4)


class SkippingSelector(selectors.DefaultSelector):
    """Counts the time that a loop wants to wait, instead of waiting."""

    skipped_seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.skipped_seconds += timeout or 0
        return super().select(0)


class SkippingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.clock = SkippingSelector()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.skipped_seconds


def seconds_taken(execution: Coroutine[Any, Any, Any]) -> float:
    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        runner.run(asyncio.wait_for(execution, AN_HOUR))
        return runner.get_loop().time()


async def execute(
    connector: Connector,
    command_name: str,
    params: Mapping[str, Any],
    vehicle: DemoVehicle | None = None,
) -> list[Answer]:
    answers = connector.execute(vehicle or DemoVehicle(), command_name, params)
    return [answer async for answer in answers]


async def responses(
    connector: Connector,
    command_name: str,
    params: Mapping[str, Any],
    vehicle: DemoVehicle | None = None,
) -> list[dict[str, Any]]:
    return [answer.response for answer in await execute(connector, command_name, params, vehicle)]


async def stored_codes(
    connector: Connector, params: Mapping[str, Any], vehicle: DemoVehicle | None = None
) -> list[str]:
    *trouble_codes, _ = await responses(connector, "ReadDTC", params, vehicle)
    return [trouble_code["dtcCode"] for trouble_code in trouble_codes]


async def refusal(
    connector: Connector, command_name: str, params: Mapping[str, Any]
) -> VehicleError:
    with pytest.raises(VehicleError) as caught:
        await execute(connector, command_name, params)
    return caught.value


# ReadDTC


async def test_read_dtc_streams_the_stored_codes_and_then_a_summary() -> None:
    *trouble_codes, summary = await responses(MockVehicle(), "ReadDTC", ENGINE)

    assert {trouble_code["type"] for trouble_code in trouble_codes} == {"dtc"}
    assert summary == {
        "type": "summary",
        "ecuAddress": "0x10",
        "dtcCount": len(trouble_codes),
    }


@pytest.mark.parametrize("ecu_address", DTC_CANDIDATES)
@pytest.mark.parametrize("seed", range(5))
async def test_every_known_ecu_has_two_to_four_codes_at_first(seed: int, ecu_address: str) -> None:
    codes = await stored_codes(MockVehicle(seed=seed), {"ecuAddress": ecu_address})

    assert 2 <= len(set(codes)) == len(codes) <= 4


@pytest.mark.parametrize("seed", range(5))
async def test_the_engine_always_has_its_catalyst_code(seed: int) -> None:
    assert "P0420" in await stored_codes(MockVehicle(seed=seed), ENGINE)


async def test_a_trouble_code_says_what_it_is_and_in_which_state() -> None:
    everything = [
        trouble_code
        for seed in range(20)
        for trouble_code in (await responses(MockVehicle(seed=seed), "ReadDTC", ENGINE))[:-1]
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

    assert await responses(MockVehicle(), "ReadDTC", {"ecuAddress": "0x7f"}) == [nothing]


# ClearDTC


async def test_cleared_codes_stay_cleared_on_that_ecu_only() -> None:
    mock = MockVehicle()
    count = len(await stored_codes(mock, ENGINE))
    transmission_codes = await stored_codes(mock, TRANSMISSION)

    assert await responses(mock, "ClearDTC", ENGINE) == [
        {"type": "cleared", "ecuAddress": "0x10", "clearedCount": count}
    ]

    assert await stored_codes(mock, ENGINE) == []
    assert await stored_codes(mock, TRANSMISSION) == transmission_codes


async def test_clearing_again_clears_nothing() -> None:
    mock = MockVehicle()
    await execute(mock, "ClearDTC", ENGINE)

    [cleared] = await responses(mock, "ClearDTC", ENGINE)

    assert cleared["clearedCount"] == 0


async def test_clearing_one_code_leaves_the_others() -> None:
    mock = MockVehicle()
    codes = await stored_codes(mock, ENGINE)

    assert await responses(mock, "ClearDTC", ENGINE | {"dtcCode": "P0420"}) == [
        {"type": "cleared", "ecuAddress": "0x10", "dtcCode": "P0420", "clearedCount": 1}
    ]

    assert await stored_codes(mock, ENGINE) == [code for code in codes if code != "P0420"]


async def test_clearing_a_code_that_is_not_stored_is_refused() -> None:
    mock = MockVehicle()
    await execute(mock, "ClearDTC", ENGINE | {"dtcCode": "P0420"})
    codes = await stored_codes(mock, ENGINE)

    error = await refusal(mock, "ClearDTC", ENGINE | {"dtcCode": "P0420"})

    assert error.error_code == "vehicle_refused"
    assert "NRC 0x31 requestOutOfRange" in str(error)
    assert "P0420" in str(error)
    assert await stored_codes(mock, ENGINE) == codes


async def test_vehicles_are_cleared_one_by_one() -> None:
    mock, other = MockVehicle(), DemoVehicle(vin="1M8GDM9AXKP042788")
    codes = await stored_codes(mock, ENGINE, other)

    await execute(mock, "ClearDTC", ENGINE)

    assert await stored_codes(mock, ENGINE, other) == codes


async def test_a_clear_that_is_cancelled_before_its_answer_cleared_nothing() -> None:
    mock = MockVehicle(latency_seconds=AN_HOUR)
    await cancel_once_waiting(execute(mock, "ClearDTC", ENGINE))
    mock.latency_seconds = 0

    assert "P0420" in await stored_codes(mock, ENGINE)


async def cancel_once_waiting(execution: Coroutine[Any, Any, Any]) -> None:
    task = asyncio.create_task(execution)
    for _ in range(10):
        await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# ReadDataByID


MEASURED: list[tuple[str, str, str, int, Callable[[int], float]]] = [
    ("0x010C", "Engine speed", "rpm", 4, lambda raw: raw / 4),
    ("0x010D", "Vehicle speed", "km/h", 2, lambda raw: raw),
    ("0x0105", "Coolant temperature", "°C", 2, lambda raw: raw - 40),
]


@pytest.mark.parametrize(("data_id", "name", "unit", "raw_digits", "decode"), MEASURED)
async def test_a_measured_value_belongs_to_its_raw_bytes(
    data_id: str, name: str, unit: str, raw_digits: int, decode: Callable[[int], float]
) -> None:
    reading, data = await responses(MockVehicle(), "ReadDataByID", ENGINE | {"dataId": data_id})

    assert reading == {"type": "reading", "ecuAddress": "0x10", "dataId": data_id}
    raw = data.pop("raw")
    assert len(raw) == raw_digits
    assert data == {
        "type": "data",
        "dataId": data_id,
        "name": name,
        "value": decode(int(raw, 16)),
        "unit": unit,
    }


@pytest.mark.parametrize(
    ("data_id", "name", "value"),
    [
        ("0xF187", "Spare part number", "MOCK-10-0001"),
        ("0xF189", "Software version", "1.4.2"),
        ("0xF18C", "ECU serial number", "10MN109186"),
        ("0xF190", "VIN", "1HGBH41JXMN109186"),
    ],
)
async def test_an_identification_is_text(data_id: str, name: str, value: str) -> None:
    _, data = await responses(MockVehicle(), "ReadDataByID", ENGINE | {"dataId": data_id})

    assert data == {
        "type": "data",
        "dataId": data_id,
        "name": name,
        "value": value,
        "unit": "",
        "raw": value.encode("ascii").hex().upper(),
    }


async def test_case_does_not_matter_in_identifiers() -> None:
    params = {"ecuAddress": "0xaB", "dataId": "0xf190"}

    reading, data = await responses(MockVehicle(), "ReadDataByID", params)

    assert reading == {"type": "reading", "ecuAddress": "0xAB", "dataId": "0xF190"}
    assert data["dataId"] == "0xF190"


async def test_an_unknown_data_identifier_is_refused() -> None:
    error = await refusal(MockVehicle(), "ReadDataByID", ENGINE | {"dataId": "0x1234"})

    assert error.error_code == "vehicle_refused"
    assert "NRC 0x31 requestOutOfRange" in str(error)
    assert "0x1234" in str(error)


# Any command


async def test_a_command_that_the_mock_does_not_know_gets_a_generic_answer() -> None:
    assert await execute(MockVehicle(), "FlashLights", {"times": 3}) == [
        Answer(
            {"type": "generic", "command_name": "FlashLights", "params": {"times": 3}},
            is_final=True,
        )
    ]


@pytest.mark.parametrize(
    ("command_name", "params"),
    [
        ("ReadDTC", ENGINE),
        ("ClearDTC", ENGINE),
        ("ClearDTC", ENGINE | {"dtcCode": "P0420"}),
        ("ReadDataByID", ENGINE | {"dataId": "0x010C"}),
        ("FlashLights", {}),
    ],
)
async def test_the_last_answer_alone_is_final(command_name: str, params: dict[str, Any]) -> None:
    *earlier, last = await execute(MockVehicle(), command_name, params)

    assert last.is_final
    assert not any(answer.is_final for answer in earlier)


@pytest.mark.parametrize(
    ("command_name", "params"),
    [("ReadDTC", ENGINE), ("ReadDataByID", ENGINE | {"dataId": "0x010C"})],
)
async def test_the_seed_decides_on_codes_and_values(
    command_name: str, params: dict[str, Any]
) -> None:
    async def history(seed: int) -> list[Any]:
        mock = MockVehicle(seed=seed)
        return [await responses(mock, command_name, params) for _ in range(5)]

    assert await history(seed=7) == await history(seed=7)
    assert await history(seed=7) != await history(seed=8)


async def test_trouble_codes_are_the_same_in_every_process_without_a_seed_too() -> None:
    assert await responses(MockVehicle(), "ReadDTC", ENGINE) == await responses(
        MockVehicle(), "ReadDTC", ENGINE
    )


async def test_vehicles_differ_in_their_codes() -> None:
    fleet = [DemoVehicle(vin=f"1HGBH41JXMN10918{digit}") for digit in range(10)]

    codes = [await stored_codes(MockVehicle(seed=7), ENGINE, vehicle) for vehicle in fleet]

    assert len(set(map(tuple, codes))) > 1


# Latency and faults


@pytest.mark.parametrize(
    ("command_name", "params", "answer_count"),
    [
        ("ClearDTC", ENGINE, 1),
        ("ReadDataByID", ENGINE | {"dataId": "0x010C"}, 2),
    ],
)
def test_every_answer_takes_its_latency(
    command_name: str, params: dict[str, Any], answer_count: int
) -> None:
    execution = execute(MockVehicle(latency_seconds=0.5), command_name, params)

    assert seconds_taken(execution) == pytest.approx(0.5 * answer_count)


def test_a_timeout_never_answers() -> None:
    with pytest.raises(TimeoutError):
        seconds_taken(execute(MockVehicle(timeout_rate=1), "ReadDTC", ENGINE))


async def test_a_timeout_can_be_cancelled_and_changes_nothing() -> None:
    mock = MockVehicle(timeout_rate=1)
    await cancel_once_waiting(execute(mock, "ClearDTC", ENGINE))
    mock.timeout_rate = 0

    assert "P0420" in await stored_codes(mock, ENGINE)


def test_an_unreachable_vehicle_says_so_at_once() -> None:
    async def reach() -> None:
        error = await refusal(mock, "ReadDTC", ENGINE)
        assert error.error_code == "vehicle_unreachable"
        assert "cannot be reached" in str(error)

    mock = MockVehicle(unreachable_rate=1, latency_seconds=10)
    assert seconds_taken(reach()) == 0


async def test_a_malformed_answer_is_nothing_that_can_be_stored() -> None:
    mock = MockVehicle(malformed_rate=1, seed=7)

    answers = [await execute(mock, "ReadDTC", ENGINE) for _ in range(50)]

    assert all(len(only) == 1 and only[0].is_final for only in answers)
    assert not any(can_be_stored(only[0].response) for only in answers)
    assert len({repr(only[0].response) for only in answers}) > 3


def can_be_stored(response: object) -> bool:
    """As Postgres' jsonb sees it."""
    try:
        text = json.dumps(response, allow_nan=False, ensure_ascii=False).encode().decode()
    except (TypeError, ValueError):
        return False
    return isinstance(response, dict) and r"\u0000" not in text


async def test_a_rate_between_hits_some_commands_in_the_same_order_for_a_seed() -> None:
    async def faults(mock: MockVehicle) -> list[bool]:
        return [await is_unreachable(mock) for _ in range(50)]

    hits = await faults(MockVehicle(unreachable_rate=0.5, seed=7))

    assert {True, False} == set(hits)
    assert hits == await faults(MockVehicle(unreachable_rate=0.5, seed=7))


async def is_unreachable(mock: MockVehicle) -> bool:
    try:
        await execute(mock, "ReadDTC", ENGINE)
    except VehicleError:
        return True
    return False


@override_settings(
    MOCK_VEHICLE_LATENCY_SECONDS=0.25,
    MOCK_VEHICLE_TIMEOUT_RATE=0.1,
    MOCK_VEHICLE_UNREACHABLE_RATE=0.2,
    MOCK_VEHICLE_MALFORMED_RATE=0.3,
    MOCK_VEHICLE_SEED=42,
)
def test_the_settings_reach_the_mock() -> None:
    mock = MockVehicle.from_settings()

    assert mock.latency_seconds == 0.25
    assert mock.timeout_rate == 0.1
    assert mock.unreachable_rate == 0.2
    assert mock.malformed_rate == 0.3
    assert mock.seed == 42
