from django.urls import path, re_path

from commands.sovd_facade import data, entities, faults, locks, oauth, operations
from commands.sovd_facade.resource import Nothing

BASE = "<str:vin>/v1"
COMPONENT = f"{BASE}/components/<str:component_id>"
OPERATION = f"{COMPONENT}/operations/<str:operation_id>"
EXECUTION = f"{OPERATION}/executions/<uuid:execution_id>"

urlpatterns = [
    path("token", oauth.token, name="sovd-token"),
    path("version-info", entities.VersionInfo.as_view()),
    path("<str:vin>/version-info", entities.VersionInfo.as_view()),
    path(BASE, entities.VehicleEntity.as_view()),
    path(f"{BASE}/", entities.VehicleEntity.as_view()),
    path(f"{BASE}/docs", entities.Docs.as_view()),
    path(f"{BASE}/<path:below>/docs", entities.Docs.as_view()),
    path(f"{BASE}/components", entities.Components.as_view()),
    re_path(
        r"^(?P<vin>[^/]+)/v1/(?P<collection>areas|apps|functions)$", entities.NoEntities.as_view()
    ),
    path(COMPONENT, entities.ComponentEntity.as_view()),
    re_path(
        r"^(?P<vin>[^/]+)/v1/components/(?P<component_id>[^/]+)"
        r"/(?P<relation>hosts|depends-on|belongs-to)$",
        entities.NoRelations.as_view(),
    ),
    path(f"{COMPONENT}/faults", faults.Faults.as_view()),
    path(f"{COMPONENT}/faults/<str:code>", faults.Fault.as_view()),
    path(f"{COMPONENT}/data-categories", data.DataCategories.as_view()),
    path(f"{COMPONENT}/data-groups", data.DataGroups.as_view()),
    path(f"{COMPONENT}/data", data.DataList.as_view()),
    path(f"{COMPONENT}/data/<str:data_id>", data.DataItem.as_view()),
    path(f"{COMPONENT}/operations", operations.Operations.as_view()),
    path(OPERATION, operations.Operation.as_view()),
    path(f"{OPERATION}/executions", operations.Executions.as_view()),
    path(EXECUTION, operations.Execution.as_view()),
    path(f"{EXECUTION}/x-events", operations.ExecutionEvents.as_view()),
    path(f"{COMPONENT}/locks", locks.Locks.as_view()),
    path(f"{COMPONENT}/locks/<uuid:lock_id>", locks.Lock.as_view()),
    path(f"{COMPONENT}/status", operations.ComponentStatus.as_view()),
    path(f"{COMPONENT}/status/restart", operations.Restart.as_view()),
    re_path("", Nothing.as_view()),
]
