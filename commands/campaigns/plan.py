"""Plans of campaigns: which vehicles, in which waves, and who has to agree."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from commands.campaigns.windows import next_window
from commands.catalogue import is_safe_to_repeat
from commands.models import Campaign, CampaignVehicle, CampaignWave

MAX_VEHICLES = 100_000
# A database evaluates the choice once, so that no vehicle is left out between two looks.
INSERT = """
    INSERT INTO {table} (campaign_id, vehicle_id, place, tries, outcome, error_code)
    SELECT %s, vehicle_id, row_number() OVER (ORDER BY vin) - 1, 0, '', ''
    FROM ({choice}) AS choice
"""


def must_be_approved(command_name: str, vehicle_count: int) -> bool:
    """Return whether a campaign needs approval even if its author does not ask for it."""
    is_large = vehicle_count > settings.CAMPAIGN_APPROVAL_VEHICLES
    return is_large or not is_safe_to_repeat(command_name)


def write(campaign: Campaign, vehicles: Any) -> None:
    """Store a new draft with the vehicles of this query, by one statement however many."""
    with transaction.atomic():
        campaign.save(force_insert=True)
        campaign.vehicle_count = _add_vehicles(campaign, vehicles)
        campaign.needs_approval |= must_be_approved(campaign.command_name, campaign.vehicle_count)
        campaign.save(update_fields=["vehicle_count", "needs_approval"])
        CampaignWave.objects.bulk_create(_waves(campaign))


def _add_vehicles(campaign: Campaign, vehicles: Any) -> int:
    choice, params = vehicles.order_by().values("vehicle_id", "vin").query.sql_with_params()
    sql = INSERT.format(table=CampaignVehicle._meta.db_table, choice=choice)
    key = Campaign._meta.pk.get_db_prep_value(campaign.pk, connection)
    with connection.cursor() as cursor:
        cursor.execute(sql, [key, *params])
        return int(cursor.rowcount)


def _waves(campaign: Campaign) -> list[CampaignWave]:
    ends = wave_ends(campaign.waves, campaign.vehicle_count)
    return [
        CampaignWave(campaign=campaign, number=number, first_place=begin, vehicle_count=end - begin)
        for number, (begin, end) in enumerate(zip([0, *ends], ends, strict=False), 1)
    ]


def wave_ends(percentages: Sequence[int], count: int) -> list[int]:
    """Return the number of vehicles up to the end of each wave, rounded up."""
    return [-(-count * percent // 100) for percent in percentages]


def first_window(windows: Sequence[Any]) -> datetime | None:
    """Return when the window opens that is open now or opens next."""
    window = next_window(windows, timezone.now())
    return window[0] if window else None
