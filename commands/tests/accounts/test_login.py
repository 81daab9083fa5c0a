"""The login page: where it leads after a login."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from conftest import browser, make_user

LOG_IN = "/accounts/login/"
ADMIN = "/admin/commands/command/?status__exact=failed"


def post(client: Client, next_: str) -> Any:
    form = {"username": "operator", "password": "sovd-demo", "next": next_}
    return client.post(LOG_IN, form)


@pytest.mark.embedded
def test_the_admin_uses_the_same_login_page_and_leads_back(operator: User) -> None:
    client = Client()
    page = client.get(ADMIN, follow=True)
    assert page.redirect_chain[-1][0].startswith(LOG_IN)
    assert page.templates[0].name == "registration/login.html"
    assert post(client, page.context["next"]).headers["Location"] == ADMIN
    assert client.get(ADMIN).status_code == 200


def test_the_address_of_the_admins_login_leads_to_the_admin(transactional_db: None) -> None:
    assert Client().get("/admin/login/").headers["Location"] == f"{LOG_IN}?next=%2Fadmin%2F"


FOREIGN = ["http://evil.example", "//evil.example", "javascript:alert(1)", "\\\\evil.example", ""]


@pytest.mark.parametrize("target", FOREIGN)
def test_the_login_page_leads_to_no_other_site(operator: User, target: str) -> None:
    assert post(Client(), target).headers["Location"] == "/"
    response = browser(operator).get(LOG_IN, {"next": target})
    assert (response.status_code, response.headers["Location"]) == (302, "/")
    there = Client().get("/admin/login/", {"next": target}).headers["Location"]
    assert there.startswith(f"{LOG_IN}?next=")


@pytest.mark.parametrize(
    ("query", "target"),
    [("", "/"), ("?next=/vehicles/", "/vehicles/"), ("?next=/admin/", "/admin/")],
)
def test_a_user_who_is_logged_in_is_redirected(operator: User, query: str, target: str) -> None:
    assert browser(operator).get(f"{LOG_IN}{query}").headers["Location"] == target


def test_a_user_whom_the_admin_refused_is_told_so(transactional_db: None) -> None:
    client = browser(make_user("visitor", "view_command"))
    page = client.get("/admin/", follow=True)
    assert page.status_code == 200
    message = "You are logged in as visitor. That account may not open the page."
    assert message in page.content.decode()


def test_the_icon_that_browsers_ask_for_is_there(client: Client) -> None:
    assert client.get("/favicon.ico").headers["Location"] == "/static/console/favicon.svg"
