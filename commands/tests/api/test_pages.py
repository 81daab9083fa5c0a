"""Pages of the list of commands: every row once, whatever arrives meanwhile."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from commands.models import Command, Status
from commands.tests.api.listing import COMMANDS, HOUR, NOON, ids, listed, make_command
from conftest import api, submit
from vehicles.models import Vehicle


@pytest.mark.parametrize(
    ("query", "count"), [("page_size=1", 1), ("page_size=50", 50), ("page_size=500", 60), ("", 50)]
)
def test_the_page_size_is_limited(operator: User, vehicle: Vehicle, query: str, count: int) -> None:
    for _ in range(60):
        make_command(operator, vehicle)
    assert len(listed(operator, query)) == count


def follow_links(client: APIClient, address: str, link: str = "next") -> list[dict[str, Any]]:
    pages = []
    while address:
        response = client.get(address)
        assert response.status_code == 200, response.content
        pages.append(response.json())
        assert len(pages) < 100, "the pages go round in a circle"
        address = pages[-1][link]
    return pages


def rows_of(pages: list[dict[str, Any]]) -> list[str]:
    return [command_id for page in pages for command_id in ids(page["results"])]


SPACINGS = {
    "all apart": [NOON + n * HOUR for n in range(11)],
    "all at once": [NOON] * 11,
    "in clusters": [NOON + (n // 4) * HOUR for n in range(11)],
}


@pytest.mark.embedded
@pytest.mark.parametrize("ordering", ["-submitted_at", "submitted_at"])
@pytest.mark.parametrize("spacing", SPACINGS)
def test_every_row_comes_once_forwards_and_backwards(
    operator: User, vehicle: Vehicle, spacing: str, ordering: str
) -> None:
    for at in SPACINGS[spacing]:
        make_command(operator, vehicle, at)
    order = [ordering, ordering.replace("submitted_at", "command_id")]
    expected = [str(pk) for pk in Command.objects.order_by(*order).values_list("pk", flat=True)]

    client = api(operator)
    pages = follow_links(client, f"{COMMANDS}?page_size=3&ordering={ordering}")
    assert rows_of(pages) == expected
    back = follow_links(client, pages[-1]["previous"], "previous")
    assert [ids(page["results"]) for page in back] == [ids(p["results"]) for p in pages[-2::-1]]
    assert [page["next"] for page in back] == [page["next"] for page in pages[-2::-1]]


@pytest.mark.embedded
@pytest.mark.parametrize("ordering", ["-submitted_at", "submitted_at"])
def test_a_cursor_has_the_exact_instants_of_the_database(
    operator: User, vehicle: Vehicle, ordering: str
) -> None:
    """Instants are from the database's clock or from Python, and may be whole seconds."""
    by_clock = [submit(operator, vehicle) for _ in range(3)]
    for at in (*(command.submitted_at for command in by_clock), NOON, NOON):
        make_command(operator, vehicle, at)
    pages = follow_links(api(operator), f"{COMMANDS}?page_size=1&ordering={ordering}")
    order = [ordering, ordering.replace("submitted_at", "command_id")]
    expected = Command.objects.order_by(*order).values_list("pk", flat=True)
    assert rows_of(pages) == [str(pk) for pk in expected]
    assert len(set(rows_of(pages))) == 8


@pytest.mark.parametrize("spacing", SPACINGS)
def test_rows_that_arrive_between_pages_push_no_other_row(
    operator: User, vehicle: Vehicle, spacing: str
) -> None:
    expected = {str(make_command(operator, vehicle, at).pk) for at in SPACINGS[spacing]}
    client, address, seen = api(operator), f"{COMMANDS}?page_size=2", []
    while address:
        page = client.get(address).json()
        seen += ids(page["results"])
        make_command(operator, vehicle, NOON + 24 * HOUR)
        make_command(operator, vehicle, NOON)
        address = page["next"]
    assert len(seen) == len(set(seen))
    assert expected <= set(seen)


def test_pages_keep_the_filter(operator: User, vehicle: Vehicle) -> None:
    for status in [Status.FAILED, Status.COMPLETED] * 3:
        make_command(operator, vehicle, status=status)
    pages = follow_links(api(operator), f"{COMMANDS}?page_size=1&status=failed")
    statuses = [row["status"] for page in pages for row in page["results"]]
    assert statuses == ["failed"] * 3
