"""A client of the SOVD command console: submit commands, follow their events.

    async with Client("http://localhost:8000", "operator", "sovd-demo") as client:
        command = await client.submit("1HGCM82623A000101", "ReadDTC", ecuAddress="0x10")
        async for event in client.stream(command["command_id"]):
            print(event)

Needs httpx and websockets, and nothing of the server.
"""

from sovd_client.answers import Command, Event, Refused, Unavailable, Vehicle, is_terminal
from sovd_client.client import Client

__all__ = ["Client", "Command", "Event", "Refused", "Unavailable", "Vehicle", "is_terminal"]
