"""A command before and after its claim."""

import pytest
from django.contrib.auth.models import User

from commands.models import Command
from conftest import claim_one, submit
from vehicles.models import Vehicle


@pytest.fixture
def command(operator: User, vehicle: Vehicle) -> Command:
    return submit(operator, vehicle)


@pytest.fixture
def claimed(command: Command) -> Command:
    return claim_one()
