"""Counters, gauges and histograms, which the code moves at commits, sockets, messages and sweeps.

No VIN, user, address or id is a label (a test checks it). `commands/metrics/scrape.py` has the
figures that are read from the database, and joins the processes of a host.
"""

from prometheus_client import Counter, Gauge, Histogram

from commands.catalogue import COMMAND_TYPES, is_safe_to_repeat
from commands.models import TERMINAL, DeliveredBy, DeliveryState, ErrorCode, Event, Kind, Status

# --- Commands

commands_submitted = Counter(
    "sovd_commands_submitted_total", "Commands that were accepted.", ["command_name"]
)
command_wait = Histogram(
    "sovd_command_wait_seconds",
    "From the submission of a command to its first claim by a worker.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
commands_executed = Counter("commands_executed_total", "Commands that ended.", ["status"])
commands_ended = Counter(
    "sovd_commands_ended_total",
    "Commands that ended, by name, status and error code.",
    ["command_name", "status", "error_code"],
)
command_execution_duration = Histogram(
    "command_execution_duration_seconds",
    "From the submission of a command to its end.",
    buckets=(0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60),
)
command_timeouts = Counter("sovd_command_timeout_total", "Commands the vehicle did not answer.")
unsafe_commands_lost = Counter(
    "sovd_unsafe_commands_lost_total",
    "Commands that are not safe to repeat and whose worker was lost: perhaps carried out.",
)
events_appended = Counter(
    "sovd_command_events_total", "Events that were appended to the logs of commands.", ["kind"]
)

# --- Workers

workers = Gauge("sovd_workers_active", "Workers that run.", multiprocess_mode="livesum")
worker_heartbeat = Gauge(
    "sovd_worker_heartbeat_timestamp_seconds",
    "When a worker last finished a sweep.",
    multiprocess_mode="livemax",
)
leases_taken_over = Counter(
    "sovd_leases_taken_over_total", "Commands taken from a worker that was lost."
)

# --- Streams

websocket_connections = Gauge(
    "websocket_connections_active",
    "Authenticated WebSocket subscribers.",
    multiprocess_mode="livesum",
)
stream_refusals = Counter(
    "sovd_stream_refusals_total",
    "Streams that were refused, or ended by the server. The reasons: commands/stream/protocol.py.",
    ["reason"],
)
stream_frames = Counter(
    "sovd_stream_frames_total",
    "Frames for subscribers: as they happened (live), or replayed from the log (log).",
    ["source"],
)
stream_frames_dropped = Counter(
    "sovd_stream_frames_dropped_total",
    "Frames dropped for a subscriber that was slow or missed one; the log has them.",
)
stream_delivery = Histogram(
    "sovd_stream_delivery_seconds",
    "From an event to its arrival in a process with subscribers.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
group_messages_failed = Counter(
    "sovd_group_messages_failed_total", "Messages that the channel layer did not take."
)

# --- Webhooks

webhook_deliveries = Counter(
    "sovd_webhook_deliveries_total",
    "Deliveries to webhooks, and of e-mails to users, that ended, by outcome.",
    ["by", "state"],
)
webhook_failures = Counter(
    "sovd_webhook_failures_total", "Attempts that failed, and are made again.", ["by"]
)
webhooks_disabled = Counter(
    "sovd_webhooks_disabled_total",
    "Webhooks, and e-mails to users, that were disabled, mostly after many failures.",
    ["by"],
)

# --- Initial values: `rate()` would not see the first increment of a series that was absent

OTHER = "other"  # the name of a command that is no longer in the catalogue
NAMES = [*COMMAND_TYPES, OTHER]
ENDS = [
    (Status.COMPLETED, ""),
    (Status.CANCELLED, ""),
    (Status.TIMED_OUT, ErrorCode.VEHICLE_TIMEOUT),
    (Status.EXPIRED, ErrorCode.EXPIRED),
    (Status.FAILED, ErrorCode.VEHICLE_UNREACHABLE),
    (Status.FAILED, ErrorCode.VEHICLE_REFUSED),
    (Status.FAILED, ErrorCode.MALFORMED_ANSWER),
    (Status.FAILED, ErrorCode.WORKER_LOST),
    (Status.FAILED, ErrorCode.WRONG_VEHICLE),
    (Status.FAILED, ErrorCode.OUTCOME_UNKNOWN),
    (Status.FAILED, ErrorCode.LOCK_LOST),
]

ENDED_DELIVERIES = [state for state in DeliveryState if state != DeliveryState.PENDING]

for status in TERMINAL:
    commands_executed.labels(status)
for name in NAMES:
    commands_submitted.labels(name)
    for end in ENDS:
        commands_ended.labels(name, *end)
for kind in Kind:
    events_appended.labels(kind)
for by in DeliveredBy:
    webhook_failures.labels(by)
    webhooks_disabled.labels(by)
    for state in ENDED_DELIVERIES:
        webhook_deliveries.labels(by, state)
for source in ("live", "log"):
    stream_frames.labels(source)

# A process that took the id of a killed one (in a container it often does) inherits its file.
for gauge in (websocket_connections, workers, worker_heartbeat):
    gauge.set(0)


def count(event: Event) -> None:
    """Count an event that was committed."""
    events_appended.labels(event.kind).inc()
    name = event.command.command_name
    name = name if name in COMMAND_TYPES else OTHER
    status = event.payload.get("status")
    if (event.sequence_number, status) == (1, Status.PENDING):
        commands_submitted.labels(name).inc()
    elif (event.sequence_number, status) == (2, Status.IN_PROGRESS):
        command_wait.observe(_seconds_since_submission(event))
    elif status in TERMINAL:
        _count_end(event, name)


def _count_end(event: Event, name: str) -> None:
    status, error_code = event.payload["status"], event.payload.get("error_code", "")
    commands_executed.labels(status).inc()
    commands_ended.labels(name, status, error_code).inc()
    command_execution_duration.observe(_seconds_since_submission(event))
    if status == Status.TIMED_OUT:
        command_timeouts.inc()
    if error_code == ErrorCode.WORKER_LOST and not is_safe_to_repeat(event.command.command_name):
        unsafe_commands_lost.inc()


def _seconds_since_submission(event: Event) -> float:
    return max(0, (event.created_at - event.command.submitted_at).total_seconds())
