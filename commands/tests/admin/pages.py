"""The admin's addresses, and how its tests read a page."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User

from conftest import browser

COMMANDS = "/admin/commands/command/"
EVENTS = "/admin/commands/event/"
VEHICLES = "/admin/vehicles/vehicle/"
BATCHES = "/admin/commands/batch/"
AUDIT = "/admin/commands/auditentry/"

WHO_SEES = pytest.mark.parametrize(
    ("who", "sees"), [("operator", True), ("viewer", True), ("admin", True), ("stranger", False)]
)


def text_of(user: User, address: str) -> str:
    response = browser(user).get(address)
    assert response.status_code == 200, address
    return response.content.decode()


def words(page: str) -> str:
    """Return the text of a page, without its tags."""
    return " ".join(re.sub("<[^>]*>", " ", page).split())


def said(response: Any) -> list[str]:
    """Return the messages that a page shows."""
    return [str(message) for message in response.context["messages"]]
