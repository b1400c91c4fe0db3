"""Rows that are sent: checked, stored before they are acknowledged, taken in once."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cd4ml.data.manifest import manifest_of
from cd4ml.errors import Cd4mlError, Conflict, ContractViolated, InvalidInput, NotFound
from cd4ml.loop import Project, open_project
from cd4ml.loop.ingest import ingest, show_dataset
from cd4ml.loop.push import Pushed, push
from tests.loop.shop import CONTRACTS, ride, shop, table
from tests.loop.test_ingest import traces
from tests.loop.world import ANN, EVE, entries

SETTINGS = """\
[data.rides]
source = "pushed"
contract = "contracts:Rides"

[data.loose]
source = "pushed"

[data.files]
path = "rides.csv"
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with shop(tmp_path / "shop", SETTINGS) as opened:
        yield opened


def send(
    project: Project, rows: list[dict[str, Any]], key: str, *, name: str = "rides", actor: str = EVE
) -> Pushed:
    body = json.dumps(rows).encode()
    return push(project, name, body, content_type="application/json", key=key, actor=actor)


def test_a_batch_is_a_version_and_the_next_one_appends_to_it(project: Project) -> None:
    first = send(project, [ride(1), ride(2)], "monday")
    second = send(project, [ride(3, minutes=None)], "tuesday")

    assert (first.version, first.n_rows, first.n_rows_total) == ("rides@1", 2, 2)
    assert (second.version, second.n_rows, second.n_rows_total) == ("rides@2", 1, 3)
    assert table(project, "rides@1")["ride"].to_list() == [1, 2]
    assert table(project, "rides@2")["ride"].to_list() == [1, 2, 3]
    details = show_dataset(project, "rides@2")
    assert details.version.source == "pushed"
    assert details.version.note == "1 row pushed as tuesday"
    assert details.version.outcome == "pass"
    assert details.parents == ("rides@1",)


def test_the_files_before_stay_and_one_is_added(project: Project) -> None:
    send(project, [ride(1)], "a")
    send(project, [ride(2)], "b")

    with project.database.read():
        versions = show_dataset(project, "rides").versions
    one, two = (manifest_of(project.blobs, each).files for each in versions)
    assert two[:1] == one
    assert [file.path for file in two] == ["rows-000001.parquet", "rows-000002.parquet"]


def test_the_columns_of_a_version_are_counted_over_all_of_its_rows(project: Project) -> None:
    send(project, [ride(5), ride(2, minutes=None)], "a")
    send(project, [ride(9), ride(3, minutes=None)], "b")

    columns = {column.name: column for column in show_dataset(project, "rides").version.columns}

    assert (columns["ride"].minimum, columns["ride"].maximum) == (2, 9)
    assert columns["minutes"].n_null == 2
    assert columns["station"].n_unique == 1


def test_the_same_body_under_the_same_key_is_taken_in_once(project: Project) -> None:
    first = send(project, [ride(1)], "monday")
    send(project, [ride(2)], "tuesday")
    before = traces(project)

    again = send(project, [ride(1)], "monday")

    assert (again.version, again.digest, again.n_rows) == ("rides@1", first.digest, 1)
    assert (first.is_repeated, again.is_repeated) == (False, True)
    assert traces(project) == before


def test_another_body_under_the_same_key_is_refused(project: Project) -> None:
    send(project, [ride(1)], "monday")
    before = traces(project)

    with pytest.raises(Conflict) as refused:
        send(project, [ride(2)], "monday")

    assert str(refused.value) == (
        "another body came under the key 'monday' before, as rides@1\n"
        "  hint: each batch has a key of its own"
    )
    assert traces(project) == before


def test_every_broken_rule_is_named_and_nothing_stored(project: Project) -> None:
    send(project, [ride(1)], "monday")
    before = traces(project)
    broken = [
        ride(2, station="Prak", minutes="seven"),
        ride(0, left_at="soon"),
        {"ride": 3, "x": 1},
    ]

    with pytest.raises(ContractViolated) as refused:
        send(project, broken, "tuesday")

    assert str(refused.value) == (
        "the batch breaks 7 of 15 rules of the contract Rides 1.0.0\n"
        "  - x is not there: the contract does not know it\n"
        "  - minutes is number: 1 of 3 rows, first in row 1: 'seven'\n"
        "  - left_at is datetime: 1 of 3 rows, first in row 2: 'soon'\n"
        "  - left_at is never null: 1 of 3 rows, first in row 3: None\n"
        "  - ride at least 1: 1 of 3 rows, first in row 2: 0\n"
        "  - station is never null: 1 of 3 rows, first in row 3: None\n"
        "  - station is one of Harbour, Market, Park: 1 of 3 rows, first in row 1: 'Prak'\n"
        "  hint: correct the rows; or change the contract, as a new version"
    )
    assert traces(project) == before


def test_a_key_of_rows_is_unique_among_all_batches(project: Project) -> None:
    send(project, [ride(1), ride(2)], "a")

    with pytest.raises(ContractViolated) as refused:
        send(project, [ride(3), ride(2)], "b")

    assert str(refused.value) == (
        "the batch after rides@1 breaks 1 of 1 rules of the contract Rides 1.0.0\n"
        "  - ride unique: 1 of 2 rows have been there before, first in row 2: 2\n"
        "  hint: correct the rows; or change the contract, as a new version"
    )


def test_rows_that_were_checked_against_another_contract_are_checked_again(
    project: Project,
) -> None:
    send(project, [ride(1, minutes=1000)], "a")
    (project.folder / "contracts.py").write_text(CONTRACTS.replace("1440", "600"))

    with open_project(project.folder) as changed, pytest.raises(ContractViolated) as refused:
        send(changed, [ride(2)], "b")

    assert refused.value.message == (
        "the batch with the rows of rides@1 breaks 1 of 14 rules of the contract Rides 1.0.0\n"
        "  - minutes at most 600: 1 of 2 rows, first in row 1: 1000.0"
    )


def test_without_a_contract_the_columns_stay_what_they_were(project: Project) -> None:
    send(project, [{"a": 1, "b": "x"}], "1", name="loose")

    with pytest.raises(InvalidInput) as refused:
        send(project, [{"a": 2, "c": True}], "2", name="loose")
    last = send(project, [{"b": "y", "a": 3}, {"a": None}], "3", name="loose")

    assert str(refused.value) == (
        "the batch has other columns than loose@1: it has 'c' besides\n"
        "  hint: the files of one version are one table; begin another dataset"
    )
    assert last.version == "loose@2"
    assert table(project, "loose").rows() == [(1, "x"), (3, "y"), (None, None)]


def test_without_a_contract_a_value_of_another_type_is_refused(project: Project) -> None:
    send(project, [{"a": 1}], "1", name="loose")

    with pytest.raises(InvalidInput) as refused:
        send(project, [{"a": 2}, {"a": "two"}], "2", name="loose")

    assert refused.value.message == (
        "the batch has values of other types than loose@1"
        "\n  - a is integer: 1 of 2 rows, first in row 2: 'two'"
    )


def test_a_dataset_that_takes_no_rows_says_which_do(project: Project) -> None:
    for name in ("files", "nothing"):
        with pytest.raises(InvalidInput) as refused:
            send(project, [ride()], "a", name=name)

        assert str(refused.value) == (
            f"the dataset {name!r} takes no rows that are pushed\n"
            f'  hint: [data.{name}] needs source = "pushed"; known with it: rides, loose'
        )


@pytest.mark.parametrize("key", ["", "a\nb", "k" * 201])
def test_a_batch_has_a_key(project: Project, key: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        send(project, [ride()], key)

    assert str(refused.value) == (
        "expected a key of 1 to 200 printable characters that names this batch,"
        f" got {key!r:.80}\n  hint: send the header Idempotency-Key; a UUID will do"
    )


def test_nobody_unknown_sends_rows(project: Project) -> None:
    with pytest.raises(NotFound, match=r"^nobody named 'mallory'"):
        send(project, [ride()], "a", actor="mallory")

    assert entries(project)[-1].action == "person.added"


def test_pushed_rows_are_not_read_from_files(project: Project) -> None:
    with pytest.raises(InvalidInput) as refused:
        ingest(project, "rides", actor=ANN)

    assert str(refused.value) == (
        "the rows of 'rides' are pushed to the API, not read\n  hint: POST /api/data/rides/rows"
    )


def at_once(project: Project, batches: list[tuple[str, list[dict[str, Any]]]]) -> list[Any]:
    """What became of batches that come at the same moment, each through a project of its own."""
    done: list[Any] = []

    def take_in(key: str, rows: list[dict[str, Any]]) -> None:
        with open_project(project.folder) as own:
            try:
                done.append(send(own, rows, key))
            except Cd4mlError as error:
                done.append(error)

    threads = [threading.Thread(target=take_in, args=batch) for batch in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done


def test_of_many_who_push_at_once_nothing_is_lost(project: Project) -> None:
    batches = [(f"batch-{i}", [ride(10 * i + j) for j in range(1, 4)]) for i in range(8)]

    done = at_once(project, batches)

    assert sorted(each.version for each in done) == [f"rides@{i}" for i in range(1, 9)]
    rides = table(project, "rides@8")["ride"]
    assert sorted(rides) == sorted(row["ride"] for _, rows in batches for row in rows)


def test_the_same_batch_at_once_is_taken_in_once(project: Project) -> None:
    done = at_once(project, [("monday", [ride(1)])] * 6)

    assert {each.version for each in done} == {"rides@1"}
    assert [each.is_repeated for each in done].count(False) == 1
    assert len(show_dataset(project, "rides").versions) == 1


def test_of_two_who_push_the_same_ride_at_once_one_is_refused(project: Project) -> None:
    send(project, [ride(99)], "first")

    done = at_once(project, [("east", [ride(1)]), ("west", [ride(1)])])

    assert sorted(type(each).__name__ for each in done) == ["ContractViolated", "Pushed"]
    assert isinstance(table(project, "rides"), pl.DataFrame)
    assert table(project, "rides")["ride"].to_list() == [99, 1]


def test_a_wrong_value_is_not_taken_for_a_missing_key(project: Project) -> None:
    """Neither as the first of two that are the same, nor as the second."""
    for wrong, missing in ((0, 1), (1, 0)):
        batch = [ride(), ride()]
        batch[wrong]["ride"], batch[missing]["ride"] = "one", None

        with pytest.raises(ContractViolated) as refused:
            send(project, batch, f"{wrong}")

        assert str(refused.value) == (
            "the batch breaks 2 of 14 rules of the contract Rides 1.0.0\n"
            f"  - ride is integer: 1 of 2 rows, first in row {wrong + 1}: 'one'\n"
            f"  - ride is never null: 1 of 2 rows, first in row {missing + 1}: None\n"
            "  hint: correct the rows; or change the contract, as a new version"
        )


def test_keys_that_are_the_same_are_found_beside_wrong_ones(project: Project) -> None:
    batch = [ride(1), ride("one"), ride("two"), ride(1)]  # type: ignore[arg-type]

    with pytest.raises(ContractViolated, match=r"ride unique: 1 of 4 rows, first in row 4: 1\n"):
        send(project, batch, "a")


def test_a_pushed_row_that_arrives_later_corrects_an_earlier_one(project: Project) -> None:
    text = CONTRACTS.replace('key=("ride",)', 'key=("ride",), arrival_time="left_at"')
    (project.folder / "contracts.py").write_text(text)
    with open_project(project.folder) as changed:
        send(changed, [ride(1)], "a")
        send(changed, [ride(1, left_at="2013-02-02T08:00:00Z")], "b")

        with pytest.raises(ContractViolated, match="ride, left_at unique: 1 of 1 rows have been"):
            send(changed, [ride(1)], "c")
