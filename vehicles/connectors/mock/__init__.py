"""A simulated fleet behind the connector interface, for demonstrations and tests."""

from vehicles.connectors.mock.car import DTC_CANDIDATES
from vehicles.connectors.mock.connector import CHANGES_THE_VEHICLE, MockConnector

__all__ = ["CHANGES_THE_VEHICLE", "DTC_CANDIDATES", "MockConnector"]
