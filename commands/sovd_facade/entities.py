"""The entities: the vehicle, its components, and how they are related."""

from typing import Any

from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase

from commands.database.threads import in_facade_thread
from commands.sovd_facade import document
from commands.sovd_facade.call import authenticate, base_of, read_call
from commands.sovd_facade.components import Component
from commands.sovd_facade.errors import not_found
from commands.sovd_facade.resource import ComponentResource, Resource
from vehicles.models import Vehicle

VERSION = "1.1.0"
VENDOR_INFO = {"name": "SOVD command console", "version": "1"}
LISTED_VEHICLES = 1_000
COLLECTIONS = ("components", "areas", "apps", "functions")
RESOURCES = ("faults", "data", "data-categories", "data-groups", "operations", "status", "locks")


class VersionInfo(Resource):
    """The base address of one vehicle, or those of the vehicles that the caller may see."""

    async def respond(self, request: HttpRequest, vin: str = "", **_: Any) -> HttpResponseBase:
        vins = await in_facade_thread(_vins, request, vin)
        return await self.handle(vins=vins)

    async def get(self, vins: list[str]) -> JsonResponse:
        infos = [
            {"version": VERSION, "base_uri": base_of(vin), "vendor_info": VENDOR_INFO}
            for vin in vins
        ]
        return self.answer("VersionInfo", {"sovd_info": infos})


def _vins(request: HttpRequest, vin: str) -> list[str]:
    if vin:
        return [read_call(request, vin).vehicle.vin]
    authenticate(request)
    return [
        *Vehicle.objects.in_use().order_by("vin").values_list("vin", flat=True)[:LISTED_VEHICLES]
    ]


class VehicleEntity(Resource):
    """The vehicle as the root of its entities."""

    async def get(self) -> JsonResponse:
        vehicle, base = self.call.vehicle, self.call.base
        name = f"{vehicle.make} {vehicle.model}".strip() or vehicle.vin
        links = {collection: f"{base}/{collection}" for collection in COLLECTIONS}
        about = {"id": vehicle.vin, "name": name, **links, "docs": f"{base}/docs"}
        return self.answer("Vehicle", about)


class Components(Resource):
    async def get(self) -> JsonResponse:
        items = [_reference(self.call.base, each) for each in self.call.components.values()]
        return self.answer("Entities", {"items": items})


class NoEntities(Resource):
    """A collection of entities that no vehicle here has."""

    async def get(self, collection: str) -> JsonResponse:
        return self.answer("Entities", {"items": []})


class ComponentEntity(ComponentResource):
    async def get(self) -> JsonResponse:
        links = {name: f"{self.address}/{name}" for name in (*RESOURCES, "docs")}
        variant = {
            "name": self.component.variant,
            "logical_address": self.component.logical_address,
        }
        about: dict[str, Any] = {"id": self.component.id, "name": self.component.name, **links}
        if given := {name: text for name, text in variant.items() if text}:
            about["variant"] = given
        return self.answer("Component", about)


class NoRelations(ComponentResource):
    """Entities of one relation to a component: there are none, so that it is not advertised."""

    async def get(self, relation: str) -> JsonResponse:
        return self.answer("Entities", {"items": []})


class Docs(Resource):
    """The capability description (OpenAPI 3.1) of what lies at an address and below."""

    async def get(self, below: str = "") -> JsonResponse:
        body = document.describe(self.call, below)
        if not body["paths"]:
            raise not_found("There is nothing at this address.")
        return JsonResponse(body)


def _reference(base: str, component: Component) -> dict[str, str]:
    address = f"{base}/components/{component.id}"
    return {"id": component.id, "name": component.name, "href": address}
