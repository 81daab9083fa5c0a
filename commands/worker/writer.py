"""Writer of the moves of a worker's running commands, many at once."""

import asyncio
from collections.abc import Sequence
from contextvars import Context

from commands import lifecycle
from commands.database.threads import in_thread
from commands.lifecycle import Step

AT_ONCE = 200  # steps of one statement


class Writer:
    """Writer of steps: those that come while others are written are written together next.

    So a worker with one running command waits for nothing, and one with many has few commits.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[Step, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def write(self, step: Step) -> None:
        """Return when the step is committed. Raise LostClaim, or an error of the database."""
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((step, written))
        if self._writing is None:
            # Without the context of this command, which would be on the log lines of the others.
            self._writing = asyncio.create_task(self._write_all(), context=Context())
        await written

    async def _write_all(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
            problems = await _written([step for step, _ in group])
            for (_, written), problem in zip(group, problems, strict=True):
                if problem and not written.done():
                    written.set_exception(problem)
                elif not written.done():
                    written.set_result(None)
        self._writing = None


async def _written(steps: Sequence[Step]) -> Sequence[Exception | None]:
    """Write a group. Return for each step None, or why it was not written."""
    try:
        return await in_thread(lifecycle.write_group, steps)
    except Exception as error:  # noqa: BLE001 - each execution handles it as its own
        return [error] * len(steps)
