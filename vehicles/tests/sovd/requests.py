"""Commands to a SOVD vehicle."""

from vehicles.tests.sovd_vehicle import (
    CLIENT_ID,
    CLIENT_SECRET,
)

ECU = {"ecuAddress": "0x10"}


ONE_CODE = ECU | {"dtcCode": "P0171"}


READ_VIN = ECU | {"dataId": "0xF190"}


WRITE = ECU | {"dataId": "0xF198", "data": "4142"}


START = ECU | {"routineId": "0x0203", "action": "start"}


RESET = ECU | {"resetType": "hard"}


OAUTH = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
