from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User

from commands.tests.deliveries.mail_server import MailServer, serving
from commands.tests.deliveries.receiver import LOOPBACK, Receiver, receiving
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


@pytest.fixture
def mail_server(settings: Any) -> Iterator[MailServer]:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    with serving() as server:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        yield server


@pytest.fixture
def starter(transactional_db: None) -> User:
    """Sends commands, may have no webhooks, and has an e-mail address."""
    user = make_user("starter", "add_command", "view_vehicle")
    user.email = "starter@example.com"
    user.save()
    return user
