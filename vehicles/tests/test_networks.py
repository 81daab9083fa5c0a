from ipaddress import ip_network

import pytest
from django.test import override_settings

from vehicles.connectors.base import VehicleError
from vehicles.connectors.networks import allowed_addresses

ONE_NETWORK = override_settings(CONNECTOR_ALLOWED_NETWORKS=[ip_network("10.20.0.0/16")])


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "169.254.0.1"]
)
async def test_link_local_addresses_are_not_allowed_by_default(host: str) -> None:
    with pytest.raises(VehicleError, match="CONNECTOR_ALLOWED_NETWORKS") as caught:
        await allowed_addresses(host)

    assert caught.value.error_code == "vehicle_unreachable"


@pytest.mark.parametrize("host", ["127.0.0.1", "192.168.0.10", "2001:db8::1"])
async def test_every_other_address_is_allowed_by_default(host: str) -> None:
    assert await allowed_addresses(host) == [host]


@ONE_NETWORK
async def test_named_networks_allow_nothing_else() -> None:
    assert await allowed_addresses("10.20.3.4") == ["10.20.3.4"]
    with pytest.raises(VehicleError):
        await allowed_addresses("10.21.0.1")


@ONE_NETWORK
async def test_a_name_is_resolved_before_it_is_checked() -> None:
    with pytest.raises(VehicleError, match=r"127\.0\.0\.1|::1"):
        await allowed_addresses("localhost")


@pytest.mark.parametrize("host", ["no-such-vehicle.invalid", "a" * 64 + ".invalid", "..", "x%y"])
async def test_a_name_without_address_is_unreachable(host: str) -> None:
    with pytest.raises(VehicleError, match="has no address") as caught:
        await allowed_addresses(host)

    assert caught.value.error_code == "vehicle_unreachable"
