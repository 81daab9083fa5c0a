"""A worker that lost its claim writes nothing."""

import uuid

import pytest
from django.db import IntegrityError
from django.utils import timezone

from commands import lifecycle
from commands.lifecycle import LostClaim
from commands.models import Command, Event
from commands.tests.lifecycle.rows import HOUR, every_write, put, told
from conftest import claim_one


@pytest.mark.parametrize("write", range(7))
def test_a_lost_claim_writes_nothing(claimed: Command, write: int) -> None:
    """Another worker has the command: each write of the first one is refused."""
    put(claimed, lease_expires_at=timezone.now() - HOUR)
    lifecycle.sweep()
    again = claim_one()
    before = told(again)
    with pytest.raises(LostClaim):
        every_write()[write](claimed)
    assert told(again) == before == ["pending", "in_progress", "pending", "in_progress"]
    lifecycle.complete(again, {"by": "the second"})


@pytest.mark.parametrize("write", range(7))
def test_a_foreign_claim_token_writes_nothing(claimed: Command, write: int) -> None:
    """All other columns are as the writer knows them."""
    put(claimed, claim_token=uuid.uuid4())
    with pytest.raises(LostClaim):
        every_write()[write](claimed)
    assert told(claimed) == ["pending", "in_progress"]


def test_a_lost_claim_renews_nothing(claimed: Command) -> None:
    put(claimed, claim_token=uuid.uuid4(), lease_expires_at=timezone.now() - HOUR)
    lifecycle.renew([claimed])
    assert Command.objects.lapsed().exists()
    assert lifecycle.held([claimed]) == {}


def test_a_write_rolls_back_with_its_events(claimed: Command) -> None:
    """An event with this number, by a second writer, rolls the whole move back."""
    payload = {"response": {}, "is_final": False}
    Event.objects.create(command=claimed, sequence_number=3, kind="response", payload=payload)
    with pytest.raises(IntegrityError):
        lifecycle.complete(claimed, {})
    assert Command.objects.get().status == "in_progress"
