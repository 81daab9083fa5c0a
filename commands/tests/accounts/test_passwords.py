"""Rules for new passwords, at each place where one is chosen."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

WEAK = ["password", "12345678901", "operator1", "short1"]


@pytest.fixture
def admin(operator: User) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("admin"))
    return client


def own(operator: User, admin: Client, password: str) -> Any:
    client = Client()
    client.force_login(operator)
    form = {"old_password": "sovd-demo", "new_password1": password, "new_password2": password}
    return client.post("/admin/password_change/", form)


def of_a_new_user(operator: User, admin: Client, password: str) -> Any:
    form = {"username": "operator", "password1": password, "password2": password}
    return admin.post("/admin/auth/user/add/", form | {"usable_password": "true"})


def of_another_user(operator: User, admin: Client, password: str) -> Any:
    form = {"password1": password, "password2": password, "usable_password": "true"}
    return admin.post(f"/admin/auth/user/{operator.pk}/password/", form)


@pytest.mark.parametrize("choose", [own, of_a_new_user, of_another_user])
@pytest.mark.parametrize("password", WEAK)
def test_a_weak_password_is_refused(
    operator: User, admin: Client, choose: Any, password: str
) -> None:
    response = choose(operator, admin, password)
    assert response.status_code == 200
    assert b"password" in response.content
    operator.refresh_from_db()
    assert not operator.check_password(password)
    assert User.objects.count() == 2


def test_a_strong_password_is_accepted(operator: User, admin: Client) -> None:
    assert own(operator, admin, "correct horse 7").status_code == 302
