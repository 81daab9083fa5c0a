from typing import Any

from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from commands.accounts import demo_users
from commands.accounts.demo_users import PASSWORD, USERS
from vehicles.models import Vehicle

VEHICLES = [  # the check digits are right; the last one is offline
    ("1HGCM82623A000101", "Honda", "Accord", 2003),
    ("1FTFW1E59MFA00102", "Ford", "F-150", 2021),
    ("5YJ3E1EAXNF000103", "Tesla", "Model 3", 2022),
    ("4T1G11AK7LU000104", "Toyota", "Camry", 2020),
    ("WBA5R1C58KA000105", "BMW", "330i", 2019),
    ("YV4A22RK3P1000106", "Volvo", "XC60", 2023),
]


class Command(BaseCommand):
    help = "Make the demo users (admin, operator, viewer) and vehicles. Existing ones are kept."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--allow-demo-users",
            action="store_true",
            help="make users with a known password although DEBUG is off",
        )

    @transaction.atomic
    def handle(self, **options: Any) -> None:
        if not (settings.DEBUG or options["allow_demo_users"]):
            raise CommandError(
                "DEBUG is off, and the demo users have a known password. "
                "Pass --allow-demo-users to make them anyway."
            )
        for name, permissions in USERS.items():
            self._make_user(name, permissions)
        demo_users.mark(allowed_in_production=options["allow_demo_users"])
        self._make_vehicles()
        self.stdout.write(f"Demo users {', '.join(USERS)}, password {PASSWORD}")

    def _make_user(self, name: str, permissions: tuple[str, ...]) -> None:
        user, is_new = User.objects.get_or_create(
            username=name, defaults={"is_staff": True, "is_superuser": name == "admin"}
        )
        if is_new:
            user.set_password(PASSWORD)
            user.save()
            user.user_permissions.set(Permission.objects.filter(codename__in=permissions))

    def _make_vehicles(self) -> None:
        for vin, make, model, year in VEHICLES:
            is_offline = vin == VEHICLES[-1][0]
            about: dict[str, Any] = {"make": make, "model": model, "year": year}
            about["connector_settings"] = {"online": not is_offline}
            Vehicle.objects.get_or_create(vin=vin, defaults=about)
