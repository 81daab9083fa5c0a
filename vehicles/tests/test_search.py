"""Searches for vehicles, and the bound on the words of every search."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from conftest import ReadDTC, api, browser, make_user, submit
from vehicles.models import Vehicle

MANY = " ".join("a" * 46)
EIGHT = "1 2 3 4 5 6 7 8"
LISTS = ["vehicles/vehicle", "auth/user", "auth/group", "commands/command", "commands/event"]


@pytest.fixture
def admin(transactional_db: None) -> User:
    return make_user("admin", is_staff=True, is_superuser=True)


@pytest.mark.embedded
@pytest.mark.parametrize("address", ["vehicles/", "commands/", "commands/export/"])
def test_the_api_refuses_a_search_of_many_words(viewer: User, address: str) -> None:
    client = api(viewer)
    response = client.get(f"/api/v1/{address}", {"search": MANY})
    assert response.status_code == 400
    assert response.json()["fields"] == {"search": ["46 words are too many: search for at most 8."]}
    assert client.get(f"/api/v1/{address}", {"search": EIGHT}).status_code == 200


def test_a_batch_refuses_a_search_of_many_words(operator: User, vehicle: Vehicle) -> None:
    body: dict[str, Any] = {"vehicle_filter": {"search": MANY}, **ReadDTC}
    response = api(operator).post("/api/v1/batches/", body)
    assert response.status_code == 400
    assert list(response.json()["fields"]) == ["vehicle_filter.search"]


@pytest.mark.parametrize("address", LISTS)
@pytest.mark.parametrize("search", [MANY, "x" * 151])
def test_a_list_of_the_admin_finds_nothing_by_too_long_a_search(
    admin: User, vehicle: Vehicle, address: str, search: str
) -> None:
    response = browser(admin).get(f"/admin/{address}/", {"q": search})
    assert response.status_code == 200
    assert len(response.context["messages"]) == 1
    assert not response.context["cl"].result_list


def test_a_list_of_the_admin_searches_for_a_few_words(admin: User, vehicle: Vehicle) -> None:
    response = browser(admin).get("/admin/vehicles/vehicle/", {"q": "1HGCM Honda"})
    assert list(response.context["cl"].result_list) == [vehicle]


def test_an_action_on_all_rows_of_a_refused_search_is_done_to_none(
    admin: User, vehicle: Vehicle
) -> None:
    form = {
        "action": "delete_selected",
        "select_across": "1",
        "_selected_action": str(vehicle.pk),
        "post": "yes",
    }
    browser(admin).post(f"/admin/vehicles/vehicle/?q={MANY.replace(' ', '+')}", form)
    assert Vehicle.objects.exists()


def test_a_field_that_completes_itself_refuses_many_words(admin: User, vehicle: Vehicle) -> None:
    about = {"app_label": "commands", "model_name": "command", "field_name": "vehicle"}
    client = browser(admin)
    assert client.get("/admin/autocomplete/", {"term": MANY, **about}).status_code == 400
    found = client.get("/admin/autocomplete/", {"term": "honda", **about}).json()["results"]
    assert [row["id"] for row in found] == [str(vehicle.pk)]


CIVIC = "1HGCM82633A004352"
FULL_WIDTH = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)})


@pytest.fixture
def civic(transactional_db: None) -> Vehicle:
    Vehicle.objects.create(vin="WVWZZZ1KZ6W000002", make="Škoda", model="Octavia", year=2016)
    return Vehicle.objects.create(vin=CIVIC, make="Honda", model="Civic", year=2015)


@pytest.mark.embedded
@pytest.mark.parametrize(
    "text",
    [
        "civic 2015",
        "2015",
        "honda civic 2015",
        "1HGCM 82633 A 004352",
        "1HGCM-82633-A004352",
        "1hgcm\u201182633\u2011a004352",
        "1HGCM\u200b82633A004352",
        "\ufeffcivic",
        CIVIC.translate(FULL_WIDTH),
        "civic 2015".translate(FULL_WIDTH),
        "honda\u00a0civic",
    ],
)
@pytest.mark.parametrize("address", ["vehicles/", "commands/"])
def test_a_search_finds_what_is_displayed(
    viewer: User, operator: User, civic: Vehicle, address: str, text: str
) -> None:
    submit(operator, civic)
    rows = api(viewer).get(f"/api/v1/{address}", {"search": text}).json()["results"]
    assert [row["vin"] for row in rows] == [CIVIC]


@pytest.mark.embedded
@pytest.mark.parametrize("text", ["škoda", "ŠKODA", "Škoda octavia", "s\u030ckoda 2016"])
def test_a_search_ignores_the_case_of_every_letter(viewer: User, civic: Vehicle, text: str) -> None:
    rows = api(viewer).get("/api/v1/vehicles/", {"search": text}).json()["results"]
    assert [row["make"] for row in rows] == ["Škoda"]


@pytest.mark.parametrize("text", ["civic 2016", "2015 octavia", "201", "1HGCM 82633 B"])
def test_a_search_needs_every_word(viewer: User, civic: Vehicle, text: str) -> None:
    assert api(viewer).get("/api/v1/vehicles/", {"search": text}).json()["results"] == []


def test_the_admin_searches_like_the_api(admin: User, civic: Vehicle) -> None:
    page = browser(admin).get("/admin/vehicles/vehicle/", {"q": "civic 2015"})
    assert [row.vin for row in page.context["cl"].result_list] == [CIVIC]
