"""Batches and the audit in the admin."""

from uuid import uuid4

import pytest
from django.contrib.auth.models import User

from commands import lifecycle
from commands.models import AuditEntry, Batch, Command
from commands.tests.admin.pages import (
    AUDIT,
    BATCHES,
    WHO_SEES,
    text_of,
)
from conftest import browser, make_user, submit
from vehicles.models import Vehicle

# Batches and the audit


@pytest.mark.embedded
@WHO_SEES
def test_batches_are_shown_to_those_who_may_see_them(
    people: dict[str, User], who: str, sees: bool
) -> None:
    batch = Batch.objects.create(
        command_name="ReadDTC", submitted_by=people["operator"], vehicle_count=3
    )
    for query in ("", f"?q={batch.pk}", "?q=operator", "?submitted=hour"):
        assert (f"{BATCHES}{batch.pk}/change/" in text_of(people[who], BATCHES + query)) is sees
    response = browser(people[who]).get(f"{BATCHES}{batch.pk}/change/")
    assert response.status_code == (200 if sees else 302)
    if sees:
        assert f'href="/batches/{batch.pk}/"' in response.content.decode()


@pytest.mark.embedded
def test_the_audit_is_searched(operator: User, command: Command) -> None:
    auditor = make_user("auditor", "view_auditentry", is_staff=True)
    lifecycle.cancel(command)
    entry = AuditEntry.objects.get(action="submit")
    for query in (
        "",
        "?q=operator",
        f"?q={command.pk}",
        f"?q={command.vehicle.vin}",
        "?action__exact=submit",
        "?at=hour",
    ):
        assert f"{AUDIT}{entry.pk}/change/" in text_of(auditor, AUDIT + query)
    for query in ("?q=nobody", f"?q={uuid4()}", "?q=submit", "?action__exact=export"):
        assert f"{AUDIT}{entry.pk}/change/" not in text_of(auditor, AUDIT + query)
    assert command.vehicle.vin in text_of(auditor, f"{AUDIT}{entry.pk}/change/")
    assert f'href="/commands/{command.pk}/"' in text_of(auditor, AUDIT)


def test_a_user_named_like_an_action_is_found_in_the_audit(admin: User, vehicle: Vehicle) -> None:
    submit(make_user("cancel", "add_command"), vehicle)
    entry = AuditEntry.objects.get(username="cancel", action="submit")
    assert f"{AUDIT}{entry.pk}/change/" in text_of(admin, f"{AUDIT}?q=cancel")


@pytest.mark.parametrize("who", ["operator", "viewer", "stranger"])
def test_users_without_the_right_see_no_audit(
    people: dict[str, User], command: Command, who: str
) -> None:
    entry = AuditEntry.objects.earliest("id")
    assert browser(people[who]).get(AUDIT).status_code == 403
    assert browser(people[who]).get(f"{AUDIT}{entry.pk}/change/").status_code == 403


def test_nobody_writes_the_audit(admin: User, command: Command) -> None:
    entry = AuditEntry.objects.earliest("id")
    client = browser(admin)
    for part in ("add", f"{entry.pk}/change", f"{entry.pk}/delete"):
        assert client.post(f"{AUDIT}{part}/", {"username": "x", "post": "yes"}).status_code == 403
    marked = {"action": "delete_selected", "_selected_action": str(entry.pk), "post": "yes"}
    client.post(AUDIT, marked)
    assert AuditEntry.objects.get(pk=entry.pk).username == entry.username
