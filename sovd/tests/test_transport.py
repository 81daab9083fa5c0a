"""Headers that restrict browsers, and the effects of https."""

from typing import Any

import pytest
from django.conf import settings as project
from django.contrib.auth.models import User
from django.test import Client

from conftest import make_user

HTTPS = {"x-forwarded-proto": "https"}
PAGES = ["/accounts/login/", "/admin/login/", "/api/docs/", "/api/v1/commands/", "/api/v1/nothing/"]


@pytest.fixture
def behind_tls(settings: Any) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.SECURE_SSL_REDIRECT = True


def directives(response: Any) -> dict[str, str]:
    policy = response.headers["Content-Security-Policy"]
    return dict(part.strip().split(" ", 1) for part in policy.split(";"))


@pytest.mark.parametrize("page", PAGES)
def test_every_response_restricts_browsers(transactional_db: None, page: str) -> None:
    response = Client().get(page)
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Frame-Options"] == "DENY"
    policy = directives(response)
    assert (policy["default-src"], policy["frame-ancestors"]) == ("'none'", "'none'")
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in str(policy)


@pytest.mark.parametrize(
    "page", ["/", "/accounts/login/", "/admin/", "/admin/commands/command/", "/api/docs/"]
)
def test_no_page_needs_anything_that_the_policy_forbids(transactional_db: None, page: str) -> None:
    client = Client()
    client.force_login(make_user("admin", is_staff=True, is_superuser=True))
    html = client.get(page, follow=True).content.decode()
    assert "<script>" not in html
    assert "<style" not in html
    assert " style=" not in html
    assert " onclick=" not in html


@pytest.mark.parametrize("page", ["/", "/accounts/login/", "/admin/", "/admin/login/"])
def test_pages_with_forms_tell_the_browser_to_name_their_origin(
    transactional_db: None, page: str
) -> None:
    """Browsers with `no-referrer` alone send `Origin: null`, which is refused."""
    client = Client(enforce_csrf_checks=True)
    html = client.get(page, follow=True).content.decode()
    assert '<meta name="referrer" content="same-origin">' in html


@pytest.mark.parametrize(("origin", "status"), [("null", 403), ("http://testserver", 302)])
def test_forms_are_accepted_from_own_pages_only(operator: User, origin: str, status: int) -> None:
    client = Client(enforce_csrf_checks=True)
    client.get("/accounts/login/")
    form = {
        "username": "operator",
        "password": "sovd-demo",
        "csrfmiddlewaretoken": client.cookies["csrftoken"].value,
    }
    response = client.post("/accounts/login/", form, headers={"Origin": origin})
    assert response.status_code == status


# By http and by https


def test_everything_works_by_http(operator: User) -> None:
    client = Client()
    response = client.post("/accounts/login/", {"username": "operator", "password": "sovd-demo"})
    assert not response.cookies["sessionid"]["secure"]
    assert "Strict-Transport-Security" not in response.headers
    assert client.get("/").status_code == 200


def test_a_browser_that_came_by_https_stays_with_https(operator: User, behind_tls: None) -> None:
    form = {"username": "operator", "password": "sovd-demo"}
    response = Client().post("/accounts/login/", form, headers=HTTPS)
    assert {cookie["secure"] for cookie in response.cookies.values()} == {True}
    assert response.cookies["sessionid"]["httponly"]
    assert response.cookies["sessionid"]["samesite"] == "Lax"
    assert response.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_behind_tls_plain_http_is_redirected(transactional_db: None, behind_tls: None) -> None:
    response = Client().get("/accounts/login/")
    assert (response.status_code, response.headers["Location"]) == (
        301,
        "https://testserver/accounts/login/",
    )


@pytest.mark.parametrize("address", ["/healthz", "/readyz", "/metrics"])
def test_behind_tls_probes_are_not_redirected(
    transactional_db: None, behind_tls: None, address: str
) -> None:
    assert Client().get(address).status_code == 200


def test_without_a_proxy_no_client_can_claim_https(operator: User) -> None:
    assert project.SECURE_PROXY_SSL_HEADER is None
    form = {"username": "operator", "password": "sovd-demo"}
    response = Client().post("/accounts/login/", form, headers=HTTPS)
    assert not response.cookies["sessionid"]["secure"]
