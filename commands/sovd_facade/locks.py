"""Locks of a component: the one lock of its vehicle."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse, JsonResponse

from commands import events, locks
from commands.api.vehicles.locks import may_take_over
from commands.database.threads import in_facade_thread
from commands.models import VehicleLock
from commands.sovd_facade.api_calls import check_may_submit
from commands.sovd_facade.errors import bad_request, not_found
from commands.sovd_facade.resource import ComponentResource, no_content


class LockResource(ComponentResource):
    """A resource of the vehicle's lock."""

    def find(self, lock_id: UUID) -> VehicleLock:
        lock = locks.find(self.call.vehicle)
        if lock is None or lock.lock_id != lock_id:
            raise not_found(f"There is no lock {lock_id}. It may have expired.")
        return lock

    def is_owned(self, lock: VehicleLock) -> bool:
        return bool(lock.holder_id == self.call.user.pk)

    def take(self, *, take_over: bool = False) -> VehicleLock:
        check_may_submit(self.call)
        call = self.call
        if take_over:
            may_take_over(call.user)
        seconds = _seconds(call.body())
        return locks.take(call.user, call.vehicle, seconds, call.request, take_over=take_over)


class Locks(LockResource):
    async def get(self) -> JsonResponse:
        lock = await in_facade_thread(locks.find, self.call.vehicle)
        items = [{"id": str(lock.lock_id), "owned": self.is_owned(lock)}] if lock else []
        return self.answer("Locks", {"items": items})

    async def post(self) -> JsonResponse:
        take_over = self.call.body().get("break_lock", False)
        if not isinstance(take_over, bool):
            raise bad_request("break_lock must be true or false.")
        lock = await in_facade_thread(self.take, take_over=take_over)
        address = f"{self.address}/locks/{lock.lock_id}"
        body = {"id": str(lock.lock_id), "owned": True}
        return JsonResponse(body, status=201, headers={"Location": address})


class Lock(LockResource):
    async def get(self, lock_id: UUID) -> JsonResponse:
        lock = await in_facade_thread(self.find, lock_id)
        body = {"lock_expiration": events.iso(lock.expires_at), "owned": self.is_owned(lock)}
        return self.answer("Lock", body | {"x-holder": lock.holder.get_username()})

    async def put(self, lock_id: UUID) -> HttpResponse:
        await in_facade_thread(self._prolong, lock_id)
        return no_content()

    async def delete(self, lock_id: UUID) -> HttpResponse:
        await in_facade_thread(self._release, lock_id)
        return no_content()

    def _prolong(self, lock_id: UUID) -> None:
        self.find(lock_id)
        self.take()

    def _release(self, lock_id: UUID) -> None:
        check_may_submit(self.call)
        self.find(lock_id)
        locks.release(self.call.user, self.call.vehicle, self.call.request)


def _seconds(body: dict[str, Any]) -> int:
    seconds = body.get("lock_expiration")
    if type(seconds) is not int or not locks.MIN_SECONDS <= seconds <= locks.MAX_SECONDS:
        limits = f"from {locks.MIN_SECONDS} to {locks.MAX_SECONDS}"
        raise bad_request(f"lock_expiration must be a whole number of seconds {limits}.")
    return seconds
