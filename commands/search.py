"""What one types to find commands: part of a VIN, or the beginning of a command's ID."""

import re
from uuid import UUID

from django.db.models import Q

from vehicles.models import Vehicle


def uuid_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def matching(text: str) -> Q:
    """The vehicles are looked up first, so that their commands come from an index."""
    found = Q(vehicle__in=Vehicle.objects.filter(vin__icontains=text))
    digits = text.replace("-", "").lower()
    if not re.fullmatch("[0-9a-f]{1,32}", digits):
        return found
    first, last = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
    return found | Q(command_id__range=(first, last))
