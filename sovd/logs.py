"""How the processes log: text for a person under DEBUG, one JSON object a line in production.

What is bound to the context (request, command, vehicle) is on every line, also of libraries. No
token ever gets into a line: `redact` sees each as it will be written.
"""

import logging
import re
import sys
from typing import Any

import structlog
from redis import RedisError
from structlog.typing import Processor, WrappedLogger

# A whole token, its place in a query or a header, and whatever a client hangs to a stream's path.
SECRETS = [
    (re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*"), "[redacted]"),
    (re.compile(r"(?i)(bearer)\s+[^\s\"',}]+"), r"\1 [redacted]"),
    (re.compile(r"(?i)(token|ticket|password|sessionid|secret)=[^&;\s\"'\\]+"), r"\1=[redacted]"),
    (re.compile(r"(/ws/[^\s?\"']*)\?[^\s\"'\\]*"), r"\1?[redacted]"),
]


def redact(logger: WrappedLogger, name: str, line: Any) -> str:
    for secret, instead in SECRETS:
        line = secret.sub(instead, line)
    return str(line)


CONTEXT: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


UVICORN = ["uvicorn", "uvicorn.access", "uvicorn.error"]
STREAMING = {"streaming_started", "streaming_finished", "streaming_cancelled"}  # by who left early


def configuration(readable: bool) -> dict[str, Any]:
    """For Django's LOGGING; and structlog's loggers write to the same handlers."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *CONTEXT,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    line = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": CONTEXT,
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *(_for_a_person() if readable else _for_machines()),
            redact,
        ],
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": line},
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["calm"]}
        },
        "filters": {"without_traceback": {"()": WithoutTraceback}, "calm": {"()": Calm}},
        "root": {"handlers": ["console"], "level": "INFO"},
        "loggers": {
            "channels_redis.pubsub": {"filters": ["without_traceback"]},  # when Redis goes away
            # By their own handlers, uvicorn's would write past the redaction.
            **{name: {"handlers": [], "propagate": True} for name in UVICORN},
            # Under DEBUG Django logs every request and every 4xx by handlers of its own.
            "django": {"handlers": ["console"], "level": "INFO", "propagate": False},
            "django.request": {"level": "ERROR"},  # `request_finished` says the rest
            "django.channels.server": {"level": "WARNING"},
            "daphne": {"level": "WARNING"},
            "axes": {"level": "WARNING"},  # four lines for each log-in
        },
    }


def _for_a_person() -> list[Processor]:
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]


def _for_machines() -> list[Processor]:
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def write_access_entry(
    self: Any, host: str, date: Any, request: str, *rest: Any, **details: Any
) -> None:
    """In place of daphne's own, which prints the query with its token, past all this."""
    logging.getLogger("daphne.access").info("%s %s", host, request)


class WithoutTraceback(logging.Filter):
    """A server that is away is news of one line, also from a library that shows its whole stack."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, RedisError | OSError):
            record.msg, record.args = f"{record.getMessage()} ({error!r})", ()
            record.exc_info = record.exc_text = None
        return True


class Calm(logging.Filter):
    """One line each: for what a client did wrong, such as a `Host` of its own, which is no error
    of ours; and for a file or an export, whose `request_finished` stands there already."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.msg, dict) and record.msg.get("event") in STREAMING:
            return False
        if record.name.startswith("django.security."):
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            record.exc_info = None
        return True
