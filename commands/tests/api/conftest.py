"""Users of the tests of vehicles."""

import pytest
from django.contrib.auth.models import User

from commands.tests.api.vehicle_requests import RIGHTS
from conftest import make_user


@pytest.fixture
def maintainer(transactional_db: None) -> User:
    return make_user("maintainer", *RIGHTS)
