"""Cancelling and exporting chosen commands in the admin."""

import asyncio
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from commands import lifecycle
from commands.models import AuditEntry, Command
from commands.tests.admin.pages import (
    COMMANDS,
    said,
)
from conftest import browser, make_vehicle, row, submit

# Actions


def act(user: User, action: str, *commands: Command, **more: str) -> Any:
    chosen = {"action": action, "_selected_action": [str(c.pk) for c in commands], **more}
    return browser(user).post(COMMANDS, chosen, follow=True)


async def content_of(response: Any) -> str:
    return "".join([part.decode() async for part in response.streaming_content])


def audited(action: str) -> list[str]:
    return list(AuditEntry.objects.filter(action=action).values_list("subject", flat=True))


@pytest.mark.embedded
def test_chosen_commands_are_cancelled(admin: User, operator: User) -> None:
    waiting, running, ended = [submit(operator, make_vehicle(n)) for n in range(3)]
    lifecycle.cancel(ended)
    Command.objects.filter(pk=running.pk).update(status="in_progress")
    told = said(act(admin, "cancel", waiting, running, ended))
    assert len(told) == 1
    for each in ("1 cancelled", "1 asked to stop", "1 had already ended", "Of 3 commands"):
        assert each in told[0]
    assert row(waiting).status == "cancelled"
    assert row(running).cancel_requested_at
    assert sorted(audited("cancel")) == sorted([str(waiting.pk), str(running.pk)])
    assert set(AuditEntry.objects.filter(action="cancel").values_list("username")) == {("admin",)}


def test_many_commands_are_cancelled_with_as_many_queries_as_one(operator: User) -> None:
    """All are cancelled in one transaction."""
    commands = [submit(operator, make_vehicle(n)) for n in range(6)]
    costs = []
    for chosen in (commands[:1], commands[1:]):
        marked = {"action": "cancel", "_selected_action": [str(each.pk) for each in chosen]}
        with CaptureQueriesContext(connection) as queries:
            browser(operator).post(COMMANDS, marked)
        costs.append(len(queries))
    assert {row(each).status for each in commands} == {"cancelled"}
    assert sorted(audited("cancel")) == sorted(str(each.pk) for each in commands)
    assert costs[0] == costs[1]


def test_all_commands_that_a_search_finds_are_cancelled(operator: User) -> None:
    """The search joins other tables: only the commands are locked."""
    commands = [submit(operator, make_vehicle(n)) for n in range(2)]
    marked = {"action": "cancel", "select_across": "1", "_selected_action": str(commands[0].pk)}
    browser(operator).post(f"{COMMANDS}?q=1HGCM", marked)
    assert {row(each).status for each in commands} == {"cancelled"}


@pytest.mark.parametrize(("who", "status"), [("viewer", "pending"), ("stranger", "pending")])
def test_users_without_the_right_cancel_nothing(
    people: dict[str, User], command: Command, who: str, status: str
) -> None:
    act(people[who], "cancel", command)
    act(people[who], "cancel", command, select_across="1")
    assert row(command).status == status
    assert audited("cancel") == []


def test_more_than_a_thousand_commands_are_not_cancelled_at_once(
    operator: User, command: Command
) -> None:
    about = {"vehicle": command.vehicle, "submitted_by": operator, "command_name": "ReadDTC"}
    Command.objects.bulk_create(
        Command(**about, expires_at=command.expires_at) for _ in range(1_000)
    )
    response = act(operator, "cancel", command, select_across="1")
    assert "so none was cancelled" in said(response)[0]
    assert set(Command.objects.values_list("status", flat=True)) == {"pending"}


@pytest.mark.parametrize(("who", "rows"), [("operator", 1), ("viewer", 1), ("stranger", 0)])
def test_chosen_commands_are_exported(
    people: dict[str, User], command: Command, who: str, rows: int
) -> None:
    response = act(people[who], "export_csv", command)
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    lines = asyncio.run(content_of(response)).splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == [str(command.pk)] * rows
    entry = AuditEntry.objects.get(action="export")
    assert (entry.username, entry.details["rows"]) == (who, rows)
    assert entry.details["commands"] == [str(command.pk)]


def test_an_export_of_all_found_commands_is_audited_with_the_filters(
    operator: User, command: Command
) -> None:
    chosen = {"action": "export_csv", "_selected_action": [str(command.pk)], "select_across": "1"}
    response = browser(operator).post(f"{COMMANDS}?status__exact=pending", chosen)
    asyncio.run(content_of(response))
    details = AuditEntry.objects.get(action="export").details
    assert details == {"format": "csv", "rows": 1, "filters": {"status__exact": ["pending"]}}


def test_a_third_export_at_once_is_refused(operator: User, command: Command) -> None:
    running = [act(operator, "export_csv", command) for _ in range(2)]
    assert "2 exports are already running" in said(act(operator, "export_csv", command))[0]
    assert len(audited("export")) == 2
    for response in running:
        response.close()


def test_more_commands_than_the_limit_are_not_exported(
    operator: User, command: Command, settings: Any
) -> None:
    settings.EXPORT_ROWS = 1
    other = submit(operator, command.vehicle)
    assert "Narrow the filters" in said(act(operator, "export_csv", command, other))[0]
    assert audited("export") == []


LISTS = ["commands/command", "commands/event", "vehicles/vehicle", "auth/user", "auth/group"]


@pytest.mark.parametrize("address", LISTS)
@pytest.mark.parametrize("chosen", ["x", "\x00", "1" * 30, "-1", "[]", ""])
@pytest.mark.parametrize("action", ["cancel", "export_csv", "delete_selected", "\x00"])
def test_an_action_on_what_is_no_row_is_done_to_none(
    admin: User, command: Command, address: str, chosen: str, action: str
) -> None:
    form = {"action": action, "_selected_action": chosen, "post": "yes"}
    response = browser(admin).post(f"/admin/{address}/", form)  # raises what would be a 500
    assert response.status_code in {200, 302}
    assert row(command).status == "pending"
    assert User.objects.filter(pk=admin.pk).exists()
