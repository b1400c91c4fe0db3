"""The result of a query as Parquet files: the same rows are the same bytes."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa

from cd4ml.data.sources import parts
from cd4ml.data.sources.arrival import Arrival, Wanted
from cd4ml.data.sources.sql import read
from cd4ml.errors import (
    Cd4mlError,
    ConfigurationError,
    ContractViolated,
    InvalidInput,
    NotFound,
    Unavailable,
)
from cd4ml.records.contract import Contract, Field
from cd4ml.records.settings import DataSettings
from cd4ml.store.address import address_of_file

BACKENDS = pytest.mark.parametrize("backend", ["sqlite", "postgres", "adbc"])


class Shop:
    """A database with things in it, and queries of it."""

    def __init__(self, folder: Path, url: str, connection: str) -> None:
        self.folder, self.connection = folder, connection
        self.engine = sa.create_engine(url, poolclass=sa.NullPool)
        self._n = 0

    def do(self, *statements: str) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement, execution_options={"no_parameters": True})

    def read(self, query: str, contract: Contract | None = None, **changes: Any) -> Arrival:
        self._n += 1
        self.into = self.folder / f"arrival-{self._n}"
        self.into.mkdir()
        given = {"source": "sql", "query": query, "connection": self.connection, **changes}
        arrival = read(Wanted(DataSettings(**given), self.folder, self.into, contract, {}))
        assert arrival is not None
        return arrival

    def table(self, query: str, contract: Contract | None = None) -> pl.DataFrame:
        self.read(query, contract)
        return pl.read_parquet(self.into / parts.PATTERN)

    def digests(self) -> list[str]:
        return [address_of_file(path) for path in sorted(self.into.iterdir())]


@pytest.fixture
def sqlite(tmp_path: Path) -> Shop:
    return Shop(tmp_path, f"sqlite:///{tmp_path / 'shop.db'}", "sqlite:///shop.db")


@pytest.fixture
def postgres(tmp_path: Path, empty_postgres_url: str) -> Iterator[Shop]:
    shop = Shop(tmp_path, empty_postgres_url, empty_postgres_url)
    yield shop
    shop.engine.dispose()


@pytest.fixture
def shop(request: pytest.FixtureRequest, backend: str) -> Shop:
    found: Shop = request.getfixturevalue("postgres" if backend == "postgres" else "sqlite")
    if backend == "adbc":
        found.connection = "adbc+sqlite:///shop.db"
    found.do(
        "CREATE TABLE rides (ride INTEGER, station TEXT, minutes FLOAT)",
        "INSERT INTO rides VALUES (1, 'Park', 7.5), (2, 'Harbour', NULL), (3, 'caf\u00e9 100%', 3)",
    )
    return found


@BACKENDS
def test_a_query_becomes_a_table(shop: Shop) -> None:
    table = shop.table("SELECT ride, station, minutes FROM rides ORDER BY ride")

    assert table.schema == {"ride": pl.Int64, "station": pl.String, "minutes": pl.Float64}
    assert table.rows() == [(1, "Park", 7.5), (2, "Harbour", None), (3, "caf\u00e9 100%", 3.0)]


@BACKENDS
def test_the_same_rows_in_the_same_order_are_the_same_bytes(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "MOST_ROWS", 2)
    query = "SELECT ride, station, minutes FROM rides ORDER BY ride"

    shop.read(query)
    once = shop.digests()
    shop.read(query)

    assert shop.digests() == once
    shop.read(f"{query} DESC")
    assert shop.digests() != once


@BACKENDS
def test_colons_and_percent_signs_in_a_query_are_its_own(shop: Shop) -> None:
    query = "SELECT ride FROM rides WHERE station LIKE '%100%' AND ':x' <> '%s' ORDER BY ride"

    assert shop.table(query).rows() == [(3,)]


@BACKENDS
@pytest.mark.parametrize(
    ("query", "kind", "message"),
    [
        ("SELECT ride FROM rides WHERE", InvalidInput, "the query fails: "),
        ("SELECT * FROM nowhere", InvalidInput, "the query fails: "),
        (
            "SELECT ride, minutes AS ride FROM rides",
            InvalidInput,
            "the query gives two columns named 'ride'",
        ),
        ("SELECT ride FROM rides WHERE ride > 99", NotFound, "the query gives no rows"),
    ],
)
def test_a_query_that_gives_no_table_is_explained(
    shop: Shop, backend: str, query: str, kind: type[Cd4mlError], message: str
) -> None:
    with pytest.raises(kind) as refused:
        shop.read(query)

    database = shop.engine.url.database if backend == "postgres" else "shop.db"
    assert message in refused.value.message
    if message == "the query fails: ":  # a database may quote values when it says why
        assert refused.value.discreet.endswith("the query fails")
    assert refused.value.message.startswith("sql ")
    assert str(database) in refused.value.message


@pytest.mark.parametrize("backend", ["sqlite", "postgres", "adbc"])
@pytest.mark.parametrize(
    "query", ["DELETE FROM rides", "DROP TABLE rides", "INSERT INTO rides VALUES (9, 'x', 1)"]
)
def test_a_query_changes_nothing(shop: Shop, query: str) -> None:
    with pytest.raises(InvalidInput):
        shop.read(query)

    with shop.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM rides").scalar() == 3


@pytest.mark.parametrize("backend", ["sqlite", "adbc"])
@pytest.mark.parametrize(
    "query",
    ["ATTACH 'new.db' AS x", "vacuum into 'new.db'", "-- rows\n/* of */ ATTACH 'new.db' AS x",
     "PRAGMA user_version", ""],
)  # fmt: skip
def test_a_query_makes_no_file(
    shop: Shop, query: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InvalidInput) as refused:
        shop.read(query)

    assert str(refused.value) == (
        f"sql sqlite shop.db: expected a query that reads rows, got {query!r}\n"
        "  hint: it begins with SELECT, WITH, VALUES"
    )
    assert [path.name for path in tmp_path.glob("*.db")] == ["shop.db"]


@pytest.mark.parametrize("backend", ["sqlite", "adbc"])
@pytest.mark.parametrize(
    "query",
    ["with r AS (SELECT 1 AS a) SELECT a FROM r", "VALUES (1)", "-- one\n /* row */\nselect 1"],
)
def test_whatever_reads_rows_is_a_query(shop: Shop, query: str) -> None:
    assert shop.table(query).rows() == [(1,)]


def test_what_changes_rows_and_gives_some_is_refused_by_the_database(postgres: Shop) -> None:
    postgres.do("CREATE TABLE rides (ride INTEGER)", "INSERT INTO rides VALUES (1)")

    with pytest.raises(InvalidInput, match=r"must not contain data-modifying statements"):
        postgres.read("WITH gone AS (DELETE FROM rides RETURNING ride) SELECT * FROM gone")


def test_types_of_postgres_are_kept(postgres: Shop) -> None:
    table = postgres.table("""
        SELECT 1::smallint AS small, 2::bigint AS big, 1.5::real AS real, 12.340::numeric AS price,
               true AS yes, 'x'::varchar AS word, DATE '2013-02-01' AS day,
               TIMESTAMP '2013-02-01 08:00' AS naive,
               TIMESTAMPTZ '2013-02-01 08:00+02' AS zoned, TIME '08:30' AS clock,
               INTERVAL '90 minutes' AS took, '\\x00ff'::bytea AS photo,
               '6ecd8c99-4036-403d-bf84-cf8400f67836'::uuid AS id,
               '{"b": 1, "a": [null]}'::jsonb AS more, ARRAY[1, 2] AS several,
               NULL::int AS no_number, NULL AS nothing
    """)

    at = datetime(2013, 2, 1, 8, tzinfo=UTC)
    assert table.row(0, named=True) == {
        "small": 1,
        "big": 2,
        "real": 1.5,
        "price": Decimal("12.340"),
        "yes": True,
        "word": "x",
        "day": date(2013, 2, 1),
        "naive": at,
        "zoned": at - timedelta(hours=2),
        "clock": time(8, 30),
        "took": timedelta(minutes=90),
        "photo": b"\x00\xff",
        "id": "6ecd8c99-4036-403d-bf84-cf8400f67836",
        "more": '{"a": [null], "b": 1}',
        "several": "[1, 2]",
        "no_number": None,
        "nothing": None,
    }
    assert table.schema["no_number"] == pl.Int64
    assert table.schema["nothing"] == pl.String
    assert table.schema["price"] == pl.Decimal(38, 3)


def test_decimals_have_the_digits_of_the_longest_one(postgres: Shop) -> None:
    table = postgres.table("SELECT * FROM (VALUES (1.5), (2.125), (3), (NULL)) AS t(x)")

    assert table["x"].to_list() == [Decimal("1.500"), Decimal("2.125"), Decimal("3.000"), None]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT 'NaN'::numeric AS x", "the column 'x' holds a decimal that is no number"),
        ("SELECT int4range(1, 5) AS x", "the column 'x' holds Range, which no table here does"),
        (
            f"SELECT {'9' * 39}::numeric AS x",
            "the column 'x' holds decimals of more than 38 digits",
        ),
    ],
)
def test_values_that_no_table_holds_are_refused(postgres: Shop, query: str, message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        postgres.read(query)

    assert refused.value.message.startswith(message)
    assert refused.value.hint


def test_a_type_that_is_seen_late_is_that_of_all_files(
    sqlite: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite says nothing of its columns: what they hold is known at the end."""
    monkeypatch.setattr(parts, "MOST_ROWS", 2)
    sqlite.do("CREATE TABLE t (i INTEGER, x)")
    sqlite.do(*(f"INSERT INTO t VALUES ({i}, NULL)" for i in range(4)))
    sqlite.do("INSERT INTO t VALUES (4, 7), (5, 8), (6, 0.5)")

    table = sqlite.table("SELECT x FROM t ORDER BY i")

    assert len(sqlite.digests()) > 1
    assert table.schema == {"x": pl.Float64}
    assert table["x"].to_list() == [None] * 4 + [7.0, 8.0, 0.5]


def test_words_among_numbers_are_a_mistake_that_is_named(
    sqlite: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite.do("CREATE TABLE t (x)", "INSERT INTO t VALUES (1), ('two')")

    with pytest.raises(InvalidInput) as refused:
        sqlite.read("SELECT x FROM t")

    assert str(refused.value) == (
        "the column 'x' holds values of several kinds: integer, text\n"
        "  hint: cast it to one type in the query"
    )


def test_a_contract_says_what_written_times_numbers_and_bits_mean(sqlite: Shop) -> None:
    contract = Contract(
        name="Rides",
        fields=(Field("at", "datetime"), Field("km", "number"), Field("late", "boolean")),
    )
    sqlite.do("CREATE TABLE t (at TEXT, km INTEGER, late INTEGER)")
    sqlite.do("INSERT INTO t VALUES ('2013-02-01 08:00', 7, 1), ('2013-02-02T08:00:00Z', 8, 0)")

    table = sqlite.table("SELECT * FROM t ORDER BY at", contract)

    assert table.rows() == [
        (datetime(2013, 2, 1, 8, tzinfo=UTC), 7.0, True),
        (datetime(2013, 2, 2, 8, tzinfo=UTC), 8.0, False),
    ]
    sqlite.do("INSERT INTO t VALUES ('soon', 1, 1)")
    with pytest.raises(ContractViolated) as refused:
        sqlite.read("SELECT * FROM t ORDER BY at", contract)
    assert refused.value.message == (
        "the rows break the contract Rides 1.0.0\n  - at is datetime: 1 of 3 rows, first 'soon'"
    )
    assert refused.value.discreet == (
        "the rows break the contract Rides 1.0.0\n  - at is datetime: 1 of 3 rows"
    )


def test_a_connection_in_the_environment_is_shown_without_its_password(
    postgres: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = sa.make_url(postgres.connection).set(password="very-secret")
    monkeypatch.setenv("SHOP", url.render_as_string(hide_password=False))

    arrival = postgres.read("SELECT  1 AS x\n", connection="env:SHOP")

    place = f"{url.host}:{url.port}" if url.port else str(url.host or "")
    assert arrival.words == f"sql postgresql {place}/{url.database}: SELECT 1 AS x"
    with pytest.raises(InvalidInput) as refused:
        postgres.read("SELECT 'very-secret'::int", connection="env:SHOP")
    assert "very-secret" not in str(refused.value)


def test_a_variable_that_is_not_set_is_named(sqlite: Shop) -> None:
    with pytest.raises(ConfigurationError) as refused:
        sqlite.read("SELECT 1", connection="env:SHOP")

    assert str(refused.value) == (
        "the environment variable SHOP is not set, and `connection` names it\n"
        "  hint: export SHOP=postgresql://USER@HOST/NAME"
    )


def test_a_database_that_is_away_is_unavailable(tmp_path: Path) -> None:
    url = "postgresql://me:very-secret@127.0.0.1:1/shop"
    shop = Shop(tmp_path, "sqlite://", url)

    with pytest.raises(Unavailable) as refused:
        shop.read("SELECT 1")

    assert refused.value.message.startswith("sql postgresql 127.0.0.1:1/shop does not answer: ")
    assert "very-secret" not in str(refused.value)


@pytest.mark.parametrize("connection", ["sqlite:///nowhere.db", "adbc+sqlite:///nowhere.db"])
def test_a_file_that_is_not_there_is_not_made(tmp_path: Path, connection: str) -> None:
    shop = Shop(tmp_path, "sqlite://", connection)

    with pytest.raises(NotFound) as refused:
        shop.read("SELECT 1")

    assert refused.value.message == f"sql sqlite nowhere.db: there is no file {tmp_path}/nowhere.db"
    assert not (tmp_path / "nowhere.db").exists()


def test_a_read_only_file_can_be_read(sqlite: Shop) -> None:
    sqlite.do("CREATE TABLE t (x)", "INSERT INTO t VALUES (1)")
    path = sqlite.folder / "shop.db"
    path.chmod(stat.S_IRUSR)

    assert sqlite.table("SELECT x FROM t").rows() == [(1,)]


@pytest.mark.parametrize(
    ("connection", "message"),
    [
        ("shop.db", "expected a database URL in `connection`"),
        ("oracle+nothing://h/x", "sql oracle h/x: the driver 'oracle' is not installed"),
        ("adbc+snowflake://h/x", "sql snowflake h/x: ADBC needs 'adbc_driver_snowflake'"),
    ],
)
def test_a_connection_that_cannot_be_made_is_explained(
    tmp_path: Path, connection: str, message: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Shop(tmp_path, "sqlite://", connection).read("SELECT 1")

    assert refused.value.message.startswith(message)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(sqlite: Shop) -> None:
    """A million rows of 100 bytes in a process of its own: it stays below what they weigh."""
    sqlite.do(
        "CREATE TABLE t (i INTEGER, x TEXT)",
        "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
        " WHERE i < 1000000) SELECT i, hex(randomblob(50)) FROM n",
    )
    peaks = {}
    for n in (100_000, 1_000_000):
        into = sqlite.folder / str(n)
        into.mkdir()
        program = f"""
import json, resource, sys
from pathlib import Path
from cd4ml.data.sources.arrival import Wanted
from cd4ml.data.sources.sql import read
from cd4ml.records.settings import DataSettings
settings = DataSettings(source="sql", connection="sqlite:///shop.db",
                        query="SELECT * FROM t WHERE i <= {n} ORDER BY i")
read(Wanted(settings, Path({str(sqlite.folder)!r}), Path({str(into)!r}), None, {{}}))
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
"""
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ,
        )
        peaks[n] = json.loads(done.stdout)

    assert peaks[1_000_000] < peaks[100_000] + 60_000  # kB; the rows alone are 100 MB


def test_adbc_reads_on_threads_that_end(sqlite: Shop) -> None:
    sqlite.do("CREATE TABLE rides (n INT)", "INSERT INTO rides VALUES (1), (2)")
    program = (
        "import threading\n"
        "import sqlalchemy as sa\n"
        "from cd4ml.data.sources import adbc\n"
        "read = []\n"
        "def look():\n"
        "    url = sa.make_url('adbc+sqlite:///shop.db')\n"
        "    frames = adbc.frames(url, 'SELECT n FROM rides', what='rides')\n"
        "    read.append(sum(frame.height for frame in frames))\n"
        "for _ in range(20):\n"
        "    thread = threading.Thread(target=look)\n"
        "    thread.start()\n"
        "    thread.join()\n"
        "print(read == [2] * 20)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=sqlite.folder,
    )

    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
