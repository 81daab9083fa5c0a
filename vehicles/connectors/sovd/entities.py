"""The entity tree of a server: its base, its root and the components, by links that it names."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from vehicles.connectors.base import TargetVehicle, VehicleError
from vehicles.connectors.errors import UnusableAnswer
from vehicles.connectors.sovd import bodies
from vehicles.connectors.sovd.errors import Refusal
from vehicles.connectors.sovd.session import Session
from vehicles.ecus import normal_address, upper

VERSION_INFO = "/version-info"
GENERIC_SERVICE = "genericservice"  # raw UDS over HTTP, which is not in the standard


@dataclass(frozen=True)
class SovdEcu:
    """An ECU as responses spell it, and the component that stands for it."""

    text: str
    component: str = ""
    name: str = ""


@dataclass(frozen=True)
class Entity:
    """An entity with its capabilities: a key for each resource that it offers."""

    url: str
    about: dict[str, Any]

    def offers(self, key: str) -> bool:
        return self._key(key) is not None

    def _key(self, wanted: str) -> str | None:
        """Return the key as the server spells it: a maker may put a prefix before its own."""
        for key, value in self.about.items():
            name = key.lower()
            is_own = name.startswith("x-") and wanted == GENERIC_SERVICE
            if isinstance(value, str) and (name == wanted or (is_own and name.endswith(wanted))):
                return key
        return None

    def link(self, session: Session, key: str) -> str:
        """Return the URL of a resource. Raises VehicleError if it is not offered."""
        known = self._key(key)
        if known is None:
            raise Refusal(
                f"The server offers no `{key}` for this ECU. Check its component, or choose "
                "another command."
            )
        return session.link(self.about[known], self.url)


def all_ecus(vehicle: TargetVehicle) -> list[SovdEcu]:
    return [SovdEcu(upper(ecu.address), ecu.component, ecu.name) for ecu in vehicle.configured_ecus]


def find_ecu(vehicle: TargetVehicle, address: str) -> SovdEcu:
    """Return the ECU with this number; one that is not configured has no component."""
    ecus = {ecu.text: ecu for ecu in all_ecus(vehicle)}
    text = normal_address(address, ecus)
    return ecus.get(text) or SovdEcu(text)


def member(collection: str, item_id: str) -> str:
    """Return the URL of a member of a collection, by its ID. Raises UnusableAnswer."""
    if item_id in {"", ".", ".."}:  # they would name the collection, or what is above it
        raise UnusableAnswer("An ID of the server or in `data_ids` is no name. Correct it.")
    return f"{collection.rstrip('/')}/{quote(item_id, safe='')}"


def url_of(session: Session, item: dict[str, Any], collection: str) -> str:
    """Return the URL of an item of a list: its `href`, else by its ID."""
    if isinstance(item.get("href"), str):
        return session.link(item["href"], collection)
    return member(collection, str(item.get("id", "")))


class Tree:
    """The root of a server, and the components below it; each is asked for once."""

    def __init__(self, session: Session, root: Entity) -> None:
        self.session, self.root = session, root
        self._urls: dict[str, str] | None = None
        self._entities: dict[str, Entity] = {}

    @classmethod
    async def of(cls, session: Session) -> "Tree":
        """Ask for the base, unless it is known, and for the root. Raises VehicleError."""
        server = session.server
        server.base = server.base or await _base(session)
        try:
            return cls(session, await _root(session))
        except VehicleError:
            server.base = ""
            raise

    async def component(self, ecu: SovdEcu) -> Entity:
        """Return the component of an ECU. Raises VehicleError if there is none."""
        if not ecu.component:
            raise Refusal(f"ECU {ecu.text} has no SOVD component. Add it to the vehicle's ECUs.")
        if ecu.component not in self._entities:
            url = await self._url(ecu)
            about = await self.session.get(url, "component")
            self._entities[ecu.component] = Entity(url, bodies.expect_object(about, "component"))
        return self._entities[ecu.component]

    async def _url(self, ecu: SovdEcu) -> str:
        if self._urls is None:
            components = self.root.link(self.session, "components")
            items = bodies.items_of(await self.session.get(components, "components"), "components")
            self._urls = {
                str(item.get("id")): url_of(self.session, item, components) for item in items
            }
        if ecu.component not in self._urls:
            known = ", ".join(sorted(self._urls))[:100] or "none"
            raise Refusal(
                f"The server has no component {ecu.component} for ECU {ecu.text}. "
                f"It has: {known}. Correct the component."
            )
        return self._urls[ecu.component]


async def _root(session: Session) -> Entity:
    """Return the entry point: `/` below the base; some servers know it without the slash."""
    base = session.server.base
    answer = await session.ask("GET", f"{base}/", "entity")
    if answer.status in {301, 302, 307, 308, 404, 405}:
        answer = await session.ask("GET", base, "entity")
    if not answer.is_good:
        raise await session.error(answer, "GET", base)
    return Entity(f"{base}/", bodies.expect_object(await answer.json(), "the entry point"))


async def _base(session: Session) -> str:
    settings = session.server.settings
    url = settings.url.rstrip("/").removesuffix(VERSION_INFO)
    if settings.base_uri:
        return _absolute(settings.base_uri, url)
    found = await session.get(f"{url}{VERSION_INFO}", "version-info")
    versions = [
        version
        for version in bodies.items_of(found, "sovd_info")
        if isinstance(version.get("base_uri"), str)
    ]
    if not versions:
        raise UnusableAnswer("The version-info names no base. Correct `url`, or set `base_uri`.")
    base = _absolute(max(versions, key=_number)["base_uri"], url)
    return session.link(base, url, origin=url).rstrip("/")


def _absolute(base_uri: str, url: str) -> str:
    """Return a base as a URL: it may be absolute, or relative to the host."""
    has_host = "://" in base_uri or base_uri.startswith("//")
    try:
        base = httpx.URL(url).join(base_uri if has_host else f"/{base_uri.lstrip('/')}")
    except httpx.InvalidURL as error:
        raise UnusableAnswer("The base URI is no address. Set `base_uri`.") from error
    return str(base).rstrip("/")


def _number(version: dict[str, Any]) -> list[int]:
    parts = str(version.get("version", "")).split(".")[:3]
    return [int(part) if part.isdecimal() and len(part) < 9 else 0 for part in parts]
