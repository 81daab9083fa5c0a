"""Users with a known password: for a laptop, and elsewhere only if somebody allows them."""

from typing import Any

from django.contrib.auth.models import Group, User

PASSWORD = "sovd-demo"  # noqa: S105 - meant to be known
USERS: dict[str, tuple[str, ...]] = {
    "admin": (),
    "operator": ("add_command", "view_vehicle"),
    "viewer": ("view_command", "view_vehicle"),
}
NOT_FOR_PRODUCTION = "Demo users, not for production"  # a group


def mark(*, allowed_in_production: bool) -> None:
    """Note for the check at the start whether these users may be there."""
    group, _ = Group.objects.get_or_create(name=NOT_FOR_PRODUCTION)
    users = User.objects.filter(username__in=USERS)
    group.user_set.set([] if allowed_in_production else users)


def not_for_production() -> Any:
    return User.objects.filter(groups__name=NOT_FOR_PRODUCTION, is_active=True)
