"""Pages of batches as the server renders them: their users and their forms."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from commands import batches
from commands.models import Batch, Status
from vehicles.models import Vehicle


def page(user: User | None, address: str) -> tuple[int, str]:
    client = Client()
    if user:
        client.force_login(user)
    response = client.get(address)
    return response.status_code, response.content.decode()


@pytest.fixture
def batch(operator: User, vehicle: Vehicle) -> Batch:
    params = {"ecuAddress": "0x10"}
    batch = Batch(command_name="ReadDTC", command_params=params, submitted_by=operator)
    batches.submit(batch, [vehicle])
    return batch


@pytest.mark.embedded
def test_the_page_of_a_batch_is_shown_to_those_who_may_see_it(
    operator: User, viewer: User, stranger: User, batch: Batch
) -> None:
    people = [operator, viewer, stranger, None]
    assert [page(who, f"/batches/{batch.pk}/")[0] for who in people] == [200, 200, 404, 302]


def test_the_results_can_be_filtered_by_each_status(operator: User, batch: Batch) -> None:
    _, text = page(operator, f"/batches/{batch.pk}/")
    assert [status for status in Status if f'data-status="{status}"' not in text] == []


def test_only_users_who_may_submit_get_a_form(operator: User, viewer: User) -> None:
    forms = [page(who, "/batches/new/")[1] for who in (operator, viewer)]
    assert ['<fieldset class="composing" disabled>' in form for form in forms] == [False, True]
    links = ["/batches/new/" in page(who, "/batches/")[1] for who in (operator, viewer)]
    assert links == [True, False]


def test_only_users_who_see_all_batches_may_filter_by_user(operator: User, viewer: User) -> None:
    fields = ['name="submitted_by"' in page(who, "/batches/")[1] for who in (operator, viewer)]
    assert fields == [False, True]
