import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cd4ml.errors import AlreadyExists, InvalidInput, NotFound
from cd4ml.records.actor import Actor
from cd4ml.records.alert import Alert
from cd4ml.records.dataset import Dataset
from cd4ml.records.job import Job
from cd4ml.records.ledger_entry import LedgerEntry
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.run import Metric, Run
from cd4ml.store import rows
from cd4ml.store.database import Database, open_database
from cd4ml.store.tables import TABLES
from tests.store.processes import at_once
from tests.store.records import NOW, actor, job, metric, run, version
from tests.store.strategies import records

KINDS = sorted(TABLES, key=lambda kind: kind.__name__)
APPEND_ONLY = LedgerEntry  # the database refuses to change it, see test_ledger


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.__name__))
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_every_record_comes_back_as_it_was(
    database: Database, kind: type[msgspec.Struct], data: st.DataObject
) -> None:
    first, second = (data.draw(records(kind)) for _ in range(2))
    key = [getattr(first, column.name) for column in TABLES[kind].primary_key]
    same_key = {column.name: getattr(first, column.name) for column in TABLES[kind].primary_key}
    changed = msgspec.structs.replace(second, **same_key)

    with database.write() as connection:
        rows.insert(connection, first)
        assert rows.get(connection, kind, *key) == first
        if kind is not APPEND_ONLY:
            rows.replace(connection, changed)
            assert rows.get(connection, kind, *key, lock=True) == changed
            rows.put(connection, first)
        assert rows.find(connection, kind) == list(rows.each(connection, kind)) == [first]
        connection.rollback()


def test_a_record_can_be_put_whether_or_not_it_is_there(database: Database) -> None:
    with database.write() as connection:
        rows.put(connection, actor("ann"))
        rows.put(connection, actor("ann", roles=("admin",)))

        assert rows.find(connection, Actor) == [actor("ann", roles=("admin",))]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_a_number_is_refused_not_changed(database: Database, value: float) -> None:
    """SQLite would store NULL for NaN, PostgreSQL NaN: None says "could not be computed"."""
    with database.write() as connection:
        with pytest.raises(InvalidInput) as refused:
            rows.insert(connection, metric(value))
        rows.insert(connection, metric(None))

        assert rows.get(connection, Metric, 1, "auc").value is None
    assert str(refused.value) == f"Metric 1/auc: expected a finite number, got {value} - at `value`"


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (
            actor("a\0b"),
            r"Actor a�b: expected text without NUL characters, got 'a\x00b' - at `name`",
        ),
        (
            actor("ann", roles=("ok", "bad\0")),
            r"Actor ann: expected text without NUL characters, got 'bad\x00' - at `roles[1]`",
        ),
        (
            actor("caf\udce9"),
            r"Actor caf�: expected Unicode text, got 'caf\udce9' - at `name`",
        ),
        (
            run(1, parameters={"model": {"rate": [0.1, float("nan")]}}),
            "Run 1: expected a finite number, got nan - at `parameters['model']['rate'][1]`",
        ),
        (
            run(1, refs={"a\0": "flights@1"}),
            r"Run 1: expected text without NUL characters, got 'a\x00' - at `a key of refs`",
        ),
        (
            run(2**63),
            "Run 9223372036854775808: expected a whole number of at most 64 bits, got one of 64"
            " - at `number`",
        ),
        (
            run(1, parameters={"seed": 10**5000}),
            "Run 1: expected a whole number of at most 64 bits, got one of 16610"
            " - at `parameters['seed']`",
        ),
        (
            run(1, started_at=NOW.replace(tzinfo=None)),
            "Run 1: expected a time with its time zone, got 2013-01-01 00:00:00 - at `started_at`",
        ),
    ],
    ids=lambda value: "" if isinstance(value, str) else type(value).__name__,
)
def test_what_one_database_could_not_keep_is_refused_on_both(
    database: Database, record: msgspec.Struct, message: str
) -> None:
    for write in (rows.insert, rows.put, rows.replace):
        with database.write() as connection, pytest.raises(InvalidInput) as refused:
            write(connection, record)
        assert str(refused.value) == message

    with database.read() as connection:
        assert rows.count(connection, type(record)) == 0


def test_the_same_key_again_is_refused_and_changes_nothing(database: Database) -> None:
    with database.write() as connection:
        rows.insert(connection, actor("ann"))
        with pytest.raises(AlreadyExists) as refused:
            rows.insert(connection, actor("ann", roles=("admin",)))

        assert str(refused.value) == "Actor ann exists already"
        assert rows.get(connection, Actor, "ann") == actor("ann")


def test_the_same_unique_value_again_is_refused(database: Database) -> None:
    alert = Alert(
        number=1,
        environment="production",
        model="delay",
        kind="drift",
        window_start=NOW,
        window_end=NOW,
        message="the weather",
        raised_at=NOW,
    )
    with database.write() as connection:
        rows.insert(connection, alert)
        with pytest.raises(AlreadyExists) as refused:
            rows.insert(connection, msgspec.structs.replace(alert, number=2))

    assert str(refused.value) == (
        "Alert 2, or another one of 'production/delay/drift/2013-01-01 00:00:00+00:00',"
        " exists already"
    )


def test_what_is_not_there_is_not_found_and_the_hint_says_what_is(database: Database) -> None:
    with database.write() as connection:
        with pytest.raises(NotFound) as nobody:
            rows.get(connection, Actor, "ann")
        for name in ("bob", "Ann", "émile"):
            rows.insert(connection, actor(name))
        with pytest.raises(NotFound) as missing:
            rows.get(connection, Actor, "ann")
        with pytest.raises(NotFound) as gone:
            rows.replace(connection, actor("zoe"))

    assert str(nobody.value) == "no actor 'ann'\n  hint: there are none yet"
    assert str(missing.value) == "no actor 'ann'\n  hint: known: Ann, bob, émile"
    assert str(gone.value) == "no actor 'zoe'\n  hint: known: Ann, bob, émile"


def test_of_many_numbers_the_hint_lists_the_newest_and_of_many_names_the_first(
    database: Database,
) -> None:
    with database.write() as connection:
        for number in range(1, 13):
            rows.insert(connection, run(number))
            rows.insert(connection, actor(f"person-{number:02}"))
        with pytest.raises(NotFound) as no_run:
            rows.get(connection, Run, 99)
        with pytest.raises(NotFound) as nobody:
            rows.get(connection, Actor, "ann")

    assert no_run.value.hint == "known: ..., 3, 4, 5, 6, 7, 8, 9, 10, 11, 12"
    first = ", ".join(f"person-{number:02}" for number in range(1, 11))
    assert nobody.value.hint == f"known: {first}, ..."


def test_of_another_model_the_hint_lists_versions_only_if_this_one_has_none(
    database: Database,
) -> None:
    with database.write() as connection:
        for record in (version("delay", 1), version("delay", 2), version("fares", 1)):
            rows.insert(connection, record)
        with pytest.raises(NotFound) as newer:
            rows.get(connection, ModelVersion, "delay", 3)
        with pytest.raises(NotFound) as unknown:
            rows.get(connection, ModelVersion, "rain", 1)

    assert str(newer.value) == "no model version 'delay/3'\n  hint: known: delay/1, delay/2"
    assert unknown.value.hint == "known: delay/1, delay/2, fares/1"


@pytest.mark.parametrize("key", ["a\0b", "caf\udce9"])
def test_a_name_that_cannot_be_stored_is_not_found(database: Database, key: str) -> None:
    with database.read() as connection:
        with pytest.raises(NotFound):
            rows.get(connection, Actor, key)
        with pytest.raises(InvalidInput, match="datasets cannot be asked for this: expected "):
            rows.find(connection, Dataset, name=key)


def test_a_number_beyond_64_bits_is_not_found(database: Database) -> None:
    with database.read() as connection, pytest.raises(NotFound) as missing:
        rows.get(connection, Run, 10**20)

    assert str(missing.value) == f"no run '{10**20}'\n  hint: there are none yet"


def test_records_are_found_by_their_columns_in_the_order_of_their_key(database: Database) -> None:
    with database.write() as connection:
        for number in (10, 9, 2, 1):
            rows.insert(connection, run(number, experiment="odd" if number % 2 else "even"))

        def numbers(**choice: object) -> list[int]:
            return [found.number for found in rows.find(connection, Run, **choice)]  # type: ignore[arg-type]

        assert numbers() == [1, 2, 9, 10]
        assert numbers(experiment="even") == [2, 10]
        assert numbers(newest_first=True, limit=3) == [10, 9, 2]
        assert numbers(experiment="odd", finished_at=None) == [1, 9]
        assert numbers(experiment="even", finished_at=NOW) == []
        assert rows.count(connection, Run) == 4
        assert rows.count(connection, Run, experiment="odd") == 2


def test_names_come_in_the_order_of_code_points_on_every_database(database: Database) -> None:
    names = ["Zoe", "ann", "bob", "Émile", "zoe", "émile"]
    with database.write() as connection:
        for name in names:
            rows.insert(connection, actor(name))

        found = [person.name for person in rows.find(connection, Actor)]

    assert found == sorted(names)


def test_times_are_ordered_as_time_is_whatever_their_zone(database: Database) -> None:
    with database.write() as connection:
        for number, year in enumerate((9999, 2013, 800, 1), start=1):
            rows.insert(connection, job(number, lease_until=NOW.replace(year=year)))
        table = TABLES[Job]
        statement = table.select().where(table.c.lease_until < NOW).order_by(table.c.lease_until)

        assert [row.number for row in connection.execute(statement)] == [4, 3]


def test_a_dict_keeps_the_order_of_its_keys_and_its_numbers_their_digits(
    database: Database,
) -> None:
    parameters = {"zebra": 1e16, "a": 1.0, "middle": 1, "tiny": 5e-324, "big": 2**63 - 1}
    with database.write() as connection:
        rows.insert(connection, run(1, parameters=parameters))

        found = rows.get(connection, Run, 1).parameters

    assert list(found.items()) == list(parameters.items())
    assert [type(value) for value in found.values()] == [float, float, int, float, int]


def take_numbers(url: str, taker: int) -> list[int]:
    database = open_database(url)
    numbers = []
    for i in range(25):
        with database.write() as connection:
            number = rows.next_number(connection, Run)
            if i % 5 == taker % 5:
                connection.rollback()  # gives the number back
            else:
                numbers.append(number)
    database.close()
    return numbers


def test_numbers_have_no_gaps_and_are_given_once_whoever_takes_them(database_url: str) -> None:
    taken = at_once(take_numbers, [(database_url, taker) for taker in range(4)])

    numbers = sorted(number for some in taken for number in some)
    assert numbers == list(range(1, 81))


def test_numbers_are_counted_apart_for_each_kind_and_scope(database: Database) -> None:
    with database.write() as connection:
        given = [
            rows.next_number(connection, Run),
            rows.next_number(connection, Run),
            rows.next_number(connection, Job),
            rows.next_number(connection, ModelVersion, "delay"),
            rows.next_number(connection, ModelVersion, "fares"),
            rows.next_number(connection, ModelVersion, "delay"),
        ]

        assert given == [1, 2, 1, 1, 1, 2]
        assert rows.last_number(connection, Run) == 2
        assert rows.last_number(connection, ModelVersion, "delay") == 2
        assert rows.last_number(connection, ModelVersion, "rain") == 0
