"""The pages of the console."""

from django.urls import path

from commands.console import (
    BatchesPage,
    BatchPage,
    CampaignPage,
    CampaignsPage,
    CommandPage,
    CommandsPage,
    DashboardPage,
    DescriptionPage,
    DescriptionsPage,
    EditVehiclePage,
    LastWeekPage,
    NewBatchPage,
    NewCampaignPage,
    NewCommandPage,
    NewVehiclePage,
    VehiclePage,
    VehiclesPage,
    WebhooksPage,
)

urlpatterns = [
    path("", DashboardPage.as_view(), name="dashboard"),
    path("vehicles/", VehiclesPage.as_view(), name="vehicles"),
    path("vehicles/new/", NewVehiclePage.as_view(), name="new-vehicle"),
    path("vehicles/<uuid:pk>/edit/", EditVehiclePage.as_view(), name="edit-vehicle"),
    path("vehicles/<uuid:pk>/last-week/", LastWeekPage.as_view(), name="last-week"),
    path("vehicles/<uuid:pk>/", VehiclePage.as_view(), name="vehicle"),
    path("descriptions/", DescriptionsPage.as_view(), name="descriptions"),
    path("descriptions/<uuid:pk>/", DescriptionPage.as_view(), name="description"),
    path("webhooks/", WebhooksPage.as_view(), name="webhooks"),
    path("commands/", CommandsPage.as_view(), name="commands"),
    path("commands/new/", NewCommandPage.as_view(), name="new-command"),
    path("commands/<uuid:pk>/", CommandPage.as_view(), name="command"),
    path("batches/", BatchesPage.as_view(), name="batches"),
    path("batches/new/", NewBatchPage.as_view(), name="new-batch"),
    path("batches/<uuid:pk>/", BatchPage.as_view(), name="batch"),
    path("campaigns/", CampaignsPage.as_view(), name="campaigns"),
    path("campaigns/new/", NewCampaignPage.as_view(), name="new-campaign"),
    path("campaigns/<uuid:pk>/", CampaignPage.as_view(), name="campaign"),
]
