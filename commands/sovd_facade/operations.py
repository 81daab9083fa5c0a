"""Operations of a component: its routines by their identifiers, and `ecureset`."""

import re
from typing import Any
from uuid import UUID

from django.http import HttpResponse, JsonResponse
from django.http.response import HttpResponseBase

from commands.database.threads import in_facade_thread
from commands.models import OPEN, Command, RemovedExecution, Status
from commands.sovd_facade import api_calls, errors
from commands.sovd_facade.call import DEFAULT_SECONDS, read_seconds
from commands.sovd_facade.errors import bad_request, conflict, not_found
from commands.sovd_facade.event_stream import event_stream
from commands.sovd_facade.resource import ComponentResource, no_content
from vehicles.ecus import number_of

RESET = "ecureset"
ROUTINE_ID = re.compile("0x[0-9A-Fa-f]{4}")
STATES = {
    Status.PENDING: "running",
    Status.IN_PROGRESS: "running",
    Status.COMPLETED: "completed",
    Status.CANCELLED: "stopped",
}
RESETS = {
    "hard": "hard",
    "hardreset": "hard",
    "soft": "soft",
    "softreset": "soft",
    "keyoffon": "keyOffOn",
    "keyoffonreset": "keyOffOn",
}
LISTED = 100  # of the executions that are looked through, the latest


class OperationResource(ComponentResource):
    """A resource of one operation."""

    operation_id: str

    async def handle(self, **kwargs: Any) -> HttpResponseBase:
        self.operation_id = _normal(kwargs.pop("operation_id"))
        return await super().handle(**kwargs)

    @property
    def executions(self) -> str:
        return f"{self.address}/operations/{self.operation_id}/executions"

    def is_execution(self, command: Command) -> bool:
        """Return whether the command is an execution of this operation."""
        params = command.command_params
        if number_of(params.get("ecuAddress", "0x0")) != number_of(self.component.address):
            return False
        if self.operation_id == RESET:
            return command.command_name == "ECUReset"
        is_routine = command.command_name == "RoutineControl"
        return is_routine and params["routineId"].upper() == self.operation_id.upper()

    async def find(self, execution_id: UUID) -> Command:
        command = await in_facade_thread(api_calls.find, self.call, execution_id)
        if not self.is_execution(command):
            raise not_found(f"There is no execution {execution_id} of {self.operation_id}.")
        return command


class Operations(ComponentResource):
    async def get(self) -> JsonResponse:
        return self.answer("Operations", {"items": [_about(RESET)]})


class Operation(OperationResource):
    async def get(self) -> JsonResponse:
        return self.answer("Operation", {"item": _about(self.operation_id)})


class Executions(OperationResource):
    async def get(self) -> JsonResponse:
        found = await in_facade_thread(api_calls.latest, self.call, LISTED)
        items = [{"id": str(command.pk)} for command in found if self.is_execution(command)]
        return self.answer("Executions", {"items": items})

    async def post(self) -> JsonResponse:
        body = self.call.body()
        name, params = _command_of(self.operation_id, _parameters(body))
        params["ecuAddress"] = self.component.address
        seconds = read_seconds(body.get("timeout", DEFAULT_SECONDS))
        command = await in_facade_thread(api_calls.submit, self.call, name, params, seconds)
        return started(command, f"{self.executions}/{command.pk}")


class Execution(OperationResource):
    async def get(self, execution_id: UUID) -> HttpResponseBase:
        command = await self.find(execution_id)
        if "text/event-stream" in self.request.headers.get("Accept", ""):
            return await event_stream(self.call, command)
        state, parameters = await in_facade_thread(_state_of, command)
        return self.answer("Execution", state | {"parameters": parameters})

    async def put(self, execution_id: UUID) -> JsonResponse:
        command = await self.find(execution_id)
        capability = self.call.body().get("capability")
        if capability != "stop":
            raise bad_request('The only capability of an execution is "stop".')
        await in_facade_thread(api_calls.cancel, self.call, command)
        return started(command, f"{self.executions}/{command.pk}")

    async def delete(self, execution_id: UUID) -> HttpResponse:
        command = await self.find(execution_id)
        await in_facade_thread(_remove, self.call, command)
        return no_content()


class ExecutionEvents(OperationResource):
    """The events of an execution, as they arrive: an extension of ours."""

    async def get(self, execution_id: UUID) -> HttpResponseBase:
        return await event_stream(self.call, await self.find(execution_id))


class ComponentStatus(ComponentResource):
    async def get(self) -> JsonResponse:
        is_ready = self.call.vehicle.effective_connection_status == "connected"
        status = "ready" if is_ready else "notReady"
        return self.answer(
            "Status", {"status": status, "restart": f"{self.address}/status/restart"}
        )


class Restart(ComponentStatus):
    async def put(self) -> JsonResponse:
        named = {name.lower(): value for name, value in _parameters(self.call.body()).items()}
        wanted = str(named.get("resettype", "hard"))
        params = {"resetType": RESETS.get(wanted.lower(), wanted)}
        params["ecuAddress"] = self.component.address
        submitted = (self.call, "ECUReset", params, self.call.seconds)
        command = await in_facade_thread(api_calls.submit, *submitted)
        return started(command, f"{self.address}/operations/{RESET}/executions/{command.pk}")


def started(command: Command, address: str) -> JsonResponse:
    body = {"id": str(command.pk), "status": "running"}
    return JsonResponse(body, status=202, headers={"Location": address})


def _parameters(body: dict[str, Any]) -> dict[str, Any]:
    parameters = body.get("parameters", {})
    if not isinstance(parameters, dict):
        raise bad_request("parameters must be an object.")
    return parameters


def _normal(operation_id: str) -> str:
    if operation_id.lower() == RESET:
        return RESET
    if not ROUTINE_ID.fullmatch(operation_id):
        message = f"There is no such operation. An ID is {RESET}, or a routine such as 0x0203."
        raise not_found(message)
    return f"0x{operation_id[2:].upper()}"


def _about(operation_id: str) -> dict[str, Any]:
    name = "ECU reset" if operation_id == RESET else f"Routine {operation_id}"
    about = {"proximity_proof_required": False, "asynchronous_execution": True}
    return {"id": operation_id, "name": name, **about}


def _command_of(operation_id: str, parameters: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if operation_id == RESET:
        return "ECUReset", {**parameters}
    return "RoutineControl", {"action": "start", **parameters, "routineId": operation_id}


def _state_of(command: Command) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the state of an execution, and the last response of the vehicle as its parameters."""
    state: dict[str, Any] = {
        "status": STATES.get(Status(command.status), "failed"),
        "capability": "execute",
    }
    if command.error_code:
        frame = {name: getattr(command, name) for name in ("status", "error_code", "error_message")}
        problem = errors.of_outcome(frame, command.command_name)
        state["error"] = [{"path": "/", "error": problem.body()}]
    last = command.events.current_responses().order_by("-sequence_number").first()
    return state, last.payload["response"] if last else {}


def _remove(call: Any, command: Command) -> None:
    """Hide an execution from the façade. Its command stays, as evidence."""
    if command.status == Status.PENDING:
        api_calls.cancel(call, command)
        command.refresh_from_db()
    if command.status in OPEN:
        raise conflict("The execution is running. Stop it first, and wait for its end.")
    api_calls.check_may_submit(call)
    RemovedExecution.objects.get_or_create(command=command)
