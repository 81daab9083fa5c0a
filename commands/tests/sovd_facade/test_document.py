"""The capability description of a vehicle."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from openapi_spec_validator import validate

from commands.tests.sovd_facade.caller import Caller
from vehicles.models import Vehicle


@pytest.fixture
def caller(operator: User, vehicle: Vehicle) -> Caller:
    return Caller(operator, vehicle)


async def described(caller: Caller, below: str = "") -> dict[str, Any]:
    response = await caller.get(f"{below}/docs")
    assert response.status_code == 200
    document: dict[str, Any] = response.json()
    return document


async def test_it_is_a_valid_openapi_document(caller: Caller, vehicle: Vehicle) -> None:
    document = await described(caller)
    validate(document)
    assert document["openapi"] == "3.1.0"
    assert document["servers"] == [{"url": f"/sovd/{vehicle.vin}/v1"}]
    assert document["info"]["x-sovd-version"]
    assert not [path for path in document["paths"] if "version-info" in path]


async def test_each_address_describes_what_lies_below_it(caller: Caller) -> None:
    whole = await described(caller)
    for below in ("/components", "/components/0x10", "/components/0x10/data", "/areas"):
        part = await described(caller, below)
        expected = {path for path in whole["paths"] if f"{path}/".startswith(f"{below}/")}
        assert part["paths"].keys() == expected
        validate(part)


async def test_every_described_read_is_there(caller: Caller) -> None:
    """Without a worker: a read of the vehicle is not waited for."""
    paths = (await described(caller, "/components/0x10"))["paths"]
    for path in [path for path, item in paths.items() if "get" in item and "{" not in path]:
        response = await caller.get(f"{path}?timeout=0.01")
        assert response.status_code in (200, 504), path
