"""Exact places at which a test lets a process die, or its connection break.

The setting FAILPOINTS arms them: `after_commit=kill@2` kills this process the second time that it
gets there. Unset, as it is outside of tests, they do nothing.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable

from django.conf import settings
from django.db import OperationalError

_reached: Counter[str] = Counter()


def reached(point: str) -> None:
    if settings.FAILPOINTS:
        _reached[point] += 1
        if action := settings.FAILPOINTS.get((point, _reached[point])):
            ACTIONS[action]()


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _cut() -> None:
    raise OperationalError("the connection was cut by a failpoint")


ACTIONS: dict[str, Callable[[], None]] = {"kill": _kill, "cut": _cut}
