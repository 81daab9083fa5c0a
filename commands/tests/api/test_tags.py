"""Tags of vehicles: set one by one and for many, and found again."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from commands.models import AuditEntry
from conftest import ReadDTC, api, browser, make_user, make_vehicle
from vehicles.models import Vehicle
from vehicles.tags import MAX_TAGS

pytestmark = pytest.mark.embedded

VEHICLES = "/api/v1/vehicles/"


@pytest.fixture
def keeper(transactional_db: None) -> User:
    return make_user("keeper", "add_command", "view_vehicle", "change_vehicle", is_staff=True)


def patch(user: User, vehicle: Vehicle, tags: Any) -> Any:
    return api(user).patch(f"{VEHICLES}{vehicle.pk}/", {"tags": tags})


def retag(user: User, **body: Any) -> Any:
    return api(user).post(f"{VEHICLES}tags/", body)


def found(user: User, query: str) -> list[str]:
    return [row["vin"] for row in api(user).get(f"{VEHICLES}?{query}").json()["results"]]


def test_tags_are_kept_in_lower_case_and_found(keeper: User, vehicle: Vehicle) -> None:
    other = make_vehicle(102)
    assert patch(keeper, vehicle, ["Winter", "Ähre", "winter", "a_b"]).json()["tags"] == [
        "a_b",
        "winter",
        "ähre",
    ]
    assert api(keeper).get(f"{VEHICLES}{vehicle.pk}/").json()["tags"] == ["a_b", "winter", "ähre"]
    patch(keeper, other, ["winter-tyres", "axb"])
    assert found(keeper, "tag=WINTER") == [vehicle.vin]
    assert found(keeper, "tag=ähre,winter") == [vehicle.vin]
    assert found(keeper, "tag=a_b") == [vehicle.vin]
    assert found(keeper, "tag=wint") == found(keeper, "tag=winter axb") == []
    assert found(keeper, "search=wint") == [vehicle.vin, other.vin]
    assert found(keeper, "search=ÄHRE") == [vehicle.vin]
    assert patch(keeper, vehicle, []).json()["tags"] == []
    assert found(keeper, "tag=winter") == []


@pytest.mark.parametrize(
    "tags",
    [["two words"], [""], ["x" * 33], ["a,b"], [7], "winter", [f"t{n}" for n in range(21)], [None]],
    ids=str,
)
def test_other_tags_are_refused(keeper: User, vehicle: Vehicle, tags: Any) -> None:
    response = patch(keeper, vehicle, tags)
    assert response.status_code == 400
    assert all(name.startswith("tags") for name in response.json()["fields"])
    vehicle.refresh_from_db()
    assert vehicle.tags == []


@pytest.mark.parametrize("tag", [",", "a%b", "x" * 33])
def test_a_filter_by_no_tag_is_refused(keeper: User, vehicle: Vehicle, tag: str) -> None:
    response = api(keeper).get(VEHICLES, {"tag": tag})
    assert (response.status_code, [*response.json()["fields"]]) == (400, ["tag"])


def test_many_vehicles_get_and_lose_tags_and_keep_the_others(keeper: User) -> None:
    tagged = enumerate([["north", "old"], ["new"], []])
    one, two, three = (make_vehicle(number, tags=tags) for number, tags in tagged)
    response = retag(keeper, vehicle_ids=[str(one.pk), str(two.pk)], add=["New"], remove=["old"])
    assert response.json() == {"vehicle_count": 2, "changed_count": 1}
    tags = {row.vin: row.tags for row in Vehicle.objects.all()}
    assert tags == {one.vin: ["new", "north"], two.vin: ["new"], three.vin: []}
    (entry,) = AuditEntry.objects.all()
    assert (entry.action, entry.subject) == ("change_vehicle", str(one.pk))
    assert entry.details == {"vin": one.vin, "fields": ["tags"]}
    by_filter = retag(keeper, vehicle_filter={"tag": "new"}, remove=["new"])
    assert by_filter.json() == {"vehicle_count": 2, "changed_count": 2}
    assert found(keeper, "tag=new") == []


def test_many_vehicles_are_changed_all_or_none(keeper: User) -> None:
    free = make_vehicle(1)
    full = make_vehicle(2, tags=[f"t{number}" for number in range(MAX_TAGS)])
    response = retag(keeper, vehicle_ids=[str(free.pk), str(full.pk)], add=["new"])
    assert response.status_code == 400
    assert full.vin in response.json()["fields"]["add"][0]
    assert found(keeper, "tag=new") == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "add"),
        ({"add": [], "remove": []}, "add"),
        ({"add": ["a"], "remove": ["A"]}, "remove"),
        ({"add": ["a b"]}, "add"),
        ({"add": ["a"], "vehicle_ids": None}, "vehicle_ids"),
        ({"add": ["a"], "vehicle_filter": {"tags": "b"}}, "vehicle_filter.tags"),
    ],
)
def test_another_change_of_many_is_refused(
    keeper: User, vehicle: Vehicle, body: dict[str, Any], field: str
) -> None:
    choice = {} if "vehicle_filter" in body else {"vehicle_ids": [str(vehicle.pk)]}
    response = retag(keeper, **choice | body)
    assert (response.status_code, [*response.json()["fields"]]) == (400, [field])


def test_tags_choose_the_vehicles_of_a_batch(keeper: User, vehicle: Vehicle) -> None:
    make_vehicle(102)
    patch(keeper, vehicle, ["winter"])
    body = ReadDTC | {"vehicle_filter": {"tag": "winter"}}
    assert api(keeper).post("/api/v1/batches/", body).json()["vehicle_count"] == 1


def test_only_users_who_may_change_vehicles_tag_them(operator: User, vehicle: Vehicle) -> None:
    assert patch(operator, vehicle, ["a"]).status_code == 403
    assert retag(operator, vehicle_ids=[str(vehicle.pk)], add=["a"]).status_code == 403


def test_the_admin_edits_tags_as_words(keeper: User, vehicle: Vehicle) -> None:
    patch(keeper, vehicle, ["winter", "old"])
    address = f"/admin/vehicles/vehicle/{vehicle.pk}/change/"
    form = {
        "vin": vehicle.vin,
        "connector": "mock",
        "connector_settings": "{}",
        "metadata": "{}",
        "ecus-TOTAL_FORMS": 0,
        "ecus-INITIAL_FORMS": 0,
    }
    client = browser(keeper)
    assert b"old winter" in client.get(address).content
    assert client.post(address, form | {"tags": "New, old"}).status_code == 302
    vehicle.refresh_from_db()
    assert vehicle.tags == ["new", "old"]
    refused = client.post(address, form | {"tags": "a%b"})
    assert b"A tag has 1 to 32" in refused.content


def test_the_tags_in_use_are_listed_the_most_frequent_first(keeper: User, vehicle: Vehicle) -> None:
    other, retired = make_vehicle(102), make_vehicle(103)
    patch(keeper, vehicle, ["winter", "pilot"])
    patch(keeper, other, ["pilot"])
    patch(keeper, retired, ["old"])
    assert api(keeper).post(f"{VEHICLES}{retired.pk}/retire/").status_code == 200
    assert api(keeper).get(f"{VEHICLES}tags/").json() == {
        "next": None,
        "previous": None,
        "results": [{"tag": "pilot", "vehicle_count": 2}, {"tag": "winter", "vehicle_count": 1}],
    }
    assert api(make_user("blind")).get(f"{VEHICLES}tags/").status_code == 403


def test_the_vehicles_of_a_filter_are_counted_before_they_are_tagged(keeper: User) -> None:
    for number in range(3):
        make_vehicle(number)
    address = f"{VEHICLES}tags/preview/"
    choice = {"vehicle_filter": {"search": "00000"}}
    counted = api(keeper).post(address, choice).json()
    assert counted == {"vehicle_count": 3, "vehicle_set": counted["vehicle_set"]}
    assert not Vehicle.objects.exclude(tags="").exists()
    refused = api(keeper).post(address, {"vehicle_filter": {"colour": "red"}})
    assert (refused.status_code, [*refused.json()["fields"]]) == (400, ["vehicle_filter.colour"])
    assert retag(keeper, **choice, add=["pilot"]).json()["changed_count"] == 3


def test_no_other_vehicles_are_tagged_than_those_that_were_counted(keeper: User) -> None:
    for number in range(2):
        make_vehicle(number)
    choice = {"vehicle_filter": {"search": "honda"}}
    counted = api(keeper).post(f"{VEHICLES}tags/preview/", choice).json()
    meant = choice | {"vehicle_set": counted["vehicle_set"]}
    assert retag(keeper, **meant, add=["pilot"]).json()["changed_count"] == 2
    make_vehicle(3)
    Vehicle.objects.filter(pk=Vehicle.objects.earliest("vin").pk).update(make="Tesla")
    refused = retag(keeper, **meant, remove=["pilot"])
    assert (refused.status_code, [*refused.json()["fields"]]) == (400, ["vehicle_set"])
    assert len(found(keeper, "tag=pilot")) == 2
