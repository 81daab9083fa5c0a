"""Bodies, parameters, headers and addresses that no well-behaved client sends."""

COMMANDS = "/api/v1/commands/"
VEHICLES = "/api/v1/vehicles/"
BATCHES = "/api/v1/batches/"
TICKETS = "/api/v1/stream-tickets/"
TOKEN = "/api/v1/token/"  # noqa: S105 - an address


def command_with(params: str) -> str:
    return f'{{"vehicle_id": "VEHICLE", "command_name": "ReadDTC", "command_params": {params}}}'


def with_ecu(value: str) -> str:
    return command_with(f'{{"ecuAddress": {value}}}')


ECU = "command_params.ecuAddress"
NAMED = {
    "NUL in a value": (with_ecu(r'"0x1\u0000"'), ECU, "contains a NUL"),
    "NUL in a key": (command_with(r'{"\u0000": 1}'), "command_params", "a key that contains a NUL"),
    "NUL in a field's name": (r'{"\u0000": 1}', "body", "a key that contains a NUL"),
    "NUL in the name": (r'{"command_name": "Read\u0000"}', "command_name", "contains a NUL"),
    "surrogate in a value": (with_ecu(r'"\ud800"'), ECU, "lone surrogate"),
    "surrogate in a key": (command_with(r'{"\udfff": 1}'), "command_params", "lone surrogate"),
    "surrogate in a list": (with_ecu(r'["a", "\udc00"]'), f"{ECU}[1]", "lone surrogate"),
    # How deep Python reads at all depends on how deep in calls it is: well below that.
    "300 lists": (with_ecu("[" * 300 + "]" * 300), f"{ECU}[0][0]", "deeper than 32"),
    "300 objects": (with_ecu('{"a":' * 300 + "1" + "}" * 300), f"{ECU}.a.a", "deeper than 32"),
    "4,000 digits": (with_ecu("9" * 4_000), ECU, "beyond 64 bits"),
    "10,000 digits": (with_ecu("-" + "9" * 10_000), ECU, "beyond 64 bits"),
    "NaN": (with_ecu("NaN"), ECU, "not a finite number"),
    "Infinity": (with_ecu("Infinity"), ECU, "not a finite number"),
    "minus Infinity": (with_ecu("-Infinity"), ECU, "not a finite number"),
    "1e999": (with_ecu("1e999"), ECU, "not a finite number"),
    "list": ("[]", "body", "Expected a dictionary"),
    "list of commands": (f"[{with_ecu('1')}]", "body", "Expected a dictionary"),
    "string": ('"ReadDTC"', "body", "Expected a dictionary"),
    "number": ("1", "body", "Expected a dictionary"),
    "true": ("true", "body", "Expected a dictionary"),
    "null": ("null", "body", "No data"),
    "nothing": ("", "vehicle_id", "required"),
    "vehicle is a number": ('{"vehicle_id": -1, "command_name": "ReadDTC"}', "vehicle_id", "UUID"),
    "vehicle is an object": ('{"vehicle_id": {}, "command_name": "a"}', "vehicle_id", "UUID"),
}


def batch_of(vehicles: str) -> str:
    params = '{"ecuAddress": "0x10"}'
    return f'{{"command_name": "ReadDTC", "command_params": {params}, {vehicles}}}'


NAMED_IN_BATCHES = {
    "NUL in the filter": (r'"vehicle_filter": {"search": "\u0000"}', "vehicle_filter.search"),
    "surrogate in the filter": (r'"vehicle_filter": {"\ud800": ""}', "vehicle_filter"),
    "list in the filter": ('"vehicle_filter": {"search": ["a"]}', "vehicle_filter.search"),
    "object in the filter": ('"vehicle_filter": {"search": {}}', "vehicle_filter.search"),
    "null in the filter": ('"vehicle_filter": {"search": null}', "vehicle_filter.search"),
    "numbers for vehicles": ('"vehicle_ids": [1]', "vehicle_ids"),
    "huge numbers for vehicles": (f'"vehicle_ids": [{2**63 - 1}, -1]', "vehicle_ids.1"),
    "lists for vehicles": ('"vehicle_ids": [[]]', "vehicle_ids.0"),
    "object for vehicles": ('"vehicle_ids": {"0": "x"}', "vehicle_ids"),
    "true percent": ('"vehicle_filter": {}, "stop_above_failed_percent": true', "stop_above"),
    "huge percent": (f'"vehicle_filter": {{}}, "stop_above_failed_percent": {2**62}', "stop_above"),
    "half a percent": ('"vehicle_filter": {}, "stop_above_failed_percent": 0.5', "stop_above"),
    "huge count": (f'"vehicle_filter": {{}}, "vehicle_count": {2**62}', "vehicle_count"),
    "no count": ('"vehicle_filter": {}, "vehicle_count": []', "vehicle_count"),
}
UNREADABLE = {
    "no JSON": b"{",
    "only blanks": b"  ",
    "invalid UTF-8": b'{"command_name": "\xff\xfe"}',
    "a surrogate's bytes": b'{"command_name": "\xed\xa0\x80"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"command_name": "ReadDTC"}'.encode("utf-16"),
    "two bodies": b"{}{}",
    "NUL bytes": b"\x00\x00",
}
TOO_DEEP = {
    "900 lists": b"[" * 900 + b"]" * 900,
    "100,000 lists": b"[" * 100_000 + b"]" * 100_000,
    "100,000 open lists": b"[" * 100_000,
    "40,000 objects": b'{"a":' * 40_000 + b"1" + b"}" * 40_000,
}
LISTS = {
    COMMANDS: "vehicle_id batch_id status command_name submitted_by submitted_after "
    "submitted_before search ordering page_size cursor format",
    VEHICLES: "connection_status search ordering page_size cursor format",
    f"{COMMANDS}COMMAND/events/": "after",
    BATCHES: "command_name submitted_by ordering page_size cursor format",
    f"{BATCHES}BATCH/results/": "status ordering page_size cursor format",
    f"{COMMANDS}export/": "vehicle_id status command_name submitted_by submitted_after "
    "submitted_before search format",
}
NASTY = [
    "",
    "%00",
    "a%00",
    "%ED%A0%80",
    "%FF",
    "%F0%9F%98%80",
    "9" * 10_000,
    "-" + "9" * 10_000,
    "1e999",
    "NaN",
    "-1",
    "1_0",
    "%D9%A3",
    "[]",
    "%25",
    "%5C",
    "x" * 5_000,
    "0001-01-01",
    "0001-01-01T00:00:00%2B14:00",
    "9999-12-31T23:59:59-14:00",
    "9999-12-31T23:59:60Z",
    "0000-00-00",
    "2026-02-30T00:00:00Z",
    "2026-01-01T00:00:00%2B99:99",
    "10000-01-01T00:00:00Z",
]
AN_ID = "00000000-0000-0000-0000-000000000000"
NO_UUIDS = ["x", "%00", "%FF", "%ED%A0%80", "9" * 10_000, "-1", AN_ID[:-1], f"%7B{AN_ID}", "..%2f"]
METHODS = ["GET"] * 6 + ["POST"] * 4 + ["PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "X"]
PLACES = [
    COMMANDS,
    VEHICLES,
    TOKEN,
    "/api/v1/token/refresh/",
    "/api/v1/command-types/",
    f"{COMMANDS}export/",
    TICKETS,
    "/accounts/login/",
    "/api/schema/",
    "/readyz",
    *(f"{COMMANDS}{{}}/{part}" for part in ("", "events/", "responses/", "cancel/")),
    f"{COMMANDS}cancel/",
    BATCHES,
    *(f"{BATCHES}{{}}/{part}" for part in ("", "results/", "cancel/")),
    f"{VEHICLES}{{}}/",
]
NAMES = sorted({name for names in LISTS.values() for name in names.split()} - {"format"})
BODIES = [
    *(body.encode() for body, _, _ in NAMED.values()),
    *UNREADABLE.values(),
    *TOO_DEEP.values(),
    b"{}",
    *(batch_of(body).encode() for body, _ in NAMED_IN_BATCHES.values()),
]
HEADERS = {
    "Accept": ["*/*", "text/html", "nonsense", ";;;", "application/json; version=\xff", "," * 500],
    "Authorization": ["Bearer", "Bearer a.b.c", "Basic \xff", "Bearer " + "9" * 9_000, "Token x"],
    "Content-Type": [
        "text/plain",
        "application/json; charset=utf-16",
        "multipart/form-data",
        ";;;",
    ],
    "Cookie": ["sessionid=x", "csrftoken=\xff", "sessionid=" + "9" * 4_000, "=;=;", '"\\777"'],
    "X-CSRFToken": ["\xff", "9" * 9_000],
    "X-Forwarded-For": ["\xff", "," * 500],
    "If-Modified-Since": ["\xff", "Mon, 99 Foo 99999 99:99:99 GMT"],
}
