"""Sessions of the console under Your account: which there are, and how each is ended."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management.utils import get_random_secret_key
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext

from commands.accounts import sessions
from commands.models import AuditEntry, BrowserSession, StreamTicket
from commands.worker.retention import delete_expired
from conftest import browser, submit, token_of
from vehicles.models import Vehicle

pytestmark = pytest.mark.embedded

ACCOUNT, OTHERS = "/accounts/", "/accounts/sessions/end-others/"
COMMANDS = "/api/v1/commands/"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
)
AGENTS = {
    FIREFOX: "Firefox on Windows",
    PHONE: "Safari on iPhone",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 "
    "Safari/537.36": "Chrome on Linux",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0": "Edge on Windows",
    "Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36": (
        "Chrome on Android"
    ),
    "curl/8.0": "curl/8.0",
    "": "Unknown program",
}


@pytest.mark.parametrize("agent", AGENTS)
def test_a_device_is_named_in_words(agent: str) -> None:
    assert sessions.device(agent) == AGENTS[agent]


def logged_in(user: User, agent: str) -> Client:
    """Log in as a browser does, by the login page."""
    client = Client(headers={"user-agent": agent})
    user.set_password("correct horse 7")
    User.objects.filter(pk=user.pk).update(password=user.password)
    form = {"username": user.username, "password": "correct horse 7"}
    assert client.post("/accounts/login/", form).status_code == 302
    return client


def rows(client: Client) -> list[tuple[str, str]]:
    page = client.get(ACCOUNT).content.decode().partition("sessions-heading")[2]
    found = re.findall(r"<tr><td>(.*?)</td><td>.*?</td><td>(.*?)</td></tr>", page)
    return [(device, "This one" if "This one" in action else "End") for device, action in found]


def pair(user: User) -> tuple[Client, Client]:
    """Return two sessions of one user, the first in Firefox, the second on a phone."""
    phone = logged_in(user, PHONE)
    laptop = browser(user, headers={"user-agent": FIREFOX})
    BrowserSession.objects.filter(user_agent="").update(user_agent=FIREFOX)
    return laptop, phone


def test_each_session_is_listed_and_this_one_marked(operator: User, stranger: User) -> None:
    laptop, phone = pair(operator)
    browser(stranger)
    assert sorted(rows(laptop)) == [("Firefox on Windows", "This one"), ("Safari on iPhone", "End")]
    assert sorted(rows(phone)) == [("Firefox on Windows", "End"), ("Safari on iPhone", "This one")]
    keys = BrowserSession.objects.values_list("key", flat=True)
    page = laptop.get(ACCOUNT).content.decode()
    assert not [key for key in keys if key in page]


def test_one_session_is_ended_and_the_other_goes_on(operator: User, stranger: User) -> None:
    laptop, phone = pair(operator)
    other = BrowserSession.objects.get(user_agent=PHONE)
    address = f"/accounts/sessions/{other.pk}/end/"
    assert browser(stranger).post(address).status_code == 404
    assert phone.get(COMMANDS).status_code == 200
    assert laptop.post(address).headers["location"] == ACCOUNT
    assert phone.get(COMMANDS).status_code == 401
    assert rows(laptop) == [("Firefox on Windows", "This one")]
    entry = AuditEntry.objects.filter(action="log_out").get()
    assert (entry.username, entry.details["device"]) == ("operator", "Safari on iPhone")


def test_all_others_are_ended_also_those_that_nobody_has_noted(
    operator: User, stranger: User
) -> None:
    laptop, phone = pair(operator)
    theirs = browser(stranger)
    BrowserSession.objects.filter(user_agent=PHONE).delete()  # begun before an upgrade
    assert laptop.post(OTHERS).headers["location"] == ACCOUNT
    assert phone.get(COMMANDS).status_code == 401
    assert laptop.get(COMMANDS).status_code == theirs.get(COMMANDS).status_code == 200
    assert AuditEntry.objects.get(action="log_out").details["other_sessions"] == 1


def test_the_sessions_that_are_noted_for_others_are_not_read(
    operator: User, stranger: User, caplog: pytest.LogCaptureFixture
) -> None:
    laptop, phone = pair(operator)
    browser(stranger)
    theirs = BrowserSession.objects.filter(user=stranger).values("key")
    Session.objects.filter(pk__in=theirs).update(session_data="a:b:c")
    assert laptop.post(OTHERS).status_code == 302
    assert phone.get(COMMANDS).status_code == 401
    assert "corrupted" not in caplog.text


def test_the_tickets_of_an_ended_session_open_no_stream(operator: User, vehicle: Vehicle) -> None:
    laptop, phone = pair(operator)
    body = {"command_id": str(submit(operator, vehicle).pk)}
    made = phone.post("/api/v1/stream-tickets/", body, content_type="application/json")
    assert made.status_code == 201
    assert StreamTicket.objects.count() == 1
    laptop.post(OTHERS)
    assert StreamTicket.objects.count() == 0


def test_the_use_of_a_session_is_written_down_about_once_a_minute(
    operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = browser(operator)
    past = Now() - timedelta(days=1)
    BrowserSession.objects.update(used_at=past)
    with CaptureQueriesContext(connection) as first:
        client.get(COMMANDS)
    assert not [query for query in first if "browsersession" in query["sql"]]
    monkeypatch.setattr(sessions, "NOTED_SECONDS", 0)
    client.get(COMMANDS)
    assert BrowserSession.objects.filter(used_at__gt=Now() - timedelta(hours=1)).count() == 1


def test_a_new_password_leaves_only_this_session_in_the_list(operator: User) -> None:
    client, phone = logged_in(operator, FIREFOX), browser(operator)
    assert phone.get(COMMANDS).status_code == 200
    form = {
        "old_password": "correct horse 7",
        "new_password1": "correct horse 8",
        "new_password2": "correct horse 8",
    }
    assert client.post(ACCOUNT, form).status_code == 302
    assert rows(client) == [("Firefox on Windows", "This one")]
    assert phone.get(COMMANDS).status_code == 401


def test_a_new_password_by_an_administrator_leaves_no_session_in_the_list(
    operator: User, stranger: User, admin_client: Client
) -> None:
    phone, theirs = browser(operator), browser(stranger)
    form = {
        "password1": "correct horse 8",
        "password2": "correct horse 8",
        "usable_password": "true",
    }
    address = f"/admin/auth/user/{operator.pk}/password/"
    assert admin_client.post(address, form).status_code == 302
    assert not BrowserSession.objects.filter(user=operator).exists()
    assert phone.get(COMMANDS).status_code == 401
    assert theirs.get(COMMANDS).status_code == 200
    again = browser(User.objects.get(pk=operator.pk), headers={"user-agent": FIREFOX})
    assert len(rows(again)) == 1


def test_a_change_of_anything_else_ends_no_session(operator: User, settings: Any) -> None:
    client = browser(operator)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = get_random_secret_key()
    operator.email = "operator@example.com"
    operator.save()
    assert client.get(COMMANDS).status_code == 200


def test_notes_on_sessions_that_are_gone_are_deleted(operator: User) -> None:
    kept, gone = browser(operator), browser(operator)
    gone.post("/accounts/logout/")
    assert len(rows(kept)) == 1
    delete_expired()
    assert BrowserSession.objects.count() == Session.objects.count() == 1


def with_token(client: Client, user: User) -> None:
    headers = {"authorization": f"Bearer {token_of(user)}"}
    assert client.get(COMMANDS, headers=headers).status_code == 200


def test_a_token_of_another_user_takes_no_session_over(operator: User, stranger: User) -> None:
    client = browser(operator)
    BrowserSession.objects.all().delete()
    sessions._noted.clear()
    with_token(client, stranger)
    assert not BrowserSession.objects.exists()
    client.get(COMMANDS)
    assert BrowserSession.objects.get().user == operator


def test_a_login_by_the_api_takes_no_session_over(operator: User, stranger: User) -> None:
    client = browser(operator)
    sessions._noted.clear()
    stranger.set_password("correct horse 7")
    stranger.save()
    form = {"username": stranger.username, "password": "correct horse 7"}
    assert client.post("/api/v1/token/", form, "application/json").status_code == 200
    assert BrowserSession.objects.get().user == operator


@pytest.mark.parametrize("key", ["unknown-key", "x" * 41])
def test_a_cookie_without_a_session_is_not_noted(operator: User, key: str) -> None:
    client = Client()
    client.cookies["sessionid"] = key
    with_token(client, operator)
    assert not BrowserSession.objects.exists()
