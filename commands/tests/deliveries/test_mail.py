"""E-mails to users who asked for them, about what they have started and what took long."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from commands import lifecycle
from commands.campaigns import progress
from commands.database.threads import in_thread
from commands.deliveries import delivery, outbox
from commands.metrics.scrape import registry
from commands.models import AuditEntry, Batch, Campaign, Command, Webhook, WebhookDelivery
from commands.tests.deliveries.mail_server import MailServer
from commands.worker.deliveries import Deliveries
from conftest import ReadDTC, api, browser, claim_one, make_vehicle, mark_seen, submit

pytestmark = pytest.mark.embedded

ACCOUNT, CHOICE = "/accounts/", "/accounts/mail/"
LONG = timedelta(minutes=2)


def ask(user: User) -> None:
    assert browser(user).post(CHOICE, {"wanted": "1"}).status_code == 302


def batch_of(user: User, count: int = 2) -> Batch:
    ids = [str(make_vehicle(number).pk) for number in range(count)]
    body = ReadDTC | {"vehicle_ids": ids}
    response = api(user).post("/api/v1/batches/", body)
    assert response.status_code == 201, response.content
    found: Batch = Batch.objects.get(pk=response.json()["batch_id"])
    return found


def end_batch(user: User, ago: timedelta = LONG) -> Batch:
    """Let one of two commands complete and one be refused."""
    batch = batch_of(user)
    Batch.objects.filter(pk=batch.pk).update(submitted_at=F("submitted_at") - ago)
    mark_seen()
    first, second = lifecycle.claim(2)
    lifecycle.complete(first, {})
    lifecycle.fail(second, "vehicle_refused", "No.")
    return batch


def scan(user: User, ago: timedelta = LONG, number: int = 7) -> Command:
    command = lifecycle.submit(user, make_vehicle(number), "ScanVehicle", {})
    Command.objects.filter(pk=command.pk).update(submitted_at=F("submitted_at") - ago)
    mark_seen()
    return command


def end_scan(user: User, ago: timedelta = LONG) -> Command:
    command = scan(user, ago)
    lifecycle.complete(claim_one(), {})
    return command


def end_campaign(user: User, ago: timedelta = LONG) -> Campaign:
    make_vehicle(1)
    made = api(user).post("/api/v1/campaigns/", ReadDTC | {"vehicle_filter": {}}).json()
    address = f"/api/v1/campaigns/{made['campaign_id']}/"
    assert api(user).post(f"{address}submit/").status_code == 200
    advance()
    Campaign.objects.update(started_at=F("started_at") - ago)
    lifecycle.complete(claim_one(), {})
    advance()
    advance()
    return Campaign.objects.get()


def advance() -> None:
    Campaign.objects.update(due_at=Now() - timedelta(seconds=1))
    progress.advance()
    mark_seen()


async def settle() -> None:
    await Deliveries().settle()


async def again() -> None:
    """Let the time of every back-off pass, and deliver what is due."""
    await in_thread(WebhookDelivery.objects.update, due_at=Now())
    await in_thread(Webhook.objects.update, paused_until=Now())
    await settle()


# --- What is sent

ENDS: list[tuple[Callable[..., Any], str, str]] = [  # the subject of the e-mail, and its link
    (end_batch, "Batch of ReadDTC: 1 completed, 1 failed", "batches"),
    (end_scan, "Scan of 1HGCM82623A000007: completed", "commands"),
    (end_campaign, "Campaign of ReadDTC: 1 completed", "campaigns"),
]


@pytest.mark.parametrize("expected", ENDS, ids=lambda expected: expected[-1])
async def test_the_end_of_what_took_long_is_told_to_the_user_who_started_it(
    starter: User, mail_server: MailServer, settings: Any, expected: Any
) -> None:
    end, title, path = expected
    settings.SITE_URL = "https://console.example.com"
    await in_thread(ask, starter)
    subject = await in_thread(end, starter)
    await settle()
    (mail,) = mail_server.received
    assert (mail["Subject"], mail["To"]) == (title, "starter@example.com")
    assert mail_server.recipients == ["starter@example.com"]
    sent = await in_thread(WebhookDelivery.objects.get)
    assert mail["Message-ID"] == f"<{sent.pk}@sovd>"
    assert f"https://console.example.com/{path}/{subject.pk}/" in mail.get_content()
    assert sent.state == "delivered"


@pytest.mark.parametrize("end", [end_batch, end_scan, end_campaign])
async def test_what_was_over_soon_is_not_told(
    starter: User, mail_server: MailServer, end: Any
) -> None:
    await in_thread(ask, starter)
    await in_thread(end, starter, timedelta(0))
    await settle()
    assert mail_server.received == []
    assert (await in_thread(WebhookDelivery.objects.get)).state == "dropped"


@pytest.mark.parametrize("end", [end_batch, end_scan, end_campaign])
def test_only_what_the_user_has_started_is_noted(
    starter: User, operator: User, mail_server: MailServer, end: Any
) -> None:
    ask(starter)
    starter.user_permissions.set([])  # neither does a right to see the others' make a difference
    User.objects.filter(pk=starter.pk).update(is_superuser=True)
    delivery.refresh_rights()
    assert not Webhook.objects.get().sees_all
    end(operator)
    outbox.note_ended_batches()
    assert not WebhookDelivery.objects.exists()


def test_a_scan_within_a_batch_and_other_commands_are_not_noted_by_themselves(
    starter: User, mail_server: MailServer
) -> None:
    ask(starter)
    ids = [str(make_vehicle(number).pk) for number in range(2)]
    body = {"command_name": "ScanVehicle", "command_params": {}, "vehicle_ids": ids}
    assert api(starter).post("/api/v1/batches/", body).status_code == 201
    mark_seen()
    lifecycle.complete(lifecycle.claim(1)[0], {})
    lifecycle.cancel_many(Command.objects.all())
    submit(starter, make_vehicle(9))
    lifecycle.complete(claim_one(), {})
    assert not WebhookDelivery.objects.exists()


def test_a_cancelled_scan_is_noted(starter: User, mail_server: MailServer) -> None:
    ask(starter)
    lifecycle.cancel(scan(starter))
    assert WebhookDelivery.objects.get().event == "command.ended"


def test_without_somebody_who_asked_an_end_costs_no_statement_more(
    starter: User, operator: User, mail_server: MailServer
) -> None:
    counts = []
    for number in range(2):
        scan(operator, number=number)
        command = claim_one()
        with CaptureQueriesContext(connection) as asked:
            lifecycle.complete(command, {})
        counts.append(len(asked))
        ask(starter)
    assert counts[0] == counts[1]


# --- At least once


async def test_a_failed_attempt_is_made_again_with_the_same_message_id(
    starter: User, mail_server: MailServer
) -> None:
    mail_server.answers = ["451 later", "554 no"]
    await in_thread(ask, starter)
    await in_thread(end_batch, starter)
    await settle()
    failed = await in_thread(WebhookDelivery.objects.get)
    assert (failed.state, failed.attempts) == ("pending", 1)
    assert "later" in failed.problem
    await again()
    await again()
    assert len({mail["Message-ID"] for mail in mail_server.received}) == 1
    assert len(mail_server.received) == 3
    assert (await in_thread(WebhookDelivery.objects.get)).state == "delivered"


async def test_a_mail_server_that_is_away_or_not_configured_loses_nothing(
    starter: User, mail_server: MailServer, settings: Any
) -> None:
    await in_thread(ask, starter)
    await in_thread(end_batch, starter)
    host, port = settings.EMAIL_HOST, settings.EMAIL_PORT
    settings.EMAIL_PORT = 1
    await settle()
    assert "refused" in (await in_thread(WebhookDelivery.objects.get)).problem
    settings.EMAIL_HOST, settings.EMAIL_PORT = "", port
    await again()
    assert "EMAIL_URL" in (await in_thread(WebhookDelivery.objects.get)).problem
    settings.EMAIL_HOST = host
    await again()
    assert len(mail_server.received) == 1


REFUSED = [("no address <", "starter@example.com"), ("sovd@localhost", "no address <")]


@pytest.mark.parametrize("addresses", REFUSED, ids=str)
async def test_an_e_mail_that_cannot_be_built_is_a_failed_attempt(
    starter: User, mail_server: MailServer, settings: Any, addresses: tuple[str, str]
) -> None:
    settings.DEFAULT_FROM_EMAIL, starter.email = addresses
    await in_thread(starter.save)
    await in_thread(ask, starter)
    await in_thread(end_scan, starter)
    await in_thread(WebhookDelivery.objects.update, attempts=delivery.MAX_ATTEMPTS - 2)
    for state in ("pending", "failed"):
        await again()
        tried = await in_thread(WebhookDelivery.objects.get)
        assert tried.state == state
        assert "Invalid address" in tried.problem
    assert (await in_thread(Webhook.objects.get)).failures == 2
    assert mail_server.received == []


def test_a_claimed_e_mail_is_given_five_minutes(starter: User, mail_server: MailServer) -> None:
    ask(starter)
    end_scan(starter)
    assert delivery.claim(Webhook.objects.get().pk)
    claimed = WebhookDelivery.objects.filter(due_at__gt=Now() + timedelta(minutes=4))
    assert claimed.get().attempts == 1


async def test_an_e_mail_without_a_result_is_not_sent_for_ever(
    starter: User, mail_server: MailServer
) -> None:
    await in_thread(ask, starter)
    await in_thread(end_scan, starter)
    await in_thread(WebhookDelivery.objects.update, attempts=delivery.MAX_ATTEMPTS)
    await again()
    failed = await in_thread(WebhookDelivery.objects.get)
    assert (failed.state, failed.problem) == ("failed", delivery.NO_RESULT)
    assert (await in_thread(Webhook.objects.get)).failures == 1
    assert mail_server.received == []


async def test_e_mails_are_counted_apart_from_webhooks(
    starter: User, mail_server: MailServer, settings: Any
) -> None:
    settings.WEBHOOK_MAX_FAILURES = 1
    mail_server.answers = ["451 later"]
    before = {by: counts(by) for by in ("mail", "webhook")}
    await in_thread(ask, starter)
    await in_thread(end_batch, starter)
    await settle()
    await in_thread(ask, starter)
    await again()
    assert counts("mail") == [count + 1 for count in before["mail"]]
    assert counts("webhook") == before["webhook"]


def counts(by: str) -> list[float]:
    """Return how many were delivered, failed once, and were disabled."""
    names = {
        "sovd_webhook_deliveries_total": {"by": by, "state": "delivered"},
        "sovd_webhook_failures_total": {"by": by},
        "sovd_webhooks_disabled_total": {"by": by},
    }
    return [registry().get_sample_value(name, labels) or 0.0 for name, labels in names.items()]


# --- The choice


def test_the_choice_is_made_and_taken_back_on_the_account_page(
    starter: User, mail_server: MailServer
) -> None:
    client = browser(starter)
    assert "Tell me by e-mail" in client.get(ACCOUNT).content.decode()
    ask(starter)
    ask(starter)  # the same again, in another tab
    page = client.get(ACCOUNT).content.decode()
    assert "Send no more e-mails" in page
    assert "starter@example.com" in page
    assert api(starter).get("/api/v1/webhooks/").status_code == 403
    client.post(CHOICE)
    assert not Webhook.objects.exists()
    entries = AuditEntry.objects.filter(action="change_account", username="starter")
    assert [entry.details["mail"] for entry in entries.order_by("pk")] == [True, True, False]


async def test_a_user_changes_the_address_to_which_e_mails_go(
    starter: User, mail_server: MailServer
) -> None:
    await in_thread(ask, starter)
    page = await in_thread(save_address, starter, "new@example.com")
    assert "Your e-mail address is saved." in page
    assert "new@example.com is told when" in page
    await in_thread(end_batch, starter)
    await settle()
    assert mail_server.recipients == ["new@example.com"]
    entry = await in_thread(AuditEntry.objects.get, details__has_key="email")
    assert (entry.action, entry.username) == ("change_account", "starter")
    assert entry.details == {"email": "new@example.com", "email_before": "starter@example.com"}


def test_a_new_address_begins_again_and_the_same_changes_nothing(
    starter: User, mail_server: MailServer
) -> None:
    ask(starter)
    failed = {"is_active": False, "failures": 9, "disabled_reason": "no such mailbox"}
    Webhook.objects.update(**failed)
    save_address(starter, "starter@example.com")
    assert not Webhook.objects.get().is_active
    assert not AuditEntry.objects.filter(details__has_key="email").exists()
    save_address(starter, "new@example.com")
    choice = Webhook.objects.get()
    assert (choice.is_active, choice.failures, choice.disabled_reason) == (True, 0, "")


def save_address(user: User, address: str) -> str:
    """Enter it in the form of the account page. Return the page that follows."""
    client = browser(user)
    return client.post("/accounts/address/", {"email": address}, follow=True).content.decode()


def test_a_wrong_address_changes_nothing(starter: User, mail_server: MailServer) -> None:
    for wrong in ("no address", "a@b", "x@example.com\nBcc: y@example.com", "x" * 260 + "@a.com"):
        assert "Your address was not changed." in save_address(starter, wrong)
    starter.refresh_from_db()
    assert starter.email == "starter@example.com"
    assert not AuditEntry.objects.filter(action="change_account").exists()


def test_without_an_address_no_e_mails_are_sent_any_more(
    starter: User, mail_server: MailServer
) -> None:
    ask(starter)
    assert "enter your e-mail address above first" in save_address(starter, "")
    assert not Webhook.objects.exists()


def test_an_e_mail_is_no_webhook_of_the_api(owner: User, mail_server: MailServer) -> None:
    User.objects.filter(pk=owner.pk).update(email="owner@example.com")
    ask(User.objects.get(pk=owner.pk))
    mail = Webhook.objects.get()
    assert api(owner).get("/api/v1/webhooks/").json()["results"] == []
    assert api(owner).get(f"/api/v1/webhooks/{mail.pk}/").status_code == 404


def test_without_a_mail_server_or_an_address_nothing_is_offered(
    starter: User, operator: User, mail_server: MailServer, settings: Any
) -> None:
    assert (
        "enter your e-mail address above first" in browser(operator).get(ACCOUNT).content.decode()
    )
    assert browser(operator).post(CHOICE, {"wanted": "1"}).status_code == 404
    settings.EMAIL_HOST = ""
    assert "E-mails" not in browser(starter).get(ACCOUNT).content.decode()
    assert browser(starter).post(CHOICE, {"wanted": "1"}).status_code == 404
    assert not Webhook.objects.exists()


def test_a_user_who_lost_the_address_is_sent_nothing_and_can_ask_again(
    starter: User, mail_server: MailServer
) -> None:
    ask(starter)
    User.objects.filter(pk=starter.pk).update(email="")
    delivery.refresh_rights()
    assert "no longer an e-mail address" in Webhook.objects.get().disabled_reason
    User.objects.filter(pk=starter.pk).update(email="new@example.com")
    ask(User.objects.get(pk=starter.pk))
    assert Webhook.objects.get().is_active
