"""Tokens of a SOVD vehicle, and the evidence."""

from vehicles.connectors.sovd.connector import SovdConnector
from vehicles.tests.sovd.requests import ECU, OAUTH
from vehicles.tests.sovd_vehicle import (
    BASE,
    ENGINE,
    SovdVehicle,
)
from vehicles.tests.targets import KeptAttempt, execute, failure


async def test_a_token_is_fetched_once_kept_and_shared(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    vehicle.tokens = set()
    target = vehicle.target(**OAUTH, token_url=f"{vehicle.origin}/token")
    other = vehicle.target(**OAUTH, token_url=f"{vehicle.origin}/token", base_uri=BASE)

    for each in (target, target, other):
        await execute(connector, each, "ReadDTC", ECU)

    assert vehicle.tokens_given == 1


async def test_a_token_that_is_rejected_is_fetched_again_once(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    vehicle.tokens = set()
    target = vehicle.target(**OAUTH, token_url=f"{vehicle.origin}/token")
    await execute(connector, target, "ReadDTC", ECU)
    vehicle.tokens = set()

    class RevokingAttempt(KeptAttempt):
        async def about_to_send(self, before: list[str] | None = None) -> None:
            await super().about_to_send(before)
            vehicle.tokens = set()

    attempt = RevokingAttempt()
    await execute(connector, target, "ClearDTC", ECU, attempt)

    assert vehicle.tokens_given == 3
    assert vehicle.carried_out == ["clear"]
    assert len(attempt.announced) == 1


async def test_credentials_that_are_wrong_are_refused_and_never_shown(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    vehicle.tokens = set()
    wrong = OAUTH | {"client_secret": "wr0ng"}
    target = vehicle.target(**wrong, token_url=f"{vehicle.origin}/token")

    error = await failure(connector, target, "ClearDTC", ECU)

    assert (error.error_code, error.is_certain) == ("vehicle_refused", True)
    assert "client_secret" in str(error)
    assert "wr0ng" not in str(error)
    assert vehicle.arrived("GET", "/") == 0


async def test_a_fixed_token_is_sent_and_hidden_from_evidence(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    vehicle.tokens = {"t0ken-of-mine"}
    vehicle.names[0x042013] = "You sent t0ken-of-mine"
    attempt = KeptAttempt()

    read = await execute(connector, vehicle.target(token="t0ken-of-mine"), "ReadDTC", ECU, attempt)

    assert read[0].response["description"] == "You sent ***"
    assert "t0ken" not in repr(attempt.exchanges)
    error = await failure(connector, vehicle.target(token="another"), "ReadDTC", ECU)
    assert error.error_code == "vehicle_refused"
    assert "401" in str(error)
    assert vehicle.tokens_given == 0


# Evidence


async def test_evidence_has_method_and_path_and_status_and_body(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    attempt = KeptAttempt()
    params = ECU | {"dataId": "0x1234"}

    await failure(connector, vehicle.target(), "ReadDataByID", params, attempt)

    first, refused = attempt.exchanges[0], attempt.exchanges[-1]
    assert (first.request, first.service) == ("GET /version-info", "version-info")
    assert first.response
    assert first.response.startswith('200 {"items": [')
    assert (refused.request, refused.nrc) == (f"PUT {ENGINE}/genericservice", "0x31")
    assert refused.nrc_name == "requestOutOfRange"
    assert {exchange.ecu_address for exchange in attempt.exchanges} == {"0x10"}


async def test_evidence_of_a_long_answer_is_cut(
    connector: SovdConnector, vehicle: SovdVehicle
) -> None:
    vehicle.codes = dict.fromkeys(range(0x010000, 0x010200), 0x2F)
    vehicle.names = dict.fromkeys(vehicle.codes, "ü" * 100)
    attempt = KeptAttempt()

    await execute(connector, vehicle.target(), "ReadDTC", ECU, attempt)

    kept = attempt.exchanges[-1].response
    assert kept
    assert len(kept.encode()) == 16 * 1024
