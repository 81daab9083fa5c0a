import pytest
from django.contrib.auth.models import User

from commands.models import Command
from conftest import make_user, submit
from vehicles.models import Vehicle


@pytest.fixture
def admin(transactional_db: None) -> User:
    return make_user("admin", is_staff=True, is_superuser=True)


@pytest.fixture
def people(operator: User, viewer: User, stranger: User, admin: User) -> dict[str, User]:
    return {"operator": operator, "viewer": viewer, "stranger": stranger, "admin": admin}


@pytest.fixture
def command(operator: User, vehicle: Vehicle) -> Command:
    return submit(operator, vehicle)
