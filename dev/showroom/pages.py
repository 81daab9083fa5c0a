"""What there is to look at, and who looks. A page that is not here is seen by no test: one of
them compares this list with `sovd/urls.py`."""

from collections.abc import Mapping
from typing import NamedTuple


class Page(NamedTuple):
    name: str
    path: str
    """With {names} of `Showroom.ids`."""
    who: str = "operator"

    def __str__(self) -> str:
        return self.name

    @property
    def is_foreign(self) -> bool:
        """Made by Django or by Swagger: how it looks is theirs to answer for."""
        return self.path.startswith(("/admin/", "/api/docs/"))

    def address(self, ids: Mapping[str, str]) -> str:
        return self.path.format_map(ids)


PAGES = [
    Page("login", "/accounts/login/", who=""),
    Page("dashboard", "/"),
    Page("dashboard-of-viewer", "/", who="viewer"),
    Page("vehicles", "/vehicles/"),
    Page("vehicle", "/vehicles/{vehicle}/"),
    Page("vehicle-offline", "/vehicles/{offline_vehicle}/"),
    Page("commands", "/commands/"),
    Page("commands-none", "/commands/?search=nothing-is-called-so"),
    Page("new-command", "/commands/new/?vehicle={vehicle}"),
    Page("new-command-of-viewer", "/commands/new/", who="viewer"),
    Page("command", "/commands/{completed}/"),
    Page("command-running", "/commands/{running}/"),
    Page("command-pending", "/commands/{pending}/"),
    Page("command-failed", "/commands/{failed}/"),
    Page("command-hostile", "/commands/{hostile}/"),
    Page("command-thousand", "/commands/{many}/"),
    Page("batches", "/batches/"),
    Page("new-batch", "/batches/new/?vehicle={vehicle}&vehicle={offline_vehicle}"),
    Page("batch", "/batches/{batch}/"),
    Page("admin", "/admin/", who="admin"),
    Page("admin-login", "/admin/login/", who=""),
    Page("admin-commands", "/admin/commands/command/", who="admin"),
    Page("admin-command", "/admin/commands/command/{completed}/change/", who="admin"),
    Page("admin-vehicles", "/admin/vehicles/vehicle/", who="admin"),
    Page("api-docs", "/api/docs/"),
]
