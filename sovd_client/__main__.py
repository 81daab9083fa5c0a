"""Send a command and watch its answers: python -m sovd_client submit VIN ReadDTC ecuAddress=0x10

The server and the user come from the options or from SOVD_URL, SOVD_USERNAME and SOVD_PASSWORD;
a password that is nowhere is asked for. Exits with 0 if the command was completed (or, without
--follow, submitted), with 1 if it ended otherwise, with 2 if it was refused.
"""

import argparse
import asyncio
import getpass
import os
import sys

try:
    import httpx

    from sovd_client.client import Client, Event, Refused
except ModuleNotFoundError as error:
    sys.exit(f"{error.name} is missing. Install it: pip install httpx websockets")


def main() -> int:
    options = arguments()
    try:
        return asyncio.run(run(options))
    except Refused as error:
        print(f"{error.code}: {error}", file=sys.stderr)
        return 2
    except httpx.TransportError as error:
        print(f"{options.url} does not answer: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sovd_client", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--url", default=os.environ.get("SOVD_URL", "http://localhost:8000"))
    parser.add_argument("--user", default=os.environ.get("SOVD_USERNAME", getpass.getuser()))
    does = parser.add_subparsers(dest="does", required=True)
    does.add_parser("vehicles", help="list them").add_argument("search", nargs="?", default="")
    submit = does.add_parser("submit", help="send a command")
    submit.add_argument("vehicle", help="its VIN or its id")
    submit.add_argument("command_name", help="such as ReadDTC")
    submit.add_argument("params", nargs="*", type=parameter, metavar="name=value")
    submit.add_argument("--follow", action="store_true", help="and show its answers as they come")
    follow = does.add_parser("follow", help="show the answers of a command")
    follow.add_argument("command_id")
    follow.add_argument("--after", type=int, default=0, help="go on after this sequence number")
    does.add_parser("cancel", help="cancel a command").add_argument("command_id")
    return parser.parse_args()


def parameter(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not name=value")
    return name, value


async def run(options: argparse.Namespace) -> int:
    password = os.environ.get("SOVD_PASSWORD") or getpass.getpass(f"Password of {options.user}: ")
    async with Client(options.url, options.user, password) as client:
        if options.does == "vehicles":
            for vehicle in await client.vehicles(options.search):
                print("{vin}  {connection_status:12}  {make} {model} {year}".format(**vehicle))
            return 0
        if options.does == "cancel":
            print((await client.cancel(options.command_id))["status"])
            return 0
        if options.does == "follow":
            return await show(client, options.command_id, options.after)
        params = dict(options.params)
        command = await client.submit(options.vehicle, options.command_name, **params)
        print(command["command_id"], flush=True)
        return await show(client, command["command_id"]) if options.follow else 0


async def show(client: Client, command_id: str, after: int = 0) -> int:
    status = ""
    async for event in client.stream(command_id, after):
        print(line(event), flush=True)
        status = event.get("status", "")
    return 0 if status == "completed" else 1


def line(event: Event) -> str:
    """For people: time, number, and what happened."""
    time = event["timestamp"][11:23]
    return f"{time}  #{event['sequence_number']:<4} {told(event)}"


def told(event: Event) -> str:
    if event["event"] == "response":
        # Sorted: an event that is read again may have its fields in another order.
        parts = [f"{name}={plain(value)}" for name, value in sorted(event["response"].items())]
        return "answer  " + "  ".join(parts)
    if event["event"] == "error":
        return f"{event['status']}  {event['error_code']}: {plain(event['error_message'])}"
    return event["status"]


def plain(value: object) -> str:
    """What a vehicle says must not move a terminal's cursor."""
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


if __name__ == "__main__":
    sys.exit(main())
