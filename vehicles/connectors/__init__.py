"""The ways of reaching vehicles. A new one is a module here and an entry in `CONNECTORS`."""

from collections.abc import Iterable

from vehicles.connectors.base import Connector
from vehicles.connectors.doip.connector import DoipConnector
from vehicles.connectors.mock import MockConnector
from vehicles.connectors.sovd.connector import SovdConnector

CONNECTORS: dict[str, type[Connector]] = {
    connector.name: connector for connector in (MockConnector, DoipConnector, SovdConnector)
}
READ_BACK = frozenset(name for name, connector in CONNECTORS.items() if connector.can_read_back)


def make_connectors(names: Iterable[str]) -> dict[str, Connector]:
    """Make the connectors of these names, as the settings say."""
    return {name: CONNECTORS[name].from_settings() for name in names}
