"""The outbox: whatever ends has a delivery for each webhook that asks, in the same transaction."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from commands import lifecycle
from commands.campaigns import progress
from commands.deliveries import delivery, outbox
from commands.lifecycle import worker_moves
from commands.models import Batch, Campaign, Command, Webhook, WebhookDelivery
from conftest import ReadDTC, api, claim_one, make_vehicle, mark_seen, submit
from vehicles.models import Vehicle

pytestmark = pytest.mark.embedded

ALL = {"of_commands": True, "of_batches": True, "of_campaigns": True}


def hook(user: User, **fields: Any) -> Webhook:
    found: Webhook = Webhook.objects.create(
        owner=user, url="https://example.com/", **(ALL | fields)
    )
    return found


def noted() -> list[tuple[str, Any]]:
    found = WebhookDelivery.objects.order_by("created_at")
    return list(found.values_list("event", "subject"))


# --- Commands


def by_completion(command: Command) -> None:
    lifecycle.complete(claim_one(), {})


def by_failure(command: Command) -> None:
    lifecycle.fail(claim_one(), "vehicle_refused", "No.")


def by_the_orm(command: Command) -> None:
    worker_moves._write_by_orm(lifecycle.complete.plan(claim_one(), {}))


def by_a_cancellation(command: Command) -> None:
    lifecycle.cancel(command)


def by_a_cancellation_of_many(command: Command) -> None:
    lifecycle.cancel_many(Command.objects.all())


def by_the_clock(command: Command) -> None:
    Command.objects.update(expires_at=Now())
    lifecycle.sweep()


def by_the_loss_of_workers(command: Command) -> None:
    claim_one()
    Command.objects.update(lost_workers=2, lease_expires_at=Now())
    lifecycle.sweep()


ENDS: list[Callable[[Command], None]] = [
    by_completion,
    by_failure,
    by_the_orm,
    by_a_cancellation,
    by_a_cancellation_of_many,
    by_the_clock,
    by_the_loss_of_workers,
]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_each_end_of_a_command_is_noted_once_for_each_webhook(
    owner: User, vehicle: Vehicle, end: Callable[[Command], None]
) -> None:
    hook(owner)
    hook(owner, of_batches=False)
    command = submit(owner, vehicle)
    assert noted() == []
    end(command)
    assert Command.objects.get().has_ended
    assert noted() == [("command.ended", command.pk)] * 2


def test_what_is_written_by_the_statement_is_due_at_once(owner: User, vehicle: Vehicle) -> None:
    hook(owner)
    submit(owner, vehicle)
    by_completion(claim := Command.objects.get())
    (sent,) = WebhookDelivery.objects.due()
    assert (sent.subject, sent.attempts, sent.state) == (claim.pk, 0, "pending")
    assert Webhook.objects.to_serve().count() == 1


def test_an_end_that_is_rolled_back_is_not_noted(owner: User, vehicle: Vehicle) -> None:
    hook(owner)
    submit(owner, vehicle)
    with transaction.atomic():
        by_completion(Command.objects.get())
        transaction.set_rollback(True)
    assert noted() == []


def test_only_what_the_owner_may_see_is_noted(
    owner: User, operator: User, watcher: User, vehicle: Vehicle
) -> None:
    hook(owner)
    of_watcher = hook(watcher)
    delivery.refresh_rights()
    submit(operator, vehicle)
    by_completion(Command.objects.get())
    assert list(WebhookDelivery.objects.values_list("webhook", flat=True)) == [of_watcher.pk]


@pytest.mark.parametrize("fields", [{"is_active": False}, {"of_commands": False}], ids=str)
def test_a_webhook_that_does_not_ask_gets_nothing(
    owner: User, vehicle: Vehicle, fields: dict[str, Any]
) -> None:
    hook(owner, **fields)
    submit(owner, vehicle)
    by_completion(Command.objects.get())
    assert noted() == []


def test_a_response_that_is_not_the_last_is_not_noted(owner: User, vehicle: Vehicle) -> None:
    hook(owner)
    submit(owner, vehicle)
    lifecycle.respond(claim_one(), {})
    assert noted() == []


@pytest.mark.parametrize("webhooks", [0, 3])
def test_a_group_of_ends_has_as_many_statements_with_webhooks_as_without(
    owner: User, webhooks: int
) -> None:
    for _ in range(webhooks):
        hook(owner)
    for number in range(10):
        submit(owner, make_vehicle(number))
    mark_seen()
    group = [lifecycle.complete.plan(command, {}) for command in lifecycle.claim(10)]
    with CaptureQueriesContext(connection) as asked:
        lifecycle.write_group(group)
    if connection.vendor == "postgresql":  # SQLite writes them one by one
        assert len(asked) == 2
    assert len(noted()) == 10 * webhooks


# --- Batches


def batch_of(user: User, count: int) -> Batch:
    ids = [str(make_vehicle(number).pk) for number in range(count)]
    response = api(user).post("/api/v1/batches/", ReadDTC | {"vehicle_ids": ids})
    assert response.status_code == 201, response.content
    found: Batch = Batch.objects.get(pk=response.json()["batch_id"])
    return found


def test_the_end_of_a_batch_is_that_of_its_last_command(owner: User) -> None:
    hook(owner, of_commands=False)
    batch = batch_of(owner, 2)
    mark_seen()
    first, last = lifecycle.claim(2)
    for command, expected in ((first, []), (last, [("batch.ended", batch.pk)])):
        lifecycle.complete(command, {})
        outbox.note_ended_batches()
        assert noted() == expected
    outbox.note_ended_batches()
    assert len(noted()) == 1


def test_batches_are_looked_at_only_while_a_webhook_asks(owner: User) -> None:
    batch_of(owner, 1)
    lifecycle.cancel_many(Command.objects.all())
    with CaptureQueriesContext(connection) as asked:
        outbox.note_ended_batches()
    assert len(asked) == 1
    hook(owner)
    outbox.note_ended_batches()
    assert noted() == []  # it ended before
    assert Batch.objects.get().is_settled


# --- Campaigns


def campaign_of(user: User) -> Campaign:
    make_vehicle(1)
    body = ReadDTC | {"vehicle_filter": {}}
    campaign = api(user).post("/api/v1/campaigns/", body).json()["campaign_id"]
    found: Campaign = Campaign.objects.get(pk=campaign)
    return found


def step(user: User, campaign: Campaign, name: str) -> None:
    response = api(user).post(f"/api/v1/campaigns/{campaign.pk}/{name}/")
    assert response.status_code == 200, response.content


def advance() -> None:
    Campaign.objects.update(due_at=Now() - timedelta(seconds=1))
    progress.advance()


def test_the_end_of_a_campaign_is_noted_when_each_outcome_is_counted(owner: User) -> None:
    hook(owner, of_commands=False)
    campaign = campaign_of(owner)
    step(owner, campaign, "submit")
    advance()
    command = claim_one()
    step(owner, campaign, "cancel")
    advance()
    assert noted() == []
    lifecycle.cancel_running(Command.objects.get(pk=command.pk))
    advance()
    advance()
    assert noted() == [("campaign.ended", campaign.pk)]
    assert Campaign.objects.get().wave_rows.get().cancelled == 1


def test_the_end_of_a_draft_is_noted(owner: User) -> None:
    hook(owner)
    campaign = campaign_of(owner)
    step(owner, campaign, "cancel")
    assert noted() == [("campaign.ended", campaign.pk)]
