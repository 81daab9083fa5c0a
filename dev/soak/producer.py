"""Does what a worker does, without a vehicle: claims commands, and writes the answers that the
clients ask for. Many at once, since not the writing is to be measured but the web process."""

import os
import signal
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sovd.settings")
django.setup(set_prefix=False)

from django.conf import settings  # noqa: E402
from redis import Redis  # noqa: E402

from commands import events, lifecycle  # noqa: E402
from commands.models import Command  # noqa: E402
from dev.soak.wanted import QUEUE, Wanted  # noqa: E402
from vehicles.models import Vehicle  # noqa: E402

MOST_AT_ONCE = 1000
ANSWER = {
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
            producer.write(Wanted.decode(text.decode()))


class Producer:
    def __init__(self) -> None:
        self._claimed: dict[str, Command] = {}

    def write(self, wanted: Wanted) -> None:
        if wanted.command_id not in self._claimed:
            self._claim()
        command = self._claimed[wanted.command_id]
        last = 2 if wanted.is_end else 0  # the final answer and the end that it brings
        number = wanted.up_to - command.last_sequence_number - last
        lifecycle._write(command, [events.response(ANSWER, is_final=False)] * number)
        if wanted.is_end:
            lifecycle.complete(self._claimed.pop(wanted.command_id), ANSWER)

    def _claim(self) -> None:
        Vehicle.objects.seen()
        claimed = lifecycle.claim(MOST_AT_ONCE)
        self._claimed |= {str(command.pk): command for command in claimed}


if __name__ == "__main__":
    main()
