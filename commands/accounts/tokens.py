"""Tokens of the API. All that follow from one login are a family, which ends as a whole.

A family ends with its absolute lifetime (REFRESH_TOKEN_DAYS), at logout, when the password changes,
when the user is deactivated, and when a refresh token is used twice.
"""

import hashlib
import logging
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any, Self, cast
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from rest_framework_simplejwt import tokens
from rest_framework_simplejwt.exceptions import InvalidToken

from commands.accounts import user_cache
from commands.models import BrowserSession, StreamTicket, TokenFamily

logger = logging.getLogger(__name__)

# Raised by simplejwt, beside its own errors, for validly signed tokens with odd claims
# (user_id "abc" or a list, exp 1e308, a lone surrogate in the token).
ODD_CLAIMS = (ValueError, TypeError, OverflowError, UnicodeError, ValidationError)
FAMILY = "family"  # a claim

HAS_ENDED = "The login of this token has ended. Log in again."
USED_TWICE = "This refresh token was used before, so its login has ended. Log in again."


class AccessToken(tokens.AccessToken):
    @classmethod
    def for_user(cls, user: Any) -> Self:
        return cast(Self, RefreshToken.for_user(user).access_token)


class RefreshToken(tokens.RefreshToken):
    access_token_class = AccessToken

    @classmethod
    def for_user(cls, user: Any) -> Any:
        """Return the first token of a new family: the user has just logged in."""
        return cls.of_login(user, timedelta(days=settings.REFRESH_TOKEN_DAYS))

    @classmethod
    def of_login(cls, user: Any, lifetime: timedelta) -> Any:
        """Return the first token of a new family, which ends after this time."""
        token = super().for_user(user)
        family = TokenFamily.objects.create(
            user=user,
            latest=token["jti"],
            password_digest=_digest(user.password),
            expires_at=token.current_time + lifetime,
        )
        token[FAMILY] = str(family.pk)
        return token


def family_of(token: tokens.Token) -> TokenFamily:
    """Return the family, with its user. Raise InvalidToken if it has ended."""
    return _valid_family(token, TokenFamily.objects.select_related("user").get)


def user_of(token: tokens.Token) -> User:
    """Return the user of an access token, kept for seconds. Raise InvalidToken if it has ended."""
    return _valid_family(token, user_cache.family).user


def _valid_family(token: tokens.Token, get: Callable[..., TokenFamily]) -> TokenFamily:
    try:
        user_id, family = str(token["user_id"]), get(pk=UUID(str(token[FAMILY])))
    except (KeyError, TokenFamily.DoesNotExist, *ODD_CLAIMS) as error:
        raise InvalidToken(HAS_ENDED) from error
    if str(family.user_id) != user_id or not _is_valid(family):
        raise InvalidToken(HAS_ENDED)
    return family


def renew(token: RefreshToken) -> RefreshToken:
    """Return the token's successor. Raise InvalidToken if it has one already.

    Then two hold the token, and nobody knows which of them is the thief: its family ends.
    """
    family = family_of(token)
    successor = RefreshToken()
    successor.payload |= {name: token[name] for name in ("user_id", FAMILY)}
    successor.set_exp(lifetime=min(successor.lifetime, family.expires_at - successor.current_time))
    unspent = TokenFamily.objects.filter(pk=family.pk, latest=token["jti"])
    if not unspent.update(latest=successor["jti"]):
        logger.warning("A refresh token of user %s was used twice", family.user_id)
        end(family)
        raise InvalidToken(USED_TWICE)
    return successor


def end(family: TokenFamily) -> None:
    """End this login, with all tokens that follow from it."""
    family.delete()
    user_cache.changed(family.user_id)


@transaction.atomic
def end_logins(user: User) -> None:
    """End every session, token and ticket of this user."""
    TokenFamily.objects.filter(user=user).delete()
    StreamTicket.objects.filter(user=user).delete()
    Session.objects.filter(pk__in=session_keys_of(user)).delete()
    user_cache.changed(user.pk)


def session_keys_of(user: User) -> list[str]:
    """Return the keys of all sessions of this user. It reads those that nobody has noted."""
    unexpired = Session.objects.filter(expire_date__gt=timezone.now())
    notes = BrowserSession.objects.all()
    noted = unexpired.filter(pk__in=notes.filter(user=user).values("key"))
    others = unexpired.filter(~Exists(notes.filter(key=OuterRef("pk"))))
    found = [row.pk for row in others.iterator() if _user_id_in(row) == str(user.pk)]
    return [*noted.values_list("pk", flat=True), *found]


@receiver(post_save, sender=User)
def _end_outdated(
    instance: User, created: bool, update_fields: Collection[str] | None = None, **_: Any
) -> None:
    """End the logins of a user who was deactivated, and the tokens of a changed password."""
    if created or (update_fields and not {"is_active", "password"} & set(update_fields)):
        return
    if not instance.is_active:
        end_logins(instance)
        return
    families = TokenFamily.objects.filter(user=instance)
    if families.exclude(password_digest=_digest(instance.password)).delete()[0]:
        StreamTicket.objects.filter(user=instance).delete()


def _is_valid(family: TokenFamily) -> bool:
    """Look also for changes that were not saved by Django, such as by SQL."""
    return (
        family.user.is_active
        and family.expires_at > timezone.now()
        and constant_time_compare(family.password_digest, _digest(family.user.password))
    )


def _user_id_in(session: Session) -> str | None:
    user_id: str | None = session.get_decoded().get("_auth_user_id")
    return user_id


def _digest(encoded_password: str) -> str:
    return hashlib.sha256(encoded_password.encode()).hexdigest()
