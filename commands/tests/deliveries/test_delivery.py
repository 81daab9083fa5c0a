"""Deliveries: signed, at least once, to checked addresses only."""

import socket
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_address, ip_network
from threading import Thread
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now

from commands import lifecycle
from commands.database.threads import in_thread
from commands.deliveries import addresses, delivery
from commands.models import AuditEntry, Batch, Command, Webhook, WebhookDelivery
from commands.tests.deliveries.receiver import Receiver, receiving, verify
from commands.worker.deliveries import Deliveries
from commands.worker.retention import delete_expired
from conftest import make_vehicle, submit, until

pytestmark = pytest.mark.embedded


def hook(user: User, url: str, **fields: Any) -> Webhook:
    found: Webhook = Webhook.objects.create(owner=user, url=url, of_commands=True, **fields)
    return found


def end_one(user: User, number: int = 101) -> Command:
    command = submit(user, make_vehicle(number))
    lifecycle.cancel(command)
    return command


def end_batch(user: User) -> Batch:
    batch = Batch.objects.create(submitted_by=user, command_name="ReadDTC", vehicle_count=2)
    for number in range(2):
        command = submit(user, make_vehicle(number))
        Command.objects.filter(pk=command.pk).update(batch=batch)
    lifecycle.cancel_many(batch.commands.all())
    return batch


async def settle() -> None:
    await Deliveries().settle()


async def again() -> None:
    """Let the time of every back-off pass, and deliver what is due."""
    await in_thread(WebhookDelivery.objects.update, due_at=Now())
    await in_thread(Webhook.objects.update, paused_until=Now())
    await settle()


async def the(rows: Any) -> Any:
    return await in_thread(rows.get)


# --- What is sent


async def test_what_is_sent_says_what_ended_and_is_signed(owner: User, receiver: Receiver) -> None:
    webhook = await in_thread(hook, owner, receiver.url)
    command = await in_thread(end_one, owner)
    await settle()
    (received,) = receiver.received
    sent = await the(WebhookDelivery.objects)
    assert received.path == "/hook"
    assert verify(webhook.secret, received.headers, received.body)
    assert not verify(webhook.secret, received.headers, received.body + b" ")
    assert received.headers["content-type"] == "application/json"
    assert received.headers["webhook-id"] == received.json["id"] == str(sent.pk)
    assert received.json["type"] == "command.ended"
    data = received.json["data"]
    assert (data["command_id"], data["status"]) == (str(command.pk), "cancelled")
    assert (data["vin"], data["submitted_by"]) == ("1HGCM82623A000101", "owner")
    assert (sent.state, sent.status_code, sent.attempts) == ("delivered", 204, 1)


async def test_the_end_of_a_batch_is_sent_with_its_counts(owner: User, receiver: Receiver) -> None:
    await in_thread(hook, owner, receiver.url, of_batches=True)
    batch = await in_thread(end_batch, owner)
    await settle()
    received = [each.json for each in receiver.received if each.json["type"] == "batch.ended"]
    (data,) = [each["data"] for each in received]
    assert (data["batch_id"], data["submitted_by"]) == (str(batch.pk), "owner")
    assert {status: number for status, number in data["counts"].items() if number} == {
        "cancelled": 2
    }


async def test_what_the_owner_may_no_longer_see_is_dropped(
    watcher: User, operator: User, receiver: Receiver
) -> None:
    await in_thread(hook, watcher, receiver.url, sees_all=True)
    await in_thread(end_one, operator)
    permission = watcher.user_permissions.filter(codename="view_command")
    await in_thread(lambda: watcher.user_permissions.remove(*permission))
    await settle()
    assert receiver.received == []
    assert (await the(WebhookDelivery.objects)).state == "dropped"


@pytest.mark.parametrize("change", ["inactive", "without the right"])
async def test_a_webhook_of_somebody_who_may_have_none_is_disabled(
    owner: User, receiver: Receiver, change: str
) -> None:
    await in_thread(hook, owner, receiver.url)
    await in_thread(end_one, owner)
    if change == "inactive":
        await in_thread(User.objects.filter(pk=owner.pk).update, is_active=False)
    else:
        await in_thread(owner.user_permissions.clear)
    await settle()
    await in_thread(delete_expired)
    assert receiver.received == []
    assert not (await the(Webhook.objects)).is_active


# --- At least once


async def test_a_failed_attempt_is_made_again_with_the_same_id_and_body(
    owner: User, receiver: Receiver
) -> None:
    receiver.answers = [(500, {}, b"x" * 5_000), (404, {}, b"no")]
    webhook = await in_thread(hook, owner, receiver.url)
    await in_thread(end_one, owner)
    await settle()
    failed = await the(WebhookDelivery.objects)
    assert (failed.state, failed.status_code, failed.answer) == ("pending", 500, "x" * 500)
    assert "500" in failed.problem
    await settle()
    assert len(receiver.received) == 1  # not before its time
    await again()
    assert (await the(Webhook.objects)).failures == 2
    await again()
    first, *_, last = receiver.received
    assert len(receiver.received) == 3
    assert (first.json, first.headers["webhook-id"]) == (last.json, last.headers["webhook-id"])
    assert verify(webhook.secret, last.headers, last.body)
    sent = await the(WebhookDelivery.objects)
    assert (sent.state, sent.attempts, sent.problem) == ("delivered", 3, "")
    assert (await the(Webhook.objects)).failures == 0


async def test_a_claim_that_was_not_written_down_is_made_again(
    owner: User, receiver: Receiver
) -> None:
    """Its worker died: before it sent anything, or after."""
    webhook = await in_thread(hook, owner, receiver.url)
    await in_thread(end_one, owner)
    claimed = await in_thread(delivery.claim, webhook.pk)
    assert claimed
    assert await in_thread(delivery.claim, webhook.pk) is None  # nobody else has it meanwhile
    await again()
    assert receiver.received[0].json["id"] == str(claimed[0].pk)
    await in_thread(delivery.write_down, claimed[0], delivery.Attempt("Too late."))
    assert (await the(WebhookDelivery.objects)).state == "delivered"


def test_the_delays_grow_up_to_an_hour() -> None:
    delays = [delivery.delay_after(n).total_seconds() for n in (1, 2, 10, 200)]
    assert [5 <= delays[0] <= 15, 10 <= delays[1] <= 30] == [True, True]
    assert all(1_800 <= delay <= 5_400 for delay in delays[2:])


async def test_a_delivery_is_given_up_after_the_last_attempt(
    owner: User, receiver: Receiver
) -> None:
    receiver.answers = [(500, {}, b"")] * 2
    await in_thread(hook, owner, receiver.url)
    await in_thread(end_one, owner)
    await in_thread(WebhookDelivery.objects.update, attempts=delivery.MAX_ATTEMPTS - 2)
    await settle()
    assert (await the(WebhookDelivery.objects)).state == "pending"
    await again()
    assert (await the(WebhookDelivery.objects)).state == "failed"
    await again()
    assert len(receiver.received) == 2


async def test_a_webhook_is_disabled_after_many_failures_and_says_so(
    owner: User, receiver: Receiver, settings: Any
) -> None:
    settings.WEBHOOK_MAX_FAILURES = 2
    receiver.answers = [(500, {}, b"")] * 2
    await in_thread(hook, owner, receiver.url)
    await in_thread(end_one, owner)
    await settle()
    assert (await the(Webhook.objects)).is_active
    await again()
    webhook = await the(Webhook.objects)
    assert not webhook.is_active
    assert "2 attempts" in webhook.disabled_reason
    entry = await the(AuditEntry.objects.filter(action="disable_webhook"))
    assert entry.subject == str(webhook.pk)
    await again()
    assert len(receiver.received) == 2


async def test_a_receiver_that_does_not_answer_holds_up_no_other(
    owner: User, receiver: Receiver
) -> None:
    receiver.go.clear()
    with receiving() as other:
        for server in (receiver, other):
            await in_thread(hook, owner, server.url)
        for number in (1, 2, 3):
            await in_thread(end_one, owner, number)
        deliveries = Deliveries()
        await deliveries.step()
        await until(lambda: len(other.received) == 3 and len(receiver.received) == 1)
        receiver.go.set()
        await deliveries.settle()
    assert await in_thread(WebhookDelivery.objects.filter(state="delivered").count) == 6


async def test_a_receiver_that_never_answers_is_left(
    owner: User, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "SECONDS", 0.2)
    receiver.go.clear()
    await in_thread(hook, owner, receiver.url)
    await in_thread(end_one, owner)
    await settle()
    assert "No answer within" in (await the(WebhookDelivery.objects)).problem


def test_old_entries_of_the_log_are_deleted(owner: User, settings: Any) -> None:
    hook(owner, "https://example.com/")
    end_one(owner, 1)
    end_one(owner, 2)
    old = WebhookDelivery.objects.order_by("pk")[:1].get()
    age = timedelta(days=settings.WEBHOOK_LOG_DAYS)
    WebhookDelivery.objects.filter(pk=old.pk).update(created_at=Now() - age)
    delete_expired()
    assert list(WebhookDelivery.objects.filter(pk=old.pk)) == []
    assert WebhookDelivery.objects.count() == 1


# --- Addresses

PRIVATE = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",  # noqa: S104 - refused
    "224.0.0.1",
    "255.255.255.255",
    "192.0.2.1",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "fe80::1",
    "fc00::1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "64:ff9b::7f00:1",
]
PUBLIC = ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("address", PRIVATE)
async def test_no_other_address_than_a_public_one_is_allowed(address: str) -> None:
    with pytest.raises(addresses.NotAllowed, match="WEBHOOK_ALLOWED_NETWORKS"):
        await addresses.checked_addresses(address)


@pytest.mark.parametrize("address", PUBLIC)
async def test_public_addresses_are_allowed(address: str) -> None:
    assert await addresses.checked_addresses(address) == [str(ip_address(address))]


async def test_a_setting_allows_more_networks(settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = [ip_network("10.0.0.0/8"), ip_network("fc00::/7")]
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "fc00::1", "8.8.8.8"):
        assert await addresses.checked_addresses(address) == [str(ip_address(address))]
    with pytest.raises(addresses.NotAllowed):
        await addresses.checked_addresses("192.168.1.1")


Names = Callable[[str, list[str]], None]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """Let a name server answer as the test says: each list once, the last one for ever."""
    known: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def resolve(host: str, *arguments: Any, **more: Any) -> Any:
        texts = known.get(host)
        if texts is None:
            return real(host, *arguments, **more)
        answer = texts.pop(0) if len(texts) > 1 else texts[0]
        return [each for text in answer.split() for each in real(text, *arguments, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return lambda host, answers: known.update({host: answers})


async def test_a_name_with_both_kinds_of_addresses_is_refused(names: Names) -> None:
    names("both.example", ["8.8.8.8 10.0.0.1"])
    with pytest.raises(addresses.NotAllowed, match=r"10\.0\.0\.1"):
        await addresses.checked_addresses("both.example")


async def test_another_address_at_the_second_resolution_is_of_no_use(
    owner: User, receiver: Receiver, names: Names, settings: Any
) -> None:
    """The address that was checked is connected to, however the name is resolved later."""
    settings.WEBHOOK_ALLOWED_NETWORKS = [ip_network("127.0.0.1/32")]
    names("rebinding.example", ["127.0.0.1", "127.0.0.2"])
    url = f"http://rebinding.example:{receiver.server_port}/"
    await in_thread(hook, owner, url)
    await in_thread(end_one, owner)
    await settle()
    (received,) = receiver.received
    assert received.headers["host"] == f"rebinding.example:{receiver.server_port}"
    await in_thread(end_one, owner, 2)
    await again()
    assert len(receiver.received) == 1
    assert await in_thread(WebhookDelivery.objects.filter(problem__contains="127.0.0.2").count) == 1


async def test_nothing_connects_to_an_address_that_is_not_allowed(
    owner: User, receiver: Receiver, settings: Any
) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = []
    await in_thread(hook, owner, receiver.url)
    await in_thread(end_one, owner)
    await settle()
    assert receiver.received == []
    assert "127.0.0.1" in (await the(WebhookDelivery.objects)).problem


async def test_http_needs_a_setting(owner: User, receiver: Receiver, settings: Any) -> None:
    settings.WEBHOOK_ALLOW_HTTP = False
    await in_thread(hook, owner, receiver.url)
    await in_thread(end_one, owner)
    await settle()
    assert receiver.received == []
    assert "https" in (await the(WebhookDelivery.objects)).problem


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(owner: User, receiver: Receiver, code: int) -> None:
    with receiving() as inside:
        receiver.answers = [(code, {"Location": inside.url}, b"")]
        await in_thread(hook, owner, receiver.url)
        await in_thread(end_one, owner)
        await settle()
        assert inside.received == []
    assert "not followed" in (await the(WebhookDelivery.objects)).problem


async def test_an_endless_answer_is_not_read(owner: User, receiver: Receiver) -> None:
    """Only its beginning: the rest would come for ever."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=_answer_without_end, args=(server,))
        thread.start()
        await in_thread(hook, owner, f"http://127.0.0.1:{server.getsockname()[1]}/")
        await in_thread(end_one, owner)
        await settle()
        await in_thread(thread.join)
    sent = await the(WebhookDelivery.objects)
    assert (sent.state, sent.answer) == ("delivered", "y" * 500)


def _answer_without_end(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(65_536)
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
            while True:
                connection.sendall(b"y" * 4_096)
        except OSError:
            pass
