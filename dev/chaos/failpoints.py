"""Exact places at which a process of the product dies, or loses its database.

`after_commit=kill@2` kills this process the second time that it gets to `after_commit`. The commits
that count are those that publish something afterwards: of moves and of responses.
"""

import os
import re
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from django.db import OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper

from commands.lifecycle import insertion, worker_moves
from commands.notifications import Publisher

FAILPOINT = re.compile(
    "(before_send|after_send|before_read_back|before_commit|after_commit|after_publish)"
    "=(kill|cut)@([0-9]+)"
)


class Failpoints:
    """The armed failpoints of this process, and how often it has reached each."""

    def __init__(self, text: str) -> None:
        """`text`: a list with commas."""
        found = [FAILPOINT.fullmatch(item) for item in filter(None, text.split(","))]
        if None in found:
            raise ValueError(f"{text!r} is no list such as after_commit=kill@2,before_send=cut@1")
        self._actions = {(match[1], int(match[3])): match[2] for match in found if match}
        self._reached: Counter[str] = Counter()

    def reached(self, point: str) -> None:
        self._reached[point] += 1
        if action := self._actions.get((point, self._reached[point])):
            ACTIONS[action]()

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Reach the points of the database and of the publisher."""
        commit, publish = BaseDatabaseWrapper.commit, Publisher.publish

        def commit_between_points(database: BaseDatabaseWrapper) -> None:
            publishes = bool(database.run_on_commit)
            if publishes:
                self.reached("before_commit")
            commit(database)
            if publishes:
                self.reached("after_commit")

        def between_points(write: Callable[..., Any]) -> Callable[..., Any]:
            """Reach the points around one statement, which is a commit of its own."""

            def write_between_points(*args: Any) -> Any:
                if connection.in_atomic_block:
                    return write(*args)
                self.reached("before_commit")
                written = write(*args)
                self.reached("after_commit")
                return written

            return write_between_points

        def publish_before_point(publisher: Publisher, *message: Any) -> None:
            publish(publisher, *message)
            self.reached("after_publish")

        with (
            patch.object(BaseDatabaseWrapper, "commit", commit_between_points),
            patch.object(worker_moves, "store", between_points(worker_moves.store)),
            patch.object(insertion, "by_one_statement", between_points(insertion.by_one_statement)),
            patch.object(Publisher, "publish", publish_before_point),
        ):
            yield


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _cut() -> None:
    raise OperationalError("the connection was cut by a failpoint")


ACTIONS: dict[str, Callable[[], None]] = {"kill": _kill, "cut": _cut}
