"""Logging of the processes: text under DEBUG, one JSON object a line in production.

The context (request, command, vehicle) is on every line, also on those of libraries. No line has a
token: `redact` changes each line last, as it will be written.
"""

import logging
import re
import sys
from typing import Any

import structlog
from redis import RedisError
from structlog.typing import Processor, WrappedLogger

# A whole token, a token in a header or a query, and the whole query of a stream's address.
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
STREAMING = {
    "streaming_started",
    "streaming_finished",
    "streaming_cancelled",
}  # the last: left early


def configuration(readable: bool) -> dict[str, Any]:
    """Return Django's LOGGING, and let structlog's loggers write to the same handlers."""
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
            # Uvicorn's own handlers would write without redaction.
            **{name: {"handlers": [], "propagate": True, "level": "WARNING"} for name in UVICORN},
            # Under DEBUG Django's own handlers log every request and every 4xx.
            "django": {"handlers": ["console"], "level": "INFO", "propagate": False},
            "django.request": {"level": "ERROR"},  # `request_finished` logs the others
            "django.channels.server": {"level": "WARNING"},
            "daphne": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},  # each request of the connector sovd; they are evidence
        },
    }


def _for_a_person() -> list[Processor]:
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]


def _for_machines() -> list[Processor]:
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


class WithoutTraceback(logging.Filter):
    """Filter that reduces a library's stack to one line when a server is away."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, RedisError | OSError):
            record.msg, record.args = f"{record.getMessage()} ({error!r})", ()
            record.exc_info = record.exc_text = None
        return True


class Calm(logging.Filter):
    """Filter that leaves one line for a client's mistake, such as a wrong `Host`, and none beside
    `request_finished` for a file or an export."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.msg, dict) and record.msg.get("event") in STREAMING:
            return False
        if record.name.startswith("django.security."):
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            record.exc_info = None
        return True
