"""A producer in the place of a worker: claims commands, and writes responses that clients request.

It writes many at once, since the web process is to be measured and not the writing.
"""

import signal
import sys

from django.conf import settings
from django.db.models.functions import Now
from redis import Redis

from commands import events, lifecycle
from commands.lifecycle import writing
from commands.models import Command
from dev.soak.requests import QUEUE, WriteRequest
from vehicles.models import Vehicle

MAX_AT_ONCE = 1000
RESPONSE = {
    "type": "dtc",
    "ecuAddress": "0x10",
    "dtcCode": "P0113",
    "description": "Intake air temperature sensor signal too high",
    "status": "0x28",
    "statusBits": ["confirmedDTC", "testFailedSinceLastClear"],
    "confirmed": True,
}


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    producer = Producer()
    with Redis.from_url(settings.REDIS_URL, socket_timeout=None) as redis:
        while True:
            _, text = redis.blpop([QUEUE])
            producer.write(WriteRequest.decode(text.decode()))


class Producer:
    def __init__(self) -> None:
        self._claimed: dict[str, Command] = {}

    def write(self, request: WriteRequest) -> None:
        if request.command_id not in self._claimed:
            self._claim()
        command = self._claimed[request.command_id]
        last = 2 if request.is_end else 0  # the final response and the status that it brings
        number = request.up_to - command.last_sequence_number - last
        response = RESPONSE | ({"padding": "x" * request.padding} if request.padding else {})
        writing.write(command, [events.response(response, is_final=False)] * number)
        if request.is_end:
            lifecycle.complete(self._claimed.pop(request.command_id), RESPONSE)

    def _claim(self) -> None:
        Vehicle.objects.update(connection_status="connected", last_seen_at=Now())
        claimed = lifecycle.claim(MAX_AT_ONCE)
        self._claimed |= {str(command.pk): command for command in claimed}


if __name__ == "__main__":
    main()
