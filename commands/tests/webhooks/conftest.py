from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User

from commands.tests.webhooks.receiver import LOOPBACK, Receiver, receiving
from conftest import make_user


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.WEBHOOK_ALLOWED_NETWORKS = LOOPBACK
    settings.WEBHOOK_ALLOW_HTTP = True
    with receiving() as server:
        yield server


@pytest.fixture
def owner(transactional_db: None) -> User:
    """Submits, and has webhooks for their own commands."""
    return make_user("owner", "add_command", "view_vehicle", "add_webhook")


@pytest.fixture
def watcher(transactional_db: None) -> User:
    """Sees what others submit, and has webhooks for it."""
    return make_user("watcher", "view_command", "add_webhook")
