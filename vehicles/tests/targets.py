"""Vehicles as a connector sees them, for tests: no rows, and an attempt that keeps its evidence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from vehicles.connectors.base import Connector, Exchange, Response, VehicleError

VIN = "1M8GDM9AXKP042788"


@dataclass(frozen=True)
class TargetEcu:
    address: str
    name: str = ""
    logical_address: str = ""
    component: str = ""

    def length_of(self, data_id: int) -> int | None:
        """Return nothing: there is no description."""


@dataclass(frozen=True)
class Target:
    vin: str = VIN
    connector: str = "doip"
    connector_settings: Mapping[str, Any] = field(default_factory=dict)
    connector_secrets: Mapping[str, Any] = field(default_factory=dict)
    configured_ecus: Sequence[TargetEcu] = ()
    metadata: Any = None
    vehicle_id: UUID = field(default_factory=uuid4)


@dataclass
class KeptAttempt:
    """The part of a worker that a connector sees."""

    announced: list[list[str] | None] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)

    async def about_to_send(self, before: list[str] | None = None) -> None:
        self.announced.append(before)

    def record(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)

    @property
    def requests(self) -> list[str]:
        return [exchange.request for exchange in self.exchanges]


async def execute(
    connector: Connector,
    vehicle: Target,
    command_name: str,
    params: Mapping[str, Any],
    attempt: KeptAttempt | None = None,
) -> list[Response]:
    attempt = attempt or KeptAttempt()
    return [
        response async for response in connector.execute(vehicle, command_name, params, attempt)
    ]


async def failure(
    connector: Connector,
    vehicle: Target,
    command_name: str,
    params: Mapping[str, Any],
    attempt: KeptAttempt | None = None,
) -> VehicleError:
    """Return the error that a command ends with."""
    try:
        responses = await execute(connector, vehicle, command_name, params, attempt)
    except VehicleError as error:
        return error
    raise AssertionError(f"{command_name} did not fail: {responses}")


MOCKED = Target(vin="1HGBH41JXMN109186", connector="mock")


async def responses(
    connector: Connector, command_name: str, params: Mapping[str, Any], target: Target = MOCKED
) -> list[dict[str, Any]]:
    executed = await execute(connector, target, command_name, params)
    return [response.response for response in executed]


async def stored_codes(
    connector: Connector, params: Mapping[str, Any], target: Target = MOCKED
) -> list[str]:
    *trouble_codes, _ = await responses(connector, "ReadDTC", params, target)
    return [trouble_code["dtcCode"] for trouble_code in trouble_codes]


async def refusal(connector: Connector, command_name: str, params: Mapping[str, Any]) -> str:
    """Return the message with which the vehicle refuses the command."""
    error = await failure(connector, MOCKED, command_name, params)
    assert (error.error_code, error.is_certain) == ("vehicle_refused", True)
    return str(error)
