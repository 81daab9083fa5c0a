"""Saved views of lists: one's own, and those that are shared."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from commands.api.saved_views import MAX_VIEWS
from commands.models import SavedView
from conftest import api, browser, make_user, meanwhile

pytestmark = pytest.mark.embedded

VIEWS = "/api/v1/views/"
FAILED = {"page": "commands", "name": "Failed reads", "query": "status=failed&status=expired"}
PILOT = {"page": "vehicles", "name": "Pilot", "query": "tag=pilot&search=honda"}


def save(user: User, view: dict[str, Any], **more: Any) -> dict[str, Any]:
    response = api(user).post(VIEWS, view | more)
    assert response.status_code == 201, response.content
    saved: dict[str, Any] = response.json()
    return saved


def names(user: User, query: str = "") -> list[str]:
    return [view["name"] for view in api(user).get(f"{VIEWS}?{query}").json()["results"]]


def test_a_view_is_its_owners_until_it_is_shared(operator: User, stranger: User) -> None:
    own = save(operator, FAILED)
    shared = save(operator, PILOT, is_shared=True)
    assert own == FAILED | {name: own[name] for name in ("view_id", "created_at")} | {
        "owner": "operator",
        "is_shared": False,
    }
    assert names(operator) == ["Failed reads", "Pilot"]
    assert names(operator, "page=commands") == ["Failed reads"]
    assert names(stranger) == ["Pilot"]
    client = api(stranger)
    assert client.delete(f"{VIEWS}{own['view_id']}/").status_code == 404
    assert client.delete(f"{VIEWS}{shared['view_id']}/").status_code == 403
    save(stranger, FAILED)  # the same name, of another user
    assert api(operator).delete(f"{VIEWS}{shared['view_id']}/").status_code == 204
    assert names(stranger) == ["Failed reads"]


def test_views_of_vehicles_are_for_users_who_may_see_them(operator: User) -> None:
    save(operator, PILOT, is_shared=True)
    save(operator, FAILED, is_shared=True)
    without = make_user("without", "add_command")
    assert names(without) == ["Failed reads"]
    assert api(without).post(VIEWS, PILOT).status_code == 403


def test_views_of_users_who_are_gone_are_not_offered(operator: User, stranger: User) -> None:
    save(operator, FAILED, is_shared=True)
    User.objects.filter(pk=operator.pk).update(is_active=False)
    assert names(stranger) == []


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"page": "batches"}, "page"),
        ({"name": ""}, "name"),
        ({"name": "x" * 61}, "name"),
        ({"query": ""}, "query"),
        ({"query": "tag=pilot"}, "query"),
        ({"query": "status=broken"}, "query"),
        ({"query": "submitted_after=yesterday"}, "query"),
        ({"query": f"search={'x' * 2_000}"}, "query"),
        ({"query": "&" * 1_500 + "a"}, "query"),
        ({"is_shared": "yes"}, "is_shared"),
        ({"owner": "viewer"}, "owner"),
    ],
)
def test_another_view_is_refused(operator: User, wrong: dict[str, Any], field: str) -> None:
    response = api(operator).post(VIEWS, FAILED | wrong)
    assert (response.status_code, [*response.json()["fields"]]) == (400, [field])


def test_a_name_is_used_once_on_a_page_and_views_are_limited(operator: User) -> None:
    save(operator, FAILED)
    save(operator, PILOT, name=FAILED["name"])
    response = api(operator).post(VIEWS, FAILED | {"query": "status=failed"})
    assert [*response.json()["fields"]] == ["name"]
    rows = [SavedView(owner=operator, page="commands", name=str(n)) for n in range(MAX_VIEWS)]
    SavedView.objects.bulk_create(rows)
    response = api(operator).post(VIEWS, FAILED | {"name": "One more"})
    assert (response.status_code, [*response.json()["fields"]]) == (400, ["name"])


# --- Changing


def test_a_view_is_renamed_and_shared_by_its_owner(operator: User, stranger: User) -> None:
    view = save(operator, FAILED)
    address = f"{VIEWS}{view['view_id']}/"
    changed = api(operator).patch(address, {"name": "Bad reads", "is_shared": True})
    assert changed.json() == view | {"name": "Bad reads", "is_shared": True}
    assert api(operator).patch(address, {}).json() == changed.json()
    assert names(stranger) == ["Bad reads"]
    assert api(stranger).patch(address, {"name": "Mine"}).status_code == 403
    assert api(operator).patch(address, {"name": "Bad reads"}).status_code == 200  # its own name
    assert api(operator).patch(address, {"query": "status=failed"}).json()["query"] == (
        "status=failed"
    )


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": "Other"}, "name"),
        ({"name": ""}, "name"),
        ({"query": "tag=pilot"}, "query"),
        ({"page": "vehicles"}, "page"),
        ({"owner": "viewer"}, "owner"),
    ],
    ids=str,
)
def test_a_wrong_change_is_refused(operator: User, wrong: dict[str, Any], field: str) -> None:
    save(operator, FAILED, name="Other")
    view = save(operator, FAILED)
    response = api(operator).patch(f"{VIEWS}{view['view_id']}/", wrong)
    assert (response.status_code, [*response.json()["fields"]]) == (400, [field])
    assert SavedView.objects.get(pk=view["view_id"]).name == FAILED["name"]


LOOK = '"commands_savedview"."name" = '  # whether the name is free


def test_the_slower_of_two_requests_for_a_name_is_refused(operator: User) -> None:
    client, view = api(operator), save(operator, FAILED)
    sends: list[Callable[[], Any]] = [
        lambda: client.post(VIEWS, FAILED | {"name": "New"}),
        lambda: client.patch(f"{VIEWS}{view['view_id']}/", {"name": "Other"}),
    ]
    for send, name in zip(sends, ["New", "Other"], strict=True):
        taken = SavedView(owner=operator, page="commands", name=name)
        with meanwhile(LOOK, taken.save):
            refused = send()
        assert (refused.status_code, [*refused.json()["fields"]]) == (400, ["name"])
    assert names(operator) == ["Failed reads", "New", "Other"]


def test_a_change_leaves_what_another_request_has_changed_or_deleted(operator: User) -> None:
    client, view = api(operator), save(operator, FAILED)
    row, address = SavedView.objects.filter(pk=view["view_id"]), f"{VIEWS}{view['view_id']}/"
    with meanwhile(LOOK, lambda: row.update(is_shared=True)):
        changed = client.patch(address, {"name": "Other"})
    assert changed.json() == view | {"name": "Other", "is_shared": True}
    with meanwhile(LOOK, row.delete):
        assert client.patch(address, {"name": "Third"}).status_code == 404
    assert not row.exists()


def test_a_user_with_the_last_view_can_still_rename_it(operator: User) -> None:
    rows = [SavedView(owner=operator, page="commands", name=str(n)) for n in range(MAX_VIEWS)]
    SavedView.objects.bulk_create(rows)
    assert api(operator).patch(f"{VIEWS}{rows[0].pk}/", {"name": "One"}).status_code == 200


def test_the_admin_lists_the_views_of_all_and_deletes_one(operator: User) -> None:
    view = save(operator, FAILED)
    boss = browser(make_user("boss", is_staff=True, is_superuser=True))
    listing = "/admin/commands/savedview/"
    assert "Failed reads" in boss.get(f"{listing}?q=failed").content.decode()
    assert "Failed reads" not in boss.get(f"{listing}?q=pilot").content.decode()
    assert "Failed reads" in boss.get(f"{listing}?q=operator").content.decode()
    assert boss.post(f"{listing}{view['view_id']}/delete/", {"post": "yes"}).status_code == 302
    assert not SavedView.objects.exists()
