"""The report of one scan or of two, as JSON and as a page."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from commands import lifecycle
from commands.models import Command, Exchange
from commands.reports import report as reports
from commands.tests.vehicle_responses import clear, dtc, ecu, read, scan
from conftest import api, browser, claim_one, make_user, make_vehicle, submit
from vehicles.models import Ecu, Vehicle

JSON = {"Accept": "application/json"}
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
ScanVehicle = {"command_name": "ScanVehicle", "command_params": {}}

pytestmark = pytest.mark.embedded


def address(vehicle: Vehicle, **scans: Any) -> str:
    query = "&".join(f"{name}={getattr(each, 'pk', each)}" for name, each in scans.items())
    return f"/api/v1/vehicles/{vehicle.pk}/report/?{query}"


def report(user: User, vehicle: Vehicle, **scans: Any) -> dict[str, Any]:
    response = api(user).get(address(vehicle, **scans), headers=JSON)
    assert response.status_code == 200, response.content
    body: dict[str, Any] = response.json()
    return body


def page(user: User, vehicle: Vehicle, **scans: Any) -> str:
    response = browser(user).get(address(vehicle, **scans), headers=HTML)
    assert response.status_code == 200, response.content
    assert response.headers["content-type"].startswith("text/html")
    return str(response.content.decode())


def changes(told: dict[str, Any]) -> dict[str, list[str]]:
    return {
        change: [code["dtcCode"] for code in told[change]]
        for change in ("appeared", "stayed", "changed", "went")
    }


NOTHING: dict[str, list[str]] = {"appeared": [], "stayed": [], "changed": [], "went": []}


def keep(command: Command, request: str, number: int | None) -> None:
    Exchange.objects.create(
        command=command,
        ecu_address="0x10",
        service="ReadDTCInformation",
        request=request,
        response="5902FF",
        pending_count=0,
        started_at=datetime(2026, 3, 1, 12, tzinfo=UTC),
        duration_ms=1.5,
        sequence_number=number,
    )


# The comparison


def test_the_codes_of_two_scans_are_compared(operator: User, vehicle: Vehicle) -> None:
    old = [dtc("P0420-13", "0x2F"), dtc("P0171-00", "0x24"), dtc("U0100-87", "0x2F")]
    new = [dtc("P0420-13", "0x2F"), dtc("P0171-00", "0x2F"), dtc("P0300-00", "0x2F")]
    before = scan(operator, vehicle, ecu("0x10", *old, identification={"0xF189": "1.0"}))
    after = scan(operator, vehicle, ecu("0x10", *new, identification={"0xF189": "1.1"}))
    body = report(operator, vehicle, before=before, after=after)
    (told,) = body["ecus"]
    assert changes(told) == {
        "appeared": ["P0300-00"], "stayed": ["P0420-13"],
        "changed": ["P0171-00"], "went": ["U0100-87"],
    }  # fmt: skip
    (changed,) = told["changed"]
    assert (changed["before"]["status"], changed["status"]) == ("0x24", "0x2F")
    assert told["went"][0]["failureType"] == "message missing"
    assert told["before"]["identification"] == {"0xF189": "1.0"}
    assert told["after"]["identification"] == {"0xF189": "1.1"}
    assert body["counts"] == {"appeared": 1, "stayed": 1, "changed": 1, "went": 1}
    assert body["before"]["submitted_by"] == "operator"
    assert body["after"]["dtc_count"] == 3


def test_the_page_names_an_identifier_as_the_description_does(
    operator: User, vehicle: Vehicle
) -> None:
    about = {"identification": {"0xF189": "1.0"}, "identificationNames": {"0xF189": "Calibration"}}
    after = scan(operator, vehicle, ecu("0x10", **about))
    page = browser(operator).get(
        f"/api/v1/vehicles/{vehicle.pk}/report/", {"after": str(after.pk)}, HTTP_ACCEPT="text/html"
    )
    assert "<dt>Calibration</dt><dd>1.0</dd>" in page.content.decode()


def test_a_code_that_was_only_not_tested_since_the_clear_is_gone(
    operator: User, vehicle: Vehicle
) -> None:
    before = scan(operator, vehicle, ecu("0x10", dtc("P0420"), dtc("P0300", "0x50")))
    after = scan(operator, vehicle, ecu("0x10", dtc("P0420", "0x50"), dtc("P0300")))
    (told,) = report(operator, vehicle, before=before, after=after)["ecus"]
    assert changes(told) == NOTHING | {"appeared": ["P0300"], "went": ["P0420"]}


@pytest.mark.parametrize(
    "unread",
    [
        ecu("0x10", reachable=False, problem="It did not answer."),
        ecu("0x10", problem="It refused to list its codes."),
        ecu("0x10", "no code"),
        ecu("0x10", dtc("P0300"), {"dtcCode": "X"}),
        ecu("0x10", dtcs="none"),
        ecu("0x12"),
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_no_code_of_an_ecu_that_was_not_read_is_said_to_have_changed(
    operator: User, vehicle: Vehicle, unread: dict[str, Any], is_first: bool
) -> None:
    scans = [unread, ecu("0x10", dtc("P0420"))]
    before, after = (scan(operator, vehicle, each) for each in scans[:: 1 if is_first else -1])
    told = report(operator, vehicle, before=before, after=after)["ecus"]
    assert [changes(each) for each in told] == [NOTHING] * len(told)
    assert not any(each["is_compared"] for each in told)
    assert "not compared" in page(operator, vehicle, before=before, after=after)


def test_two_spellings_of_an_address_are_one_ecu(operator: User, vehicle: Vehicle) -> None:
    Ecu.objects.create(vehicle=vehicle, address="0x1A")
    before = scan(operator, vehicle, ecu("0x001a", dtc("P0420")))
    after = scan(operator, vehicle, ecu("0x1A", dtc("P0420")))
    (told,) = report(operator, vehicle, before=before, after=after)["ecus"]
    assert (told["ecuAddress"], told["is_compared"]) == ("0x1A", True)


def test_a_report_of_one_scan_has_no_before(operator: User, vehicle: Vehicle) -> None:
    only = scan(operator, vehicle, ecu("0x10", dtc("P0420-13")), ecu("0x11", reachable=False))
    for empty in ({}, {"before": ""}):
        body = report(operator, vehicle, after=only, **empty)
        assert (body["before"], body["commands_between"]) == (None, [])
        assert [each["before"] for each in body["ecus"]] == [None, None]
        assert [changes(each) for each in body["ecus"]] == [NOTHING, NOTHING]
    text = page(operator, vehicle, after=only)
    assert "P0420-13" in text
    assert "circuit open" in text
    assert "not reached" in text


# What was done between, and the evidence


def test_the_commands_between_are_listed_if_the_user_may_see_them(
    operator: User, stranger: User, viewer: User, vehicle: Vehicle
) -> None:
    read(operator, vehicle, dtc("P0420"))
    before = scan(operator, vehicle, ecu("0x10", dtc("P0420")))
    own = clear(operator, vehicle)
    foreign = clear(stranger, vehicle)
    lifecycle.cancel(submit(operator, vehicle))  # never began
    after = scan(operator, vehicle, ecu("0x10"))
    read(operator, vehicle)
    body = report(operator, vehicle, before=before, after=after)
    assert [each["command_id"] for each in body["commands_between"]] == [str(own.pk)]
    assert not body["are_all_visible"]
    body = report(viewer, vehicle, before=before, after=after)
    assert [(each["command_id"], each["submitted_by"]) for each in body["commands_between"]] == [
        (str(own.pk), "operator"),
        (str(foreign.pk), "stranger"),
    ]
    assert body["are_all_visible"]
    assert "stranger" in page(viewer, vehicle, before=before, after=after)
    assert "stranger" not in page(operator, vehicle, before=before, after=after)


def test_each_figure_leads_to_an_event_and_its_exchanges(operator: User, vehicle: Vehicle) -> None:
    before = scan(operator, vehicle, ecu("0x10", dtc("P0420")))
    middle = clear(operator, vehicle)
    after = scan(operator, vehicle, ecu("0x10"))
    for command, request in ((before, "1902FF"), (middle, "14FFFFFF"), (after, "22F190")):
        keep(command, request, 3)
    keep(after, "1902FF", 3)
    body = report(operator, vehicle, before=before, after=after)
    exchanges = body["exchanges"]
    assert [(each["number"], each["request"]) for each in exchanges] == [
        (1, "1902FF"), (2, "14FFFFFF"), (3, "22F190"), (4, "1902FF"),
    ]  # fmt: skip
    assert exchanges[1]["command_id"] == str(middle.pk)
    (told,) = body["ecus"]
    assert (told["before"]["sequence_number"], told["before"]["exchanges"]) == (3, [1])
    assert (told["after"]["sequence_number"], told["after"]["exchanges"]) == (3, [3, 4])
    text = page(operator, vehicle, before=before, after=after)
    assert 'href="#x3"' in text
    assert 'id="x4"' in text


# Who may, and what is refused


def test_a_scan_of_another_user_does_not_exist(
    operator: User, stranger: User, viewer: User, vehicle: Vehicle
) -> None:
    before, after = (scan(operator, vehicle, ecu("0x10")) for _ in range(2))
    own = scan(stranger, vehicle, ecu("0x10"))
    for names, name in (({"after": after}, "after"), ({"before": before, "after": own}, "before")):
        response = api(stranger).get(address(vehicle, **names), headers=JSON)
        assert response.status_code == 404
        assert response.json()["detail"].startswith(f"{name}: ")
    assert report(viewer, vehicle, before=before, after=own)
    nobody = make_user("nobody")
    assert api(nobody).get(address(vehicle, after=after), headers=JSON).status_code == 403
    assert browser(nobody).get(address(vehicle, after=after), headers=HTML).status_code == 403


@pytest.mark.parametrize("name", ["before", "after"])
def test_anything_but_a_completed_scan_is_refused_by_name(
    operator: User, vehicle: Vehicle, name: str
) -> None:
    good = scan(operator, vehicle, ecu("0x10"))
    other_vehicle = make_vehicle(102)
    elsewhere = scan(operator, other_vehicle, ecu("0x10"))
    no_scan = read(operator, vehicle)
    pending = submit(operator, vehicle, ScanVehicle)
    failed = submit(operator, vehicle, ScanVehicle)
    lifecycle.cancel(failed)
    for wrong, code in (
        (no_scan, 400), (pending, 400), (failed, 400), ("1", 400),
        (elsewhere, 404), (uuid4(), 404),
    ):  # fmt: skip
        scans = {"after": good} | {name: wrong}
        response = api(operator).get(address(vehicle, **scans))
        assert response.status_code == code, wrong
        assert response.headers["content-type"] == "application/json"
        assert name in response.json()["detail"]
        assert (code == 404) or list(response.json()["fields"]) == [name]
        shown = browser(operator).get(address(vehicle, **scans), headers=HTML)
        assert shown.status_code == code
        assert b"There is no such report" in shown.content


def test_a_report_needs_a_scan_and_the_right_order(operator: User, vehicle: Vehicle) -> None:
    first, second = (scan(operator, vehicle, ecu("0x10")) for _ in range(2))
    get = api(operator).get
    assert list(get(address(vehicle)).json()["fields"]) == ["after"]
    for before, after in ((second, first), (first, first)):
        response = get(address(vehicle, before=before, after=after))
        assert response.status_code == 400
        assert list(response.json()["fields"]) == ["before"]
    vehicle.pk = uuid4()
    assert get(address(vehicle, after=first), headers=JSON).status_code == 404


def test_a_browser_without_a_session_is_led_to_the_log_in(operator: User, vehicle: Vehicle) -> None:
    only = scan(operator, vehicle, ecu("0x10"))
    shared = address(vehicle, after=only)
    response = api(None).get(shared, headers=HTML)
    assert response.status_code == 302
    assert response.headers["location"].startswith("/accounts/login/?next=/api/v1/vehicles/")
    assert api(None).get(shared, headers=JSON).status_code == 401
    token = HTML | {"Authorization": "Bearer x"}
    assert api(None).get(shared, headers=token).status_code == 401


# The comparison with last week


def scanned(user: User, vehicle: Vehicle, *, days_ago: float) -> Command:
    command = scan(user, vehicle, ecu("0x10"))
    at = command.submitted_at - timedelta(days=days_ago)
    times = {"submitted_at": at, "started_at": at, "completed_at": at}
    Command.objects.filter(pk=command.pk).update(**times)
    return command


def last_week(user: User, vehicle: Vehicle) -> Any:
    return browser(user).get(f"/vehicles/{vehicle.pk}/last-week/")


@pytest.mark.parametrize(
    ("days_ago", "nearest"), [((40, 8, 4), 8), ((40, 6.5, 1), 6.5), ((3, 2), 3), ((90, 60), 60)]
)
def test_the_last_scan_is_compared_with_the_one_nearest_to_a_week_before(
    operator: User, vehicle: Vehicle, days_ago: tuple[float, ...], nearest: float
) -> None:
    before = {days: scanned(operator, vehicle, days_ago=days) for days in days_ago}
    after = scanned(operator, vehicle, days_ago=0)
    response = last_week(operator, vehicle)
    assert response.status_code == 302
    assert response.headers["location"] == address(vehicle, after=after, before=before[nearest])
    assert "What became of" in page(operator, vehicle, after=after, before=before[nearest])


def test_a_comparison_with_last_week_uses_no_scan_that_the_user_may_not_see(
    operator: User, stranger: User, vehicle: Vehicle
) -> None:
    stranger.user_permissions.add(Permission.objects.get(codename="view_vehicle"))
    scanned(operator, vehicle, days_ago=7)
    assert "Scan it first." in last_week(stranger, vehicle).content.decode()
    own = scanned(stranger, vehicle, days_ago=0)
    assert last_week(stranger, vehicle).headers["location"] == address(vehicle, after=own)
    assert "no earlier scan to compare with" in page(stranger, vehicle, after=own)


def test_a_comparison_with_last_week_needs_a_vehicle_and_the_right_to_see_it(
    operator: User, vehicle: Vehicle
) -> None:
    nobody = make_user("nobody")
    assert last_week(nobody, vehicle).status_code == 403
    assert browser(operator).get(f"/vehicles/{uuid4()}/last-week/").status_code == 404


# Hostile and large scans


def test_a_browser_obeys_nothing_in_a_report(operator: User, vehicle: Vehicle) -> None:
    attack = "<script>alert(1)</script>"
    told = ecu("0x10", dtc("P0420", description=attack), name=attack, problem=attack)
    only = scan(operator, vehicle, told | {"identification": {attack: attack, "0xF190": [1]}})
    keep(only, attack, 3)
    assert attack not in page(operator, vehicle, after=only)


@pytest.mark.parametrize(
    "hostile", [[], "ecu", None, {"type": "ecu"}, {"type": "ecu", "ecuAddress": 5}]
)
def test_a_response_of_no_ecu_is_left_out(operator: User, vehicle: Vehicle, hostile: Any) -> None:
    only = scan(operator, vehicle, hostile, ecu("0x10", name=7, statusBits={}, problem=None))
    (told,) = report(operator, vehicle, after=only)["ecus"]
    assert told["name"] == ""


def test_a_large_report_takes_few_statements(operator: User, vehicle: Vehicle) -> None:
    def large(status: str) -> Command:
        codes = [dtc(f"P{number:04X}-13", status) for number in range(50)]
        submit(operator, vehicle, ScanVehicle)
        command = claim_one()
        for number in range(200):
            told = ecu(f"0x{number + 0x1000:04X}", *(code | {"statusBits": []} for code in codes))
            lifecycle.respond(command, told)
        lifecycle.complete(command, {"type": "scan"})
        return command

    before, middle, after = large("0x24"), clear(operator, vehicle), large("0x2F")
    keep(middle, "14FFFFFF", 3)
    target = Vehicle.objects.prefetch_related("ecus").get(pk=vehicle.pk)
    with CaptureQueriesContext(connection) as queries:
        made = reports.make(target, operator, before, after)
    assert len(queries) == 8  # one for the permissions of the user
    assert sum(len(each.changed) for each in made.ecus) == 200 * 50


def test_a_scan_beyond_the_limit_says_what_is_missing(
    operator: User, vehicle: Vehicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("commands.reports.scans.MAX_CHARACTERS", 1_000)
    only = scan(operator, vehicle, ecu("0x10"), ecu("0x11", problem="x" * 900), ecu("0x12"))
    body = report(operator, vehicle, after=only)
    assert [each["ecuAddress"] for each in body["ecus"]] == ["0x10", "0x12"]
    assert body["after"]["responses_left_off"] == 1
    assert "ECUs are missing here" in page(operator, vehicle, after=only)
