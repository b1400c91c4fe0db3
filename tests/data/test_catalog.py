from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cd4ml.data.catalog import entry, register, search, versions
from cd4ml.data.snapshot import snapshot_frame
from cd4ml.data.versions import publish
from cd4ml.errors import InvalidInput, NotFound
from cd4ml.store import ledger
from tests.conftest import open_file_store
from tests.data.tables import flights

if TYPE_CHECKING:
    from cd4ml.store.database import Database


def add(database: "Database", now: datetime, name: str, **said: Any) -> None:
    with database.write() as connection:
        register(connection, name=name, at=now, actor="ada", **said)


@pytest.fixture
def filled(database: "Database", files_url: str, now: datetime, tmp_path: Path) -> "Database":
    """Two datasets; `flights` has two versions."""
    from cd4ml.store.blobs import open_blobs

    store = open_file_store(database, open_blobs(files_url), files_url, tmp_path / "cache")
    add(database, now, "flights", owner="data-eng", description="One row a departure from New York",
        tags=("transport",), licence="CC0")  # fmt: skip
    add(database, now, "weather", owner="meteo", description="One row an hour and airport")
    for n in (1, 2):
        snapshot = snapshot_frame(store, flights()[:n], source="x")
        with database.write() as connection:
            publish(connection, snapshot, dataset="flights", at=now, actor="ada")
    return database


def test_an_entry_has_the_newest_version(filled: "Database") -> None:
    with filled.read() as connection:
        flights, weather = entry(connection, "flights"), entry(connection, "weather")
        listed = versions(connection, "flights")

    assert (flights.dataset.owner, flights.n_versions) == ("data-eng", 2)
    assert flights.newest is not None
    assert flights.newest.ref == "flights@2"
    assert (weather.newest, weather.n_versions) == (None, 0)
    assert [version.number for version in listed] == [2, 1]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", ["flights", "weather"]),
        ("FLIGHT", ["flights"]),
        ("one row", ["flights", "weather"]),
        ("row york", ["flights"]),
        ("data-eng", ["flights"]),
        ("transport", ["flights"]),
        ("cc0", ["flights"]),
        ("is_late", ["flights"]),
        ("nowhere", []),
    ],
)
def test_datasets_are_found_by_all_that_is_said_about_them(
    filled: "Database", words: str, found: list[str]
) -> None:
    with filled.read() as connection:
        entries = search(connection, words)

    assert [each.dataset.name for each in entries] == found
    assert [each.n_versions for each in entries if each.dataset.name == "flights"] in ([], [2])


def test_what_is_said_about_a_dataset_may_change(database: "Database", now: datetime) -> None:
    add(database, now, "flights", owner="ada")
    add(database, now + timedelta(days=1), "flights", owner="ada")
    add(database, now + timedelta(days=2), "flights", owner="grace")

    with database.read() as connection:
        actions = [each.action for each in ledger.entries(connection, "flights")]
        found = entry(connection, "flights").dataset
    assert actions == ["dataset.described", "dataset.registered"]
    assert (found.owner, found.created_at) == ("grace", now)


@pytest.mark.parametrize("name", ["", "my flights", "2013", "class", "a-b", "../etc", "a" * 101])
def test_a_name_that_no_step_could_use_is_refused(
    database: "Database", now: datetime, name: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        add(database, now, name)

    assert str(caught.value) == (
        f"expected a name that a step's parameter can have, got {name!r}\n"
        "  hint: letters, digits and _, not beginning with a digit, no word of Python's, 100 at most"
    )


def test_an_unknown_dataset_gets_the_known_names(filled: "Database") -> None:
    with filled.read() as connection, pytest.raises(NotFound) as caught:
        entry(connection, "planes")

    assert str(caught.value) == "no dataset 'planes'\n  hint: known: flights, weather"
