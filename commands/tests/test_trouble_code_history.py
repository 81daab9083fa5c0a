"""The history of trouble codes, against a model of one trouble code of one ECU at a time."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from commands.trouble_codes.history import Clear, Read, Source, TroubleCode, history_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

ECUS = ["0x10", "0x1A"]
CODES = ["P0420-00", "P0420-13", "P0113", "U0100"]
SOME_CODES = st.none() | st.frozensets(st.sampled_from(CODES))
READS = st.builds(
    Read,
    st.none(),
    st.sampled_from(ECUS),
    st.dictionaries(st.sampled_from(CODES), st.sampled_from(["0x2F", "0x28", ""])).map(
        lambda codes: {code: TroubleCode(code, status=status) for code, status in codes.items()}
    ),
    st.booleans(),
    st.booleans(),
)
CLEARS = st.builds(
    Clear,
    st.none(),
    st.sampled_from(ECUS),
    st.sampled_from([None, "P0420", *CODES]),
    SOME_CODES,
    SOME_CODES,
)
OPERATIONS = st.lists(READS | CLEARS, max_size=12).map(
    lambda drawn: [_numbered(number, each) for number, each in enumerate(drawn)]
)


def _numbered(number: int, operation: Any) -> Read | Clear:
    fields = vars(operation) | {
        "source": Source(UUID(int=number), "operator", NOON + number * MINUTE)
    }
    made: Read | Clear = type(operation)(**fields)
    return made


def life_of(ecu: str, code: str, operations: list[Read | Clear]) -> list[tuple[Any, ...]]:
    """Return (time, change, status, status before) of one trouble code."""
    life: list[tuple[Any, ...]] = []
    status: str | None = None
    for operation in operations:
        if operation.ecu_address != ecu:
            continue
        changes = read_of if isinstance(operation, Read) else clear_of
        for change, after in changes(operation, code, status):
            if change != "status_changed" or status != after:
                life.append((operation.source.at, change, after, status))
            status = after
    return life


def read_of(read: Any, code: str, status: str | None) -> list[tuple[str, str | None]]:
    """Return the changes of a code by a read, and its status after each."""
    if code in read.codes:
        change = "appeared" if status is None else "status_changed"
        return [(change, read.codes[code].status)]
    can_tell = read.is_understood and not read.is_masked
    return [("gone", None)] if status is not None and can_tell else []


def clear_of(clear: Any, code: str, status: str | None) -> list[tuple[str, str | None]]:
    """Return the changes of a code by a clear; nobody knows the status of a code of its lists."""
    was_stored = status is not None if clear.before is None else code in clear.before
    stays = code in (clear.remaining or ())
    is_meant = clear.dtc_code in (None, code, code[:5])
    changes: list[tuple[str, str | None]] = []
    if status is not None and not was_stored:
        changes.append(("gone", None))
    if was_stored and is_meant and not stays:
        # Of a code that no read told of, the clear tells for the first time.
        return [("cleared", None)]
    if stays and (changes or status is None):
        changes.append(("appeared", ""))
    return changes


@given(OPERATIONS)
def test_each_code_has_the_life_of_the_model(operations: list[Read | Clear]) -> None:
    history = history_of(operations)
    for ecu in ECUS:
        for code in CODES:
            life = life_of(ecu, code, operations)
            assert [(at, change, after) for at, change, after, _ in life] == [
                (change.source.at, change.change, change.status)
                for change in history.timeline
                if (change.ecu_address, change.code.dtc_code) == (ecu, code)
            ]
            stored = [
                (each.code.status, each.first_seen_at)
                for each in history.stored
                if (each.ecu_address, each.code.dtc_code) == (ecu, code)
            ]
            is_stored = bool(life) and life[-1][2] is not None
            appeared = [at for at, change, *_ in life if change == "appeared"]
            assert stored == ([(life[-1][2], appeared[-1])] if is_stored else [])


@given(OPERATIONS)
def test_a_change_continues_with_the_status_of_the_last_one(
    operations: list[Read | Clear],
) -> None:
    status: dict[tuple[str, str], str | None] = {}
    for change in history_of(operations).timeline:
        place = change.ecu_address, change.code.dtc_code
        if change.change != "cleared" or status.get(place) is not None:
            assert change.previous_status == status.get(place)
        status[place] = change.status


@given(OPERATIONS)
def test_the_timeline_is_told_newest_first_and_codes_in_their_order(
    operations: list[Read | Clear],
) -> None:
    history = history_of(operations)
    assert [(c.source.at, c.change) for c in history.newest_first] == sorted(
        [(c.source.at, c.change) for c in history.timeline], key=lambda c: c[0], reverse=True
    )
    keys = [(each.ecu_address, each.code.dtc_code) for each in history.stored]
    assert keys == sorted(set(keys))


@given(OPERATIONS)
def test_the_last_read_of_an_ecu_is_one_of_all_its_codes_if_there_is_one(
    operations: list[Read | Clear],
) -> None:
    reads = [operation for operation in operations if isinstance(operation, Read)]
    expected = {}
    for ecu in ECUS:
        of_ecu = [read for read in reads if read.ecu_address == ecu]
        unmasked = [read for read in of_ecu if not read.is_masked]
        if of_ecu:
            expected[ecu] = (unmasked[-1:] or of_ecu[:1])[0].source.command_id

    units = history_of(operations).control_units
    assert {unit.ecu_address: unit.command_id for unit in units} == expected
