"""The pages of the demo site, and the user who looks at each.

A test compares this list with `sovd/urls.py`, so that no page is left out.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Page(NamedTuple):
    name: str
    path: str
    """With {names} of `DemoSite.ids`."""
    username: str = "operator"

    def __str__(self) -> str:
        return self.name

    @property
    def is_foreign(self) -> bool:
        """Whether Django or Swagger made the page, and decides how it looks."""
        return self.path.startswith(("/admin/", "/api/docs/"))

    def address(self, ids: Mapping[str, str]) -> str:
        return self.path.format_map(ids)


PAGES = [
    Page("login", "/accounts/login/", username=""),
    Page("account", "/accounts/"),
    Page("dashboard", "/"),
    Page("dashboard-of-viewer", "/", username="viewer"),
    Page("vehicles", "/vehicles/"),
    Page("vehicle", "/vehicles/{vehicle}/"),
    Page("vehicle-offline", "/vehicles/{offline_vehicle}/"),
    Page("new-vehicle", "/vehicles/new/", username="admin"),
    Page("edit-vehicle", "/vehicles/{vehicle}/edit/", username="admin"),
    Page("vehicle-of-admin", "/vehicles/{vehicle}/", username="admin"),
    Page("descriptions", "/descriptions/"),
    Page("descriptions-of-admin", "/descriptions/", username="admin"),
    Page("description", "/descriptions/{description}/", username="admin"),
    Page("webhooks", "/webhooks/", username="admin"),
    Page("commands", "/commands/"),
    Page("commands-none", "/commands/?search=nothing-is-called-so"),
    Page("new-command", "/commands/new/?vehicle={vehicle}"),
    Page(
        "new-command-by-name",
        "/commands/new/?vehicle={described_vehicle}&command=ReadDataByID"
        "&ecuAddress=0x10&dataId=0xD001",
    ),
    Page("new-command-of-viewer", "/commands/new/", username="viewer"),
    Page("command", "/commands/{completed}/"),
    Page("command-scan", "/commands/{scan}/"),
    Page("report", "/api/v1/vehicles/{scanned_vehicle}/report/?before={scan_before}&after={scan}"),
    Page("command-running", "/commands/{running}/"),
    Page("command-pending", "/commands/{pending}/"),
    Page("command-failed", "/commands/{failed}/"),
    Page("command-hostile", "/commands/{hostile}/"),
    Page("command-thousand", "/commands/{many}/"),
    Page("batches", "/batches/"),
    Page("new-batch", "/batches/new/?vehicle={vehicle}&vehicle={offline_vehicle}"),
    Page("batch", "/batches/{batch}/"),
    Page("campaigns", "/campaigns/"),
    Page("new-campaign", "/campaigns/new/"),
    Page("campaign", "/campaigns/{campaign}/"),
    Page("admin", "/admin/", username="admin"),
    Page("admin-login", "/admin/login/", username=""),
    Page("admin-commands", "/admin/commands/command/", username="admin"),
    Page("admin-command", "/admin/commands/command/{completed}/change/", username="admin"),
    Page("admin-vehicles", "/admin/vehicles/vehicle/", username="admin"),
    Page("api-docs", "/api/docs/"),
]
