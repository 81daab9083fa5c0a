"""Users of every role."""

import pytest
from django.contrib.auth.models import Permission, User

from conftest import make_user


@pytest.fixture
def people(operator: User, stranger: User, viewer: User) -> dict[str, User | None]:
    for user in (operator, stranger):
        user.user_permissions.add(Permission.objects.get(codename="add_webhook"))
    return {
        "anonymous": None,
        "inactive": make_user("inactive", "add_command", is_staff=True, is_superuser=True),
        "stranger": stranger,
        "owner": operator,
        "viewer": viewer,
        "admin": make_user("admin", is_staff=True, is_superuser=True),
    }
