"""The fleet of the tests of batches."""

import pytest

from commands.tests.batches.fleet import make_fleet
from vehicles.models import Vehicle


@pytest.fixture
def fleet(transactional_db: None) -> list[Vehicle]:
    return make_fleet(4)
