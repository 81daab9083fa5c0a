"""Fleet and users of the tests of campaigns."""

import pytest
from django.contrib.auth.models import User

from commands.tests.campaigns.requests import make_fleet
from conftest import make_user
from vehicles.models import Vehicle


@pytest.fixture
def fleet(transactional_db: None) -> list[Vehicle]:
    return make_fleet(10)


@pytest.fixture
def boss(transactional_db: None) -> User:
    return make_user("boss", "add_command", "approve_campaign", "send_unsafe_to_many")


@pytest.fixture
def admin(transactional_db: None) -> User:
    rights = ("add_command", "view_vehicle", "approve_campaign", "send_unsafe_to_many")
    return make_user("admin", *rights)
