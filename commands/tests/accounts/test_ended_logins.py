"""Ends of the sessions and tokens of a user: by logout, a changed password and deactivation."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from commands.models import AuditEntry, StreamTicket, TokenFamily
from commands.tests.accounts.doors import (
    COMMANDS,
    TOKEN,
    ask,
    log_out,
    refresh,
    tokens_of,
    with_header,
)
from commands.worker.retention import delete_expired
from conftest import api, browser, submit
from vehicles.models import Vehicle

EVERYWHERE = "/accounts/logout-everywhere/"  # the button in the menu of the account

# Logout


@pytest.mark.embedded
def test_logout_ends_the_tokens_of_one_login(operator: User) -> None:
    tokens, other = tokens_of(operator), tokens_of(operator)
    assert [log_out(tokens["refresh"]).status_code for _ in range(2)] == [204, 401]
    assert refresh(tokens["refresh"]).status_code == ask(tokens["access"]) == 401
    assert ask(other["access"]) == 200


def test_logout_with_a_spent_token_ends_its_successors(operator: User) -> None:
    first = tokens_of(operator)["refresh"]
    second = refresh(first).json()
    assert log_out(first).status_code == 204
    assert refresh(second["refresh"]).status_code == ask(second["access"]) == 401


def assert_all_ended(tokens: dict[str, str], session: Client) -> None:
    assert ask(tokens["access"]) == 401
    assert refresh(tokens["refresh"]).status_code == 401
    assert session.get(COMMANDS).status_code == 401
    assert not StreamTicket.objects.exists()


def get_ticket(user: User, vehicle: Vehicle) -> None:
    body = {"command_id": str(submit(user, vehicle).pk)}
    assert api(user).post("/api/v1/stream-tickets/", body).status_code == 201


@pytest.mark.embedded
@pytest.mark.parametrize("by", ["token", "session"])
def test_logout_everywhere(operator: User, stranger: User, vehicle: Vehicle, by: str) -> None:
    tokens, session, theirs = tokens_of(operator), browser(operator), tokens_of(stranger)
    their_session = browser(stranger)
    get_ticket(operator, vehicle)
    client: Any = browser(operator)
    if by == "token":
        client = api(operator)
    assert client.post(f"{TOKEN}logout-everywhere/").status_code == 204
    assert_all_ended(tokens, session)
    assert client.get(COMMANDS).status_code == 401
    assert ask(theirs["access"]) == their_session.get(COMMANDS).status_code == 200
    ended = AuditEntry.objects.get(action="log_out")
    assert (ended.username, ended.details) == ("operator", {"everywhere": True})


def test_the_button_in_the_console_logs_out_everywhere(operator: User, vehicle: Vehicle) -> None:
    tokens, other_session, session = tokens_of(operator), browser(operator), browser(operator)
    get_ticket(operator, vehicle)
    assert EVERYWHERE in session.get("/").content.decode()
    assert session.post(EVERYWHERE).headers["location"] == "/accounts/login/"
    assert_all_ended(tokens, other_session)
    ended = AuditEntry.objects.get(action="log_out")
    assert (ended.username, ended.details) == ("operator", {"everywhere": True})


def test_logout_everywhere_needs_a_login_and_a_csrf_token(operator: User) -> None:
    address = f"{TOKEN}logout-everywhere/"
    assert api(None).post(address).status_code == 401
    session = browser(operator, enforce_csrf_checks=True)
    assert session.post(address).status_code == session.post(EVERYWHERE).status_code == 403
    assert session.get(COMMANDS).status_code == 200


# Password change and deactivation


def change_own_password(operator: User, admin: Client) -> None:
    form = {"old_password": "sovd-demo", "new_password1": NEW, "new_password2": NEW}
    assert browser(operator).post("/admin/password_change/", form).status_code == 302


def change_by_admin(operator: User, admin: Client) -> None:
    form = {"password1": NEW, "password2": NEW, "usable_password": "true"}
    assert admin.post(f"/admin/auth/user/{operator.pk}/password/", form).status_code == 302


def change_by_sql(operator: User, admin: Client) -> None:
    User.objects.filter(pk=operator.pk).update(password="new")


def deactivate_in_admin(operator: User, admin: Client) -> None:
    joined = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    form = {"username": "operator", "is_staff": "on", **joined}
    assert admin.post(f"/admin/auth/user/{operator.pk}/change/", form).status_code == 302
    operator.refresh_from_db()
    assert not operator.is_active


def deactivate_by_sql(operator: User, admin: Client) -> None:
    User.objects.filter(pk=operator.pk).update(is_active=False)


NEW = "correct horse 7"
ENDS: list[Callable[[User, Client], None]] = [
    change_own_password,
    change_by_admin,
    change_by_sql,
    deactivate_in_admin,
    deactivate_by_sql,
]


@pytest.fixture
def admin(transactional_db: None) -> Client:
    return browser(User.objects.create_superuser("admin"))


@pytest.mark.parametrize("end", ENDS)
def test_a_changed_password_and_a_deactivated_user_end_every_login(
    operator: User, admin: Client, end: Callable[[User, Client], None]
) -> None:
    tokens, session = tokens_of(operator), browser(operator)
    end(operator, admin)
    assert_all_ended(tokens, session)
    delete_expired()
    User.objects.update(is_active=True)
    assert refresh(tokens["refresh"]).status_code == ask(tokens["access"]) == 401


def test_a_user_who_was_deactivated_in_the_admin_has_no_session_afterwards(
    operator: User, admin: Client, vehicle: Vehicle
) -> None:
    session = browser(operator)
    get_ticket(operator, vehicle)
    deactivate_in_admin(operator, admin)
    User.objects.update(is_active=True)
    assert session.get(COMMANDS).status_code == 401
    assert not StreamTicket.objects.exists()


def test_a_changed_password_ends_tickets(operator: User, admin: Client, vehicle: Vehicle) -> None:
    get_ticket(operator, vehicle)
    change_by_admin(operator, admin)
    assert not StreamTicket.objects.exists()


def test_other_changes_of_a_user_end_nothing(operator: User) -> None:
    tokens, session = tokens_of(operator), browser(operator)
    operator.refresh_from_db()
    operator.email = "operator@example.com"
    operator.save()
    assert ask(tokens["access"]) == session.get(COMMANDS).status_code == 200


def test_a_lost_right_counts_at_once(operator: User) -> None:
    User.objects.update(is_superuser=True)
    access = tokens_of(operator)["access"]
    assert with_header(f"Bearer {access}").post(COMMANDS, {}).status_code == 400
    User.objects.update(is_superuser=False)
    operator.user_permissions.clear()
    assert with_header(f"Bearer {access}").post(COMMANDS, {}).status_code == 403


def test_a_deleted_user_has_no_tokens(operator: User) -> None:
    tokens = tokens_of(operator)
    operator.delete()
    assert refresh(tokens["refresh"]).status_code == ask(tokens["access"]) == 401


# The page of the account

ACCOUNT = "/accounts/"
NEW = "a long new password 7"


def change_password(client: Client, old: str = "sovd-demo", again: str = NEW) -> Any:
    body = {"old_password": old, "new_password1": NEW, "new_password2": again}
    return client.post(ACCOUNT, body)


@pytest.mark.embedded
def test_a_new_password_ends_all_other_logins(operator: User) -> None:
    operator.set_password("sovd-demo")
    operator.save()
    tokens, other, session = tokens_of(operator), browser(operator), browser(operator)
    changed = change_password(session)
    assert (changed.status_code, changed["Location"]) == (302, ACCOUNT)
    assert "Your password is changed." in session.get(ACCOUNT).content.decode()
    assert other.get(COMMANDS).status_code == ask(tokens["access"]) == 401
    operator.refresh_from_db()
    assert operator.check_password(NEW)
    assert AuditEntry.objects.filter(username="operator", action="change_password").count() == 1


@pytest.mark.parametrize(
    ("old", "again", "problem"),
    [
        ("wrong", NEW, "Your old password was entered incorrectly."),
        ("sovd-demo", "another", "The two password fields didn"),
    ],
)
def test_a_password_is_not_changed_by_mistake(
    operator: User, old: str, again: str, problem: str
) -> None:
    operator.set_password("sovd-demo")
    operator.save()
    session = browser(operator)
    assert problem in change_password(session, old, again).content.decode()
    assert session.get(COMMANDS).status_code == 200
    operator.refresh_from_db()
    assert operator.check_password("sovd-demo")


def test_guesses_of_the_old_password_are_limited(operator: User, settings: Any) -> None:
    settings.THROTTLE_LOGIN = "2/minute"
    session = browser(operator)
    codes = [change_password(session, "wrong").status_code for _ in range(3)]
    assert codes == [200, 200, 429]
    guesses = AuditEntry.objects.filter(username="operator", action="log_in_failed")
    assert [each.details.get("locked_out", False) for each in guesses].count(False) == 2


@pytest.mark.embedded
def test_a_user_ends_one_login_of_their_own(operator: User, stranger: User) -> None:
    mine, theirs = tokens_of(operator), tokens_of(stranger)
    families = [TokenFamily.objects.get(user=user).pk for user in (operator, stranger)]
    addresses = [f"{ACCOUNT}logins/{pk}/end/" for pk in families]
    kept, session = tokens_of(operator), browser(operator)
    page = session.get(ACCOUNT).content.decode()
    assert [address in page for address in addresses] == [True, False]
    assert [session.post(address).status_code for address in addresses] == [302, 404]
    assert [ask(each["access"]) for each in (mine, kept, theirs)] == [401, 200, 200]
