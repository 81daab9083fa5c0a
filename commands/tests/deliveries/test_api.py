"""The routes of webhooks: who has them, what they may be, and what the log says."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from commands.database.threads import in_thread
from commands.models import AuditEntry, Webhook, WebhookDelivery
from commands.tests.deliveries.receiver import Receiver, verify
from commands.worker.deliveries import Deliveries
from conftest import api, make_user

pytestmark = pytest.mark.embedded

WEBHOOKS = "/api/v1/webhooks/"
BODY = {"url": "https://8.8.8.8/hook", "events": ["command.ended", "batch.ended"]}


def post(user: User, **body: Any) -> Any:
    return api(user).post(WEBHOOKS, BODY | body)


def registered(user: User, **body: Any) -> Any:
    response = post(user, **body)
    assert response.status_code == 201, response.content
    return response.json()


def at(webhook: Any, rest: str = "") -> str:
    return f"{WEBHOOKS}{webhook['webhook_id']}/{rest}"


def test_the_secret_is_shown_once(owner: User) -> None:
    made = registered(owner)
    assert made["secret"] == Webhook.objects.get().secret
    del made["secret"]
    assert api(owner).get(at(made)).json() == made
    assert api(owner).get(WEBHOOKS).json()["results"] == [made]
    assert (made["owner"], made["is_active"], made["events"]) == ("owner", True, BODY["events"])
    assert "secret" not in str(AuditEntry.objects.get(action="add_webhook").details)


def test_secrets_differ(owner: User) -> None:
    assert registered(owner)["secret"] != registered(owner)["secret"]


WRONG = [
    ("url", "http://8.8.8.8/"),
    ("url", "ftp://8.8.8.8/"),
    ("url", "https://"),
    ("url", "8.8.8.8"),
    ("url", "https://user:password@8.8.8.8/"),
    ("url", "https://8.8.8.8/#part"),
    ("url", "https://127.0.0.1/"),
    ("url", "https://[::1]/"),
    ("url", "https://[::ffff:10.0.0.1]/"),
    ("url", "https://localhost/"),
    ("url", "https://2130706433/"),
    ("url", "https://0x7f.1/"),
    ("url", "https://8.8.8.8:99999/"),
    ("url", "https://8.8.8.8/" + "x" * 2_000),
    ("url", 1),
    ("events", []),
    ("events", ["webhook.test"]),
    ("events", ["command.ended", "command.ended"]),
    ("is_active", "yes"),
    ("secret", "mine"),
    ("colour", "red"),
]


@pytest.mark.parametrize(("field", "value"), WRONG, ids=str)
def test_a_wrong_webhook_is_refused_by_its_field(owner: User, field: str, value: Any) -> None:
    response = post(owner, **{field: value})
    assert response.status_code == 400, response.content
    assert [name.split(".")[0] for name in response.json()["fields"]] == [field]
    assert Webhook.objects.count() == 0


def test_a_user_has_a_limited_number(owner: User, settings: Any) -> None:
    settings.THROTTLE_COMMANDS = ""
    for _ in range(20):
        registered(owner)
    assert "limit" in post(owner).json()["fields"]["url"][0]


def test_a_webhook_is_changed_by_its_owner(owner: User) -> None:
    made = registered(owner)
    body = {"events": ["campaign.ended"], "url": "https://8.8.4.4/"}
    assert api(owner).patch(at(made), body).json()["events"] == ["campaign.ended"]
    changed = Webhook.objects.get()
    assert (changed.url, changed.of_commands, changed.of_campaigns) == (body["url"], False, True)
    assert api(owner).patch(at(made), {"url": "https://127.0.0.1/"}).status_code == 400
    assert api(owner).delete(at(made)).status_code == 204
    actions = AuditEntry.objects.filter(subject=made["webhook_id"]).order_by("pk")
    assert list(actions.values_list("action", flat=True)) == [
        *("add_webhook", "change_webhook", "delete_webhook")
    ]


def test_a_disabled_webhook_is_enabled_again(owner: User) -> None:
    made = registered(owner)
    Webhook.objects.update(is_active=False, failures=30, disabled_reason="Too many.")
    seen = api(owner).get(at(made)).json()
    assert (seen["is_active"], seen["disabled_reason"], seen["failures"]) == (
        *(False, "Too many.", 30),
    )
    seen = api(owner).patch(at(made), {"is_active": True}).json()
    assert (seen["is_active"], seen["disabled_reason"], seen["failures"]) == (True, "", 0)


def test_who_may_change_all_webhooks_stops_one_and_cannot_turn_it_elsewhere(owner: User) -> None:
    chief = make_user("chief", "add_webhook", "change_webhook")
    made = registered(owner)
    assert api(chief).patch(at(made), {"url": "https://8.8.4.4/"}).status_code == 403
    assert api(chief).patch(at(made), {"is_active": False}).status_code == 200
    assert not Webhook.objects.get().is_active


def test_the_new_secret_is_shown_once_and_to_the_owner_only(owner: User) -> None:
    chief = make_user("chief", "add_webhook", "change_webhook")
    made = registered(owner)
    assert api(chief).post(at(made, "secret/")).status_code == 403
    seen = api(owner).post(at(made, "secret/")).json()
    webhook = Webhook.objects.get()
    assert seen["secret"] == webhook.secret != made["secret"]
    assert webhook.old_secret == made["secret"]
    assert webhook.old_secret_until is not None
    assert timedelta(hours=23) < webhook.old_secret_until - timezone.now() < timedelta(hours=24.1)
    assert api(owner).get(at(made)).json() == {
        name: value for name, value in seen.items() if name != "secret"
    }
    entry = AuditEntry.objects.get(action="rotate_secret")
    assert (entry.username, entry.subject) == ("owner", made["webhook_id"])
    assert not {webhook.secret, webhook.old_secret} & set(entry.details.values())


async def test_the_former_secret_signs_as_well_until_its_time_is_over(
    owner: User, receiver: Receiver
) -> None:
    first = await in_thread(registered, owner, url=receiver.url)
    client = await in_thread(api, owner)
    second = (await in_thread(client.post, at(first, "secret/"))).json()
    await in_thread(client.post, at(first, "test/"))
    await Deliveries().settle()
    past = timezone.now() - timedelta(seconds=1)
    await in_thread(Webhook.objects.update, old_secret_until=past)
    await in_thread(client.post, at(first, "test/"))
    await Deliveries().settle()
    found = [
        [verify(made["secret"], sent.headers, sent.body) for made in (first, second)]
        for sent in receiver.received
    ]
    assert found == [[True, True], [False, True]]
    numbers = [len(sent.headers["webhook-signature"].split()) for sent in receiver.received]
    assert numbers == [2, 1]


async def test_a_test_arrives_and_is_in_the_log(owner: User, receiver: Receiver) -> None:
    made = await in_thread(registered, owner, url=receiver.url)
    client = await in_thread(api, owner)
    sent = await in_thread(client.post, at(made, "test/"))
    assert (sent.status_code, sent.json()["state"]) == (202, "pending")
    await Deliveries().settle()
    (received,) = receiver.received
    assert (received.json["type"], received.json["data"]) == ("webhook.test", {})
    assert verify(made["secret"], received.headers, received.body)
    log = (await in_thread(client.get, at(made, "deliveries/?state=delivered"))).json()["results"]
    assert [(each["delivery_id"], each["status_code"]) for each in log] == [
        (sent.json()["delivery_id"], 204)
    ]
    none = await in_thread(client.get, at(made, "deliveries/?state=failed"))
    assert none.json()["results"] == []


def test_a_deleted_webhook_takes_its_log_along(owner: User) -> None:
    made = registered(owner)
    assert api(owner).post(at(made, "test/")).status_code == 202
    assert api(owner).delete(at(made)).status_code == 204
    assert WebhookDelivery.objects.count() == 0
