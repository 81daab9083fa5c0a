"""A worker that is killed between its claim of a delivery and the answer."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db import connection
from django.db.models.functions import Now

from commands import lifecycle
from commands.models import Webhook, WebhookDelivery
from commands.tests.webhooks.receiver import Receiver
from commands.worker.webhooks import Deliveries
from conftest import make_vehicle, submit
from dev.processes import WORKER, production
from sovd.tests.processes import running, until


def test_a_delivery_of_a_worker_that_was_killed_is_made_again_with_its_id(
    owner: User, receiver: Receiver, tmp_path: Path
) -> None:
    receiver.go.clear()
    Webhook.objects.create(owner=owner, url=receiver.url, of_commands=True)
    lifecycle.cancel(submit(owner, make_vehicle()))
    url = urlsplit(os.environ["DATABASE_URL"])
    database_url = url._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    given = production(database_url, os.environ["REDIS_URL"], tmp_path) | {
        "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
        "WEBHOOK_ALLOW_HTTP": "1",
    }
    with running(*WORKER, **given) as worker:
        until(lambda: receiver.received)
        worker.kill()
        worker.wait()
    claimed = WebhookDelivery.objects.get()
    assert (claimed.state, claimed.attempts) == ("pending", 1)
    assert WebhookDelivery.objects.due().count() == 0  # another worker gives it time
    WebhookDelivery.objects.update(due_at=Now())
    receiver.go.set()
    async_to_sync(Deliveries().settle)()
    first, second = receiver.received
    assert first.json == second.json
    assert second.json["id"] == str(claimed.pk)
    assert WebhookDelivery.objects.get().state == "delivered"
