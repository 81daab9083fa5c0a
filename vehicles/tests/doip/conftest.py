"""The connector of the tests of DoIP."""

from collections.abc import AsyncIterator

import pytest

from vehicles.connectors.doip.connector import DoipConnector


@pytest.fixture
async def connector() -> AsyncIterator[DoipConnector]:
    doip = DoipConnector()
    yield doip
    await doip.close()
