"""Faults of a component: the trouble codes of its control unit."""

import re
from collections.abc import Iterator
from typing import Any

from django.http import HttpResponse, JsonResponse

from commands.sovd_facade.errors import SovdError, bad_request, not_found
from commands.sovd_facade.resource import ComponentResource, no_content
from commands.sovd_facade.waiting import carry_out
from vehicles.connectors.dtc import STATUS_BITS, STORED, text_of

SCOPE = "Default"
ERROR, WARNING = 2, 3
TRUE, FALSE = {"1", "true"}, {"0", "false"}
KNOWN = {name.lower(): name for name in (*STATUS_BITS, "aggregatedStatus", "mask")}
RAW = re.compile(r"[0-9A-F]{6}")


class FaultResource(ComponentResource):
    async def read(self) -> list[dict[str, Any]]:
        params = {"ecuAddress": self.component.address}
        done = await carry_out(self.call, "ReadDTC", params)
        return [_fault(response) for response in done.responses if response["type"] == "dtc"]

    async def clear(self, **params: str) -> None:
        params = {"ecuAddress": self.component.address, **params}
        await carry_out(self.call, "ClearDTC", params)


class Faults(FaultResource):
    async def get(self) -> JsonResponse:
        query = self.request.GET
        severity = _severity(query.get("severity"))
        wanted = [*_wanted(query.lists())]
        scopes = query.getlist("scope")
        faults = [
            fault
            for fault in await self.read()
            if fault["severity"] < severity
            and (not scopes or fault["scope"] in scopes)
            and (not wanted or any(_matches(fault["status"], *each) for each in wanted))
        ]
        return self.answer("Faults", {"items": faults})

    async def delete(self) -> HttpResponse:
        if any(scope != SCOPE for scope in self.request.GET.getlist("scope")):
            raise not_found(f"The only scope is {SCOPE}.")
        await self.clear()
        return no_content()


class Fault(FaultResource):
    async def get(self, code: str) -> JsonResponse:
        return self.answer("Fault", {"item": await self._find(code), "errors": []})

    async def delete(self, code: str) -> HttpResponse:
        try:
            await self.clear(dtcCode=_trouble_code(code))
        except SovdError as error:
            if error.error_code == "error-response":
                # The key belongs to the command that clears, not to the one that reads.
                self.request.META.pop("HTTP_IDEMPOTENCY_KEY", None)
                await self._find(code)  # 404 if it was refused because it is not stored
            raise
        return no_content()

    async def _find(self, code: str) -> dict[str, Any]:
        names = {code.upper(), _trouble_code(code)}
        for fault in await self.read():
            if names & {fault["code"], fault["display_code"]}:
                return fault
        raise _no_fault(code)


def _no_fault(code: str) -> SovdError:
    return not_found(f"The component has no fault {code[:40]}.")


def _trouble_code(code: str) -> str:
    """Return the trouble code of a fault's key, which is its three raw bytes where known."""
    text = code.upper()
    if RAW.fullmatch(text):
        return text_of(int(text, 16))
    if re.fullmatch(r"[PCBU][0-3][0-9A-F]{3}(-[0-9A-F]{2})?", text):
        return text
    raise _no_fault(code)


def _fault(response: dict[str, Any]) -> dict[str, Any]:
    """Return a `dtc` response as a fault. The severity follows from its status."""
    code, mask = response["dtcCode"], int(response["status"], 16)
    return {
        "code": response.get("dtcRaw", code),
        "display_code": code,
        "scope": SCOPE,
        "fault_name": response["description"] or code,
        "severity": ERROR if response["confirmed"] else WARNING,
        "status": {name: str(mask >> bit & 1) for bit, name in enumerate(STATUS_BITS)}
        | {"aggregatedStatus": _aggregated(mask), "mask": f"{mask:02X}"},
    }


def _aggregated(mask: int) -> str:
    if mask & 1:
        return "active"
    return "passive" if mask & STORED else "cleared"


def _severity(text: str | None) -> int:
    """Return the number below which the severity of a fault has to lie."""
    if text is None:
        return WARNING + 1
    if not re.fullmatch("[0-9]{1,4}", text):
        raise bad_request("severity must be a whole number: 1 fatal, 2 error, 3 warning, 4 info.")
    return int(text)


def _wanted(query: Any) -> Iterator[tuple[str, str]]:
    """Yield key and value of each `status[key]=value`. A fault has to match one of them."""
    for name, values in query:
        if match := re.fullmatch(r"status\[(.*)]", name):
            key = KNOWN.get(match[1].lower().replace("_", ""))
            if key is None:
                raise bad_request(f"status has the keys {', '.join(KNOWN.values())}.")
            yield from ((key, _value(key, value.lower())) for value in values)


def _value(key: str, text: str) -> str:
    if key == "mask" and re.fullmatch("(0x)?[0-9a-f]{1,2}", text):
        return text.removeprefix("0x")
    if key == "aggregatedStatus" or (key == "mask" and not text):
        return text
    if key != "mask" and text in TRUE | FALSE:
        return "1" if text in TRUE else "0"
    raise bad_request(f"status[{key}] cannot be {text[:40]!r}.")


def _matches(status: dict[str, str], key: str, value: str) -> bool:
    if key == "mask":
        return bool(int(status[key], 16) & int(value or "0", 16))
    return status[key] == value
