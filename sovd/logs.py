"""What becomes of a log record on its way out."""

import logging

from redis import RedisError


class WithoutTraceback(logging.Filter):
    """A server that is away is news of one line, also from a library that shows its whole stack."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, RedisError | OSError):
            record.msg, record.args = f"{record.getMessage()} ({error!r})", ()
            record.exc_info = record.exc_text = None
        return True
