"""What becomes of a log record on its way out."""

import logging


class WithoutTraceback(logging.Filter):
    """A server that is away is news of one line, also from a library that shows its whole stack."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info:
            record.msg, record.args = f"{record.getMessage()} ({record.exc_info[1]!r})", ()
            record.exc_info = record.exc_text = None
        return True


class Calm(logging.Filter):
    """What a client did wrong, such as a `Host` of its own, is no error of ours: one line."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("django.security."):
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            record.exc_info = None
        return True
