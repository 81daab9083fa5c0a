"""Logins, tickets for streams, service accounts, and the count of attempts to log in."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from commands.models.command import Command


class TokenFamily(models.Model):
    """The tokens of one login by the API. See commands/accounts/tokens.py."""

    family_id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    latest = models.CharField(max_length=32)  # `jti` of the one refresh token that is not spent
    password_digest = models.CharField(max_length=64)  # of the stored hash, when they logged in
    started_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "token families"
        indexes = [models.Index(name="token_family_age", fields=["expires_at"])]

    def __str__(self) -> str:
        return f"login of {self.user_id}"


class BrowserSession(models.Model):
    """Session of the console, as its user may see it. See commands/accounts/sessions.py."""

    session_id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    key = models.CharField(max_length=40, unique=True)  # of Django's session: never shown
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    user_agent = models.CharField(max_length=300)
    started_at = models.DateTimeField(db_default=Now())
    used_at = models.DateTimeField(db_default=Now())  # to the minute or so

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"session of {self.user_id}"


class StreamTicket(models.Model):
    """Ticket that opens one stream, once. See `commands/stream/tickets.py`."""

    digest = models.CharField(max_length=64, primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False)
    command = models.ForeignKey(Command, on_delete=models.CASCADE, db_index=False)
    expires_at = models.DateTimeField()
    stream_ends_at = models.DateTimeField()
    login = models.CharField(max_length=64, default="", db_default="")  # see accounts/logins.py

    class Meta:
        indexes = [models.Index(name="stream_ticket_age", fields=["expires_at"])]

    def __str__(self) -> str:
        return f"ticket of {self.user_id} for {self.command_id}"


class ServiceAccount(models.Model):
    """Program that gets tokens by a secret of its own. See commands/accounts/service_accounts.py.

    Its user holds its rights, and its commands and audit entries outlive it.
    """

    client_id = models.UUIDField("client ID", primary_key=True, default=uuid.uuid4)
    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    secret_digest = models.CharField(max_length=64)
    created_by = models.CharField(max_length=150)  # the username
    created_at = models.DateTimeField(db_default=Now())

    client_secret = ""  # in plain text, and not stored: for the response that creates it

    class Meta:
        ordering = ["-created_at", "-client_id"]

    def __str__(self) -> str:
        return str(self.user)


class LogInCount(models.Model):
    """Attempts to log in with one name from one address since `since`: see `login_limit`."""

    digest = models.CharField(max_length=64, primary_key=True)
    attempts = models.PositiveIntegerField(default=0)
    since = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(name="log_in_count_age", fields=["since"])]

    def __str__(self) -> str:
        return f"{self.attempts} since {self.since}"
