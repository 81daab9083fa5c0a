"""The log-in page: whom it lets in, whom it sends on, and where to."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from conftest import make_user

LOG_IN = "/accounts/login/"
ADMIN = "/admin/commands/command/?status__exact=failed"


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def post(client: Client, next_: str) -> Any:
    form = {"username": "operator", "password": "sovd-demo", "next": next_}
    return client.post(LOG_IN, form)


@pytest.mark.embedded
def test_the_admin_has_the_same_page_and_one_gets_where_one_wanted(operator: User) -> None:
    client = Client()
    page = client.get(ADMIN, follow=True)
    assert page.redirect_chain[-1][0].startswith(LOG_IN)
    assert page.templates[0].name == "registration/login.html"
    assert post(client, page.context["next"]).headers["Location"] == ADMIN
    assert client.get(ADMIN).status_code == 200


def test_of_itself_it_leads_to_the_admin(transactional_db: None) -> None:
    assert Client().get("/admin/login/").headers["Location"] == f"{LOG_IN}?next=%2Fadmin%2F"


FOREIGN = ["http://evil.example", "//evil.example", "javascript:alert(1)", "\\\\evil.example", ""]


@pytest.mark.parametrize("target", FOREIGN)
def test_it_leads_nowhere_else(operator: User, target: str) -> None:
    assert post(Client(), target).headers["Location"] == "/"
    response = logged_in(operator).get(LOG_IN, {"next": target})
    assert (response.status_code, response.headers["Location"]) == (302, "/")
    there = Client().get("/admin/login/", {"next": target}).headers["Location"]
    assert there.startswith(f"{LOG_IN}?next=")


@pytest.mark.parametrize(
    ("query", "target"),
    [("", "/"), ("?next=/vehicles/", "/vehicles/"), ("?next=/admin/", "/admin/")],
)
def test_who_is_logged_in_is_sent_on(operator: User, query: str, target: str) -> None:
    assert logged_in(operator).get(f"{LOG_IN}{query}").headers["Location"] == target


def test_whom_a_page_has_sent_away_is_told_so(transactional_db: None) -> None:
    client = logged_in(make_user("visitor", "view_command"))
    page = client.get("/admin/", follow=True)
    assert page.status_code == 200
    assert "You are logged in as visitor, which may not open that page" in page.content.decode()


def test_the_icon_that_browsers_ask_for(client: Client) -> None:
    assert client.get("/favicon.ico").headers["Location"] == "/static/console/favicon.svg"
