"""Data of a component, which are named by their data identifiers."""

import re
from typing import Any

from django.http import HttpResponse, JsonResponse

from commands.sovd_facade import components
from commands.sovd_facade.components import CATEGORIES
from commands.sovd_facade.errors import bad_request, not_found
from commands.sovd_facade.resource import ComponentResource, no_content
from commands.sovd_facade.waiting import carry_out

DATA_ID = re.compile("0x[0-9A-Fa-f]{4}")


class DataCategories(ComponentResource):
    async def get(self) -> JsonResponse:
        return self.answer("DataCategories", {"items": [{"item": each} for each in CATEGORIES]})


class DataGroups(ComponentResource):
    async def get(self) -> JsonResponse:
        return self.answer("DataGroups", {"items": []})


class DataList(ComponentResource):
    async def get(self) -> JsonResponse:
        query = self.request.GET
        wanted = query.getlist("category") + query.getlist("categories")
        items = [
            {"id": item.id, "name": item.name, "category": item.category}
            for item in components.data_of(self.call.vehicle)
            if (not wanted or item.category in wanted) and not query.getlist("groups")
        ]
        return self.answer("DataList", {"items": items})


class DataItem(ComponentResource):
    async def get(self, data_id: str) -> JsonResponse:
        params = self._params(data_id)
        done = await carry_out(self.call, "ReadDataByID", params)
        value = {name: done.last[name] for name in ("name", "value", "unit", "raw")}
        return self.answer("DataValue", {"id": params["dataId"], "data": value, "errors": []})

    async def put(self, data_id: str) -> HttpResponse:
        params = self._params(data_id)
        await carry_out(self.call, "WriteDataByID", params | {"data": _raw(self.call.body())})
        return no_content()

    def _params(self, data_id: str) -> dict[str, str]:
        if not DATA_ID.fullmatch(data_id):
            raise not_found("There are no such data. An ID is a data identifier, such as 0xF190.")
        return {"ecuAddress": self.component.address, "dataId": f"0x{data_id[2:].upper()}"}


def _raw(body: dict[str, Any]) -> str:
    """Return the bytes to be written, as text or as the `raw` of what was read."""
    data = body.get("data")
    raw = data.get("raw") if isinstance(data, dict) else data
    if not isinstance(raw, str):
        raise bad_request('The body must be {"data": …}, with bytes in hexadecimal such as "01A4".')
    return raw
