"""Commands of the tests of the worker."""

import pytest
from django.contrib.auth.models import User

from commands.models import Command
from conftest import submit
from vehicles.models import Vehicle


@pytest.fixture
def command(operator: User, vehicle: Vehicle) -> Command:
    return submit(operator, vehicle)
