"""Numbers of queries of the API. In each: one query for the user, two for the permissions."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from commands.tests.api.listing import COMMANDS, answered, make_command
from conftest import ReadDTC
from vehicles.models import Vehicle


@pytest.fixture
def queries(known: Any) -> Callable[..., int]:
    """Return the number of statements of a request of a user who is known."""

    def count(user: User, address: str, body: dict[str, Any] | None = None) -> int:
        client = known(user)
        with CaptureQueriesContext(connection) as captured:
            response = client.post(address, body) if body else client.get(address)
        assert response.status_code in {200, 201}
        return len(captured)

    return count


def test_the_queries_of_a_submission_are_counted(
    operator: User, vehicle: Vehicle, queries: Any
) -> None:
    """The vehicle, the pending commands, and one for command, event and audit entry."""
    assert queries(operator, COMMANDS, {"vehicle_id": str(vehicle.pk), **ReadDTC}) == 3


def test_the_number_of_queries_of_a_list_does_not_grow(
    operator: User, vehicle: Vehicle, queries: Any
) -> None:
    for rows in (1, 40):
        for _ in range(rows):
            make_command(operator, vehicle)
        assert queries(operator, COMMANDS) == 2


@pytest.mark.parametrize(("part", "count"), [("", 1), ("events/", 2), ("responses/", 2)])
def test_the_queries_of_one_command_are_counted(
    operator: User, vehicle: Vehicle, part: str, count: int, queries: Any
) -> None:
    command = answered(operator, vehicle)
    assert queries(operator, f"{COMMANDS}{command.pk}/{part}") == count
