from django.urls import URLPattern, URLResolver, include, path, re_path
from rest_framework.routers import SimpleRouter

from commands.api import tokens
from commands.api.batches import BatchViewSet
from commands.api.campaigns.views import CampaignViewSet
from commands.api.command_types import CommandTypesView
from commands.api.commands.views import CommandViewSet
from commands.api.dashboard.views import DashboardView, FrequentCodesView
from commands.api.errors import no_such_address
from commands.api.exchanges import ExchangesView, TranscriptView
from commands.api.saved_views import SavedViewViewSet
from commands.api.service_accounts import ServiceAccountViewSet
from commands.api.stream_tickets import StreamTicketsView
from commands.api.vehicles.descriptions import DescriptionViewSet
from commands.api.vehicles.locks import LockView
from commands.api.vehicles.names import NamesView
from commands.api.vehicles.notes import NoteViewSet
from commands.api.vehicles.past_values import PastValuesView
from commands.api.vehicles.reports import ReportView
from commands.api.vehicles.views import ConnectorsView, VehiclesWithCommands
from commands.api.webhooks.views import WebhookViewSet

router = SimpleRouter()
router.register("commands", CommandViewSet, basename="command")
router.register("vehicles", VehiclesWithCommands)
router.register("batches", BatchViewSet, basename="batch")
router.register("campaigns", CampaignViewSet, basename="campaign")
router.register("service-accounts", ServiceAccountViewSet)
router.register("descriptions", DescriptionViewSet)
router.register("views", SavedViewViewSet)
router.register("webhooks", WebhookViewSet)

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include(router.urls)),  # first: they are asked for most
    path("token/", tokens.LoginView.as_view(), name="token"),
    path("token/refresh/", tokens.RefreshView.as_view(), name="token-refresh"),
    path("token/logout/", tokens.LogoutView.as_view(), name="token-logout"),
    path(
        "token/logout-everywhere/",
        tokens.LogoutEverywhereView.as_view(),
        name="token-logout-everywhere",
    ),
    path("stream-tickets/", StreamTicketsView.as_view(), name="stream-tickets"),
    path("dashboard/", DashboardView.as_view(), name="api-dashboard"),
    path("dashboard/trouble-codes/", FrequentCodesView.as_view(), name="api-frequent-codes"),
    path("connectors/", ConnectorsView.as_view(), name="connectors"),
    path("command-types/", CommandTypesView.as_view(), name="command-types"),
    path("vehicles/<uuid:vehicle_id>/names/", NamesView.as_view(), name="names"),
    path("vehicles/<uuid:vehicle_id>/values/", PastValuesView.as_view(), name="past-values"),
    path("vehicles/<uuid:vehicle_id>/lock/", LockView.as_view(), name="lock"),
    path("vehicles/<uuid:vehicle_id>/report/", ReportView.as_view(), name="report"),
    path(
        "vehicles/<uuid:vehicle_id>/notes/",
        NoteViewSet.as_view({"get": "list", "post": "create"}),
        name="notes",
    ),
    path(
        "vehicles/<uuid:vehicle_id>/notes/<uuid:note_id>/",
        NoteViewSet.as_view({"delete": "destroy"}),
        name="note",
    ),
    path("commands/<uuid:command_id>/exchanges/", ExchangesView.as_view(), name="exchanges"),
    path("commands/<uuid:command_id>/transcript/", TranscriptView.as_view(), name="transcript"),
    re_path("", no_such_address),
]
