"""Service accounts: programs that get access tokens by a secret, without a person's password.

Each has a user of its own, without a usable password, whose groups are its rights. Revoking the
account deactivates that user, which ends its tokens at once.
"""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.db import transaction
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare
from rest_framework.request import Request

from commands.accounts.login_limit import count_attempt
from commands.accounts.tokens import AccessToken, RefreshToken
from commands.models import ServiceAccount


class WrongSecret(Exception):
    """A client ID that is unknown or revoked, or a secret that is not its own."""


@transaction.atomic
def create(name: str, groups: Iterable[Group], creator: User) -> ServiceAccount:
    """Create an account and its user. Raise IntegrityError if a user has this name."""
    user = User.objects.create(username=name, password=make_password(None))
    user.groups.set(groups)
    secret = secrets.token_urlsafe(32)
    account = ServiceAccount.objects.create(
        user=user, secret_digest=_digest(secret), created_by=creator.get_username()
    )
    account.client_secret = secret
    return account


@transaction.atomic
def revoke(account: ServiceAccount) -> None:
    """End the account and its tokens. Its user stays, deactivated, with what it has done."""
    account.user.is_active = False
    account.user.save(update_fields=["is_active"])
    account.delete()


def may_give(user: User, group: Group) -> bool:
    """Return whether the user has every permission of the group: nobody gives more than that."""
    codes = group.permissions.values_list("content_type__app_label", "codename")
    return user.has_perms([f"{label}.{code}" for label, code in codes])


def log_in(request: HttpRequest | Request, client_id: str, client_secret: str) -> AccessToken:
    """Return a token for this secret. Raise WrongSecret or, beyond the limit, TooManyLogins."""
    account = _find(client_id)
    name = account.user.get_username() if account else client_id
    count_attempt(request, name)
    if account is None or not constant_time_compare(account.secret_digest, _digest(client_secret)):
        user_login_failed.send(__name__, credentials={"username": name}, request=request)
        raise WrongSecret
    user_logged_in.send(User, request=request, user=account.user)
    lifetime = timedelta(seconds=settings.ACCESS_TOKEN_SECONDS)
    token: AccessToken = RefreshToken.of_login(account.user, lifetime).access_token
    return token


def _find(client_id: str) -> ServiceAccount | None:
    try:
        accounts = ServiceAccount.objects.select_related("user").filter(user__is_active=True)
        return accounts.get(pk=UUID(client_id))
    except (ValueError, ServiceAccount.DoesNotExist):
        return None


def _digest(secret: str) -> str:
    """Return a plain digest: the secret is random, and cannot be guessed as passwords can."""
    return hashlib.sha256(secret.encode()).hexdigest()
