"""Rows that are kept for a time only."""

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from commands.accounts.tokens import RefreshToken
from commands.models import TokenFamily
from commands.worker.retention import delete_expired


@pytest.mark.embedded
def test_expired_sessions_are_deleted_and_others_are_kept(operator: User) -> None:
    expired, valid = Client(), Client()
    for client in (expired, valid):
        client.force_login(operator)
    Session.objects.filter(pk=expired.session.session_key).update(expire_date=timezone.now())
    delete_expired()
    assert [session.pk for session in Session.objects.all()] == [valid.session.session_key]
    assert valid.get("/").status_code == 200


def test_ended_logins_are_deleted(operator: User, stranger: User) -> None:
    RefreshToken.for_user(operator)
    delete_expired()
    assert TokenFamily.objects.count() == 1
    TokenFamily.objects.update(expires_at=timezone.now())
    RefreshToken.for_user(stranger)
    User.objects.filter(pk=stranger.pk).update(is_active=False)
    delete_expired()
    assert not TokenFamily.objects.exists()
