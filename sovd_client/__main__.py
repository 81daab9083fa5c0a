"""Send a command and watch its events: python -m sovd_client submit VIN ReadDTC ecuAddress=0x10

The server, the user and the file of the server's CA come from the options or from SOVD_URL,
SOVD_USERNAME, SOVD_PASSWORD and SOVD_CA; a password that is nowhere is asked for. Exits with 0 if
the command was completed (or, without --follow, submitted), with 1 if it ended otherwise, with 2
if it was refused or the server is away.
"""

import argparse
import asyncio
import getpass
import os
import sys
from collections.abc import Sequence
from contextlib import aclosing, suppress
from io import TextIOWrapper
from typing import NoReturn, cast

try:
    from sovd_client.answers import Event, Refused, Unavailable, Vehicle
    from sovd_client.client import Client, Timing
except ModuleNotFoundError as error:
    sys.exit(f"{error.name} is missing. Install it: pip install httpx websockets")

BROKEN_PIPE = 141  # as a shell tells of a process that SIGPIPE ended


def main() -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a closed one is None
            stream.reconfigure(errors="replace")  # a console may lack characters
    try:
        return perform(sys.argv[1:])
    except BrokenPipeError:
        abandon_output()
        return BROKEN_PIPE
    except OSError as error:
        abandon_output()
        return complain(f"The output cannot be written ({error}).")
    except KeyboardInterrupt:
        return 130


def perform(given: Sequence[str]) -> int:
    try:
        options = arguments(given)
        client = client_of(options)  # outside of the loop: Ctrl-C ends the question at once
        exit_code = asyncio.run(run(client, options))
        if sys.stdout:
            sys.stdout.flush()
    except (Refused, Unavailable) as error:
        return complain(f"{error.code}: {error}")
    except UnicodeError as error:
        return complain(f"The password or an argument is not UTF-8 ({error}).")
    return exit_code


def complain(text: str) -> int:
    with suppress(OSError):
        print(plain(text), file=sys.stderr)
    return 2


def abandon_output() -> None:
    """Give the rest of the output to nobody: Python writes it at its end, too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def arguments(given: Sequence[str]) -> argparse.Namespace:
    options, rest = parser().parse_known_args(given)
    if rest and (options.does != "submit" or rest[0].startswith("-")):
        stop(f"unrecognized arguments: {' '.join(rest)}")
    try:
        options.params = dict(map(parameter, [*getattr(options, "params", []), *rest]))
    except ValueError as error:
        stop(str(error))
    return options


def stop(message: str) -> NoReturn:
    parser().error(plain(message))


def parser() -> argparse.ArgumentParser:
    everywhere = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    everywhere.add_argument("--url", help="of the server")
    everywhere.add_argument("--user", help="for the log-in")
    everywhere.add_argument("--ca", metavar="FILE", help="PEM certificates to trust")
    everywhere.add_argument("--timeout", type=float, help="seconds until a request is given up")
    whole = argparse.ArgumentParser(
        prog="python -m sovd_client",
        description=__doc__,
        parents=[everywhere],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    does = whole.add_subparsers(dest="does", required=True)
    add_actions(does, everywhere)
    return whole


def add_actions(
    does: "argparse._SubParsersAction[argparse.ArgumentParser]", options: argparse.ArgumentParser
) -> None:
    vehicles = does.add_parser("vehicles", help="list them", parents=[options])
    vehicles.add_argument("search", nargs="?", default="")
    submit = does.add_parser("submit", help="send a command", parents=[options])
    submit.add_argument("vehicle", help="its VIN or its id")
    submit.add_argument("command_name", help="such as ReadDTC")
    submit.add_argument("params", nargs="*", metavar="name=value")
    submit.add_argument("--follow", action="store_true", help="and show its events as they come")
    submit.add_argument("--expires-in-seconds", type=int, help="it is not sent later than that")
    submit.add_argument("--not-before", metavar="TIME", help="such as 2026-12-01T05:00:00Z")
    submit.add_argument("--priority", choices=["interactive", "background"])
    follow = does.add_parser("follow", help="show the events of a command", parents=[options])
    follow.add_argument("command_id")
    follow.add_argument("--after", type=int, default=0, help="go on after this sequence number")
    cancel = does.add_parser("cancel", help="cancel a command", parents=[options])
    cancel.add_argument("command_id")


def parameter(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise ValueError(f"{text!r} is not name=value")
    return name, value


def client_of(options: argparse.Namespace) -> Client:
    given = vars(options)
    user = given.get("user") or os.environ.get("SOVD_USERNAME") or own_name()
    return Client(
        given.get("url") or os.environ.get("SOVD_URL") or "http://localhost:8000",
        user,
        os.environ.get("SOVD_PASSWORD") or typed_password(user),
        ca=given.get("ca") or os.environ.get("SOVD_CA", ""),
        timeout=given.get("timeout", 60),
    )


def typed_password(user: str) -> str:
    try:
        return getpass.getpass(f"Password of {user}: ")
    except EOFError:
        print(file=sys.stderr)  # ends the line of the question
        raise Refused("no_password", "No password: set SOVD_PASSWORD.") from None


def own_name() -> str:
    """Return the name of this process's user, which a container may lack."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        raise Refused("no_user", "No user: give --user, or set SOVD_USERNAME.") from None


async def run(client: Client, options: argparse.Namespace) -> int:
    async with client:
        if options.does == "vehicles":
            for vehicle in await client.vehicles(options.search):
                print(vehicle_line(vehicle))
            return 0
        if options.does == "cancel":
            print(plain((await client.cancel(options.command_id))["status"]))
            return 0
        if options.does == "follow":
            return await show(client, options.command_id, options.after)
        timing = timing_of(options)
        command = await client.submit(
            options.vehicle, options.command_name, timing, **options.params
        )
        print(plain(command["command_id"]), flush=True)
        return await show(client, command["command_id"]) if options.follow else 0


def timing_of(options: argparse.Namespace) -> Timing:
    given = {name: getattr(options, name) for name in Timing.__annotations__}
    return cast(Timing, {name: value for name, value in given.items() if value is not None})


async def show(client: Client, command_id: str, after: int = 0) -> int:
    """Print the events, and return the exit code: 0 if the command was completed."""
    status = ""
    async with aclosing(client.stream(command_id, after)) as events:
        async for event in events:
            print(event_line(event), flush=True)
            status = event.get("status", "")
    if not status:  # `after` was the last event
        status = (await client.command(command_id))["status"]
    return 0 if status == "completed" else 1


def vehicle_line(vehicle: Vehicle) -> str:
    model = f"{vehicle['make']} {vehicle['model']} {vehicle['year'] or ''}"
    return plain(f"{vehicle['vin']}  {vehicle['connection_status']:12}  {model}".rstrip())


def event_line(event: Event) -> str:
    """Return time, number and meaning of an event, for people."""
    time = event["timestamp"][11:23]
    return plain(f"{time}  #{event['sequence_number']:<4} {meaning(event)}")


def meaning(event: Event) -> str:
    status = event.get("status", event["event"])
    if event["event"] == "response":
        # Sorted: an event that is read again may have its fields in another order.
        fields = sorted(event.get("response", {}).items())
        return "answer  " + "  ".join(f"{name}={value_text(value)}" for name, value in fields)
    if event["event"] == "error":
        return f"{status}  {event.get('error_code')}: {event.get('error_message')}"
    return status


def value_text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def plain(text: str) -> str:
    """Return one line that cannot move a terminal's cursor, whatever a server says."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


if __name__ == "__main__":
    sys.exit(main())
