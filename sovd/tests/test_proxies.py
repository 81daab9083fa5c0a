"""Forms and streams behind a proxy: one rule for the origins of both."""

from typing import Any

import pytest
from channels.testing import WebsocketCommunicator
from httpx import ASGITransport, AsyncClient

from conftest import WAIT_SECONDS
from sovd.asgi import application

HOST = "console.example.com"
OWN = f"https://{HOST}"
TOKEN = "t" * 32

ACCEPTED = [
    (HOST, OWN, "https"),
    (HOST, OWN, "HTTPS"),
    (HOST, OWN, "wss"),
    (HOST, OWN, "wss, http"),
    (f"{HOST}:443", OWN, "https"),
    (f"{HOST}:443", OWN, "wss"),
    (f"{HOST}:443", f"{OWN}:443", "https"),
    (HOST, f"{OWN}:443", "https"),
    (HOST.upper(), OWN, "https"),
    (f"{HOST}:8443", f"{OWN}:8443", "https"),
    (HOST, f"http://{HOST}", "http"),
    (f"{HOST}:80", f"http://{HOST}", "http"),
    (f"{HOST}:80", f"http://{HOST}", "ws"),
    (HOST, "https://trusted.example", "https"),
    (HOST, "https://bench.fleet.example", "https"),
    (HOST, "https://a.bench.fleet.example", "wss"),
    ("[2001:db8::7]:443", "https://[2001:db8::7]", "wss"),
]
REFUSED = [
    (HOST, OWN, "http"),
    (HOST, OWN, "ws"),
    (HOST, OWN, "http, https"),
    (HOST, f"http://{HOST}", "wss"),
    (f"{HOST}:80", OWN, "https"),
    (f"{HOST}:443", f"http://{HOST}", "http"),
    (f"{HOST}:8443", OWN, "https"),
    (HOST, f"{OWN}:8443", "https"),
    (HOST, "http://trusted.example", "https"),
    (HOST, "http://bench.fleet.example", "https"),
    (HOST, "https://bench.fleet.example:8443", "https"),
    (HOST, "https://fleet.example.evil.example", "https"),
    (HOST, f"https://{HOST}.evil.example", "https"),
    (HOST, "null", "https"),
    (HOST, "", "https"),
    (HOST, "https://[", "https"),
    ("evil.example", "https://evil.example", "https"),
]


@pytest.fixture(autouse=True)
def behind_a_proxy(settings: Any) -> None:
    settings.ALLOWED_HOSTS = [HOST, "[2001:db8::7]"]
    settings.CSRF_TRUSTED_ORIGINS = ["https://trusted.example", "https://*.fleet.example"]
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")


async def posts_a_form(headers: dict[str, str]) -> bool:
    """Send an empty form: it is answered with the page again, or refused as forged."""
    transport = ASGITransport(application)
    async with AsyncClient(transport=transport, base_url="http://proxy.example") as browser:
        cookie = {"Cookie": f"csrftoken={TOKEN}"}
        form = {"csrfmiddlewaretoken": TOKEN}
        answer = await browser.post("/accounts/login/", data=form, headers=headers | cookie)
    assert answer.status_code in (200, 400, 403)
    return answer.status_code == 200


async def opens_a_stream(headers: dict[str, str]) -> bool:
    communicator = WebsocketCommunicator(
        application,
        "/ws/responses/no-command",
        headers=[(name.lower().encode(), value.encode()) for name, value in headers.items()],
    )
    accepted, _ = await communicator.connect(WAIT_SECONDS)
    await communicator.disconnect()
    return bool(accepted)


@pytest.mark.parametrize(
    ("host", "origin", "scheme", "is_accepted"),
    [(*case, True) for case in ACCEPTED] + [(*case, False) for case in REFUSED],
)
async def test_a_form_and_a_stream_are_accepted_from_the_same_origins(
    transactional_db: None, host: str, origin: str, scheme: str, is_accepted: bool
) -> None:
    headers = {"Host": host, "Origin": origin, "X-Forwarded-Proto": scheme}
    assert await posts_a_form(headers) is is_accepted
    assert await opens_a_stream(headers) is is_accepted


async def test_the_scheme_of_a_proxy_is_believed_only_if_the_setting_names_its_header(
    transactional_db: None, settings: Any
) -> None:
    settings.SECURE_PROXY_SSL_HEADER = None
    headers = {"Host": f"{HOST}:443", "Origin": OWN, "X-Forwarded-Proto": "https"}
    assert not await posts_a_form(headers)
    assert not await opens_a_stream(headers)


async def test_a_program_names_no_origin_and_may_open_a_stream(transactional_db: None) -> None:
    assert await opens_a_stream({"Host": "evil.example", "X-Forwarded-Proto": "https"})


@pytest.mark.parametrize("content_type", ["text/plain; charset=\0", "multipart/form-data; a=é"])
async def test_a_handshake_with_an_odd_content_type_is_no_server_error(
    transactional_db: None, content_type: str
) -> None:
    headers = {"Host": HOST, "Origin": OWN, "X-Forwarded-Proto": "wss"}
    assert await opens_a_stream(headers | {"Content-Type": content_type})
