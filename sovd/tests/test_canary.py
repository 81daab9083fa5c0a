"""Secrets: sent everywhere, and looked for in logs, metrics and pages."""

import json
import secrets

from sovd.tests.live import Live
from sovd.tests.raw_http import request
from sovd.tests.site import OFFLINE, ask

JSON = b"Content-Type: application/json"


def test_no_secret_is_in_logs_metrics_or_pages(live: Live, counts: list[str]) -> None:
    canary = f"canary-{secrets.token_hex(8)}"
    command_id = live.submit(OFFLINE)
    _, text = ask(
        live.port, "POST", "/api/v1/stream-tickets/", {"command_id": command_id}, live.token
    )
    ticket = json.loads(text)["ticket"]
    body = json.dumps({"username": "operator", "password": canary}).encode()
    length = b"Content-Length: %d" % len(body)
    form = f"username=operator&password={canary}".encode()
    bearer = f"Authorization: Bearer {live.token}".encode()
    said = [
        request("POST /api/v1/token/", JSON, length, body=body),
        request("POST /api/v1/token/refresh/", JSON, length, body=body),
        request("POST /accounts/login/", b"Content-Length: %d" % len(form), body=form),
        request("GET /api/v1/nothing/", bearer),
        request("GET /api/v1/commands/?page_size=x", bearer),
        request("DELETE /api/v1/commands/", bearer),
        request("GET /api/v1/commands/", f"Cookie: sessionid={canary}".encode()),
        request("GET /", f"Cookie: sessionid={canary}; csrftoken={canary}".encode()),
        *(
            request(f"GET {path}{command_id}?{name}={value}")
            for path in ("/ws/responses/", "/api/v1/commands/", "/")
            for name, value in (("token", live.token), ("ticket", ticket), ("password", canary))
        ),
    ]
    pages = [live.heard(each).decode("latin-1") for each in said]
    with live.stream(command_id) as stream:
        stream.recv()
    pages.append(ask(live.port, "GET", "/metrics")[1])
    for secret in (canary, live.token, ticket):
        assert [page for page in pages if secret in page] == []
        assert [line for line in live.logged().splitlines() if secret in line] == []
    counts.append(f"3 secrets in {len(said) + 1} requests: 0 in logs, metrics and pages")
