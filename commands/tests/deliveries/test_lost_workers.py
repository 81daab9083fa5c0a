"""A worker that is killed between its claim of a delivery and the answer."""

import os
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from commands import lifecycle
from commands.models import Command, Webhook, WebhookDelivery
from commands.tests.deliveries.mail_server import MailServer
from commands.tests.deliveries.receiver import Receiver
from commands.worker.deliveries import Deliveries
from conftest import browser, make_vehicle, submit
from dev.processes import WORKER, production
from sovd.tests.processes import running, until


def given(directory: Path) -> dict[str, object]:
    """Return the environment of a worker on the database of this test."""
    url = urlsplit(os.environ["DATABASE_URL"])
    database_url = url._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    return production(database_url, os.environ["REDIS_URL"], directory)


def claimed_and_due() -> WebhookDelivery:
    """Return the delivery that the killed worker has claimed, once its time is over."""
    claimed: WebhookDelivery = WebhookDelivery.objects.get()
    assert (claimed.state, claimed.attempts) == ("pending", 1)
    assert WebhookDelivery.objects.due().count() == 0  # another worker gives it time
    WebhookDelivery.objects.update(due_at=Now())
    return claimed


def test_a_delivery_of_a_worker_that_was_killed_is_made_again_with_its_id(
    owner: User, receiver: Receiver, tmp_path: Path
) -> None:
    receiver.go.clear()
    Webhook.objects.create(owner=owner, url=receiver.url, of_commands=True)
    lifecycle.cancel(submit(owner, make_vehicle()))
    reachable = {"WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8", "WEBHOOK_ALLOW_HTTP": "1"}
    with running(*WORKER, **given(tmp_path), **reachable) as worker:
        until(lambda: receiver.received)
        worker.kill()
        worker.wait()
    claimed = claimed_and_due()
    receiver.go.set()
    async_to_sync(Deliveries().settle)()
    first, second = receiver.received
    assert first.json == second.json
    assert second.json["id"] == str(claimed.pk)
    assert WebhookDelivery.objects.get().state == "delivered"


def test_an_e_mail_of_a_worker_that_was_killed_is_sent_again_with_its_id(
    starter: User, mail_server: MailServer, tmp_path: Path
) -> None:
    mail_server.go.clear()
    assert browser(starter).post("/accounts/mail/", {"wanted": "1"}).status_code == 302
    scan = lifecycle.submit(starter, make_vehicle(), "ScanVehicle", {})
    scan_began = timezone.now() - timedelta(minutes=2)
    Command.objects.filter(pk=scan.pk).update(submitted_at=scan_began)
    lifecycle.cancel(scan)
    url = f"smtp://127.0.0.1:{mail_server.port}"
    with running(*WORKER, **given(tmp_path), EMAIL_URL=url) as worker:
        until(lambda: mail_server.received)
        worker.kill()
        worker.wait()
    claimed = claimed_and_due()
    mail_server.go.set()
    async_to_sync(Deliveries().settle)()
    assert [mail["Message-ID"] for mail in mail_server.received] == [f"<{claimed.pk}@sovd>"] * 2
    assert WebhookDelivery.objects.get().state == "delivered"
