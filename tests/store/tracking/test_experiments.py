from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from cd4ml.errors import AlreadyExists, Conflict, NotFound
from cd4ml.records.experiment import Experiment
from cd4ml.records.ledger_entry import LedgerEntry
from cd4ml.records.run import Run
from cd4ml.store import rows
from cd4ml.store.tracking.experiments import (
    change_experiment,
    create_experiment,
    delete_experiment,
    ensure_experiment,
    experiment_named,
    restore_experiment,
)
from cd4ml.store.tracking.runs import delete_run, start_run
from tests.store.records import NOW

if TYPE_CHECKING:
    from cd4ml.store.database import Database

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def delays(database: "Database") -> "Database":
    """The experiment `delays` with two runs."""
    with database.write() as connection:
        create_experiment(connection, "delays", tags={"team": "ops"}, at=NOW, actor="ann")
        for _ in range(2):
            start_run(connection, experiment="delays", at=NOW, actor="ann")
    return database


def experiments_of_runs(database: "Database") -> list[tuple[str, bool]]:
    with database.read() as connection:
        found = rows.find(connection, Run)
    return [(run.experiment, run.deleted_at is None) for run in found]


def actions(database: "Database") -> list[str]:
    with database.read() as connection:
        return [entry.action for entry in rows.find(connection, LedgerEntry)]


def test_the_first_run_makes_its_experiment(database: "Database") -> None:
    with database.write() as connection:
        start_run(connection, experiment="Größe 🙂", at=NOW, actor="ann")
        start_run(connection, experiment="Größe 🙂", at=NOW, actor="bob")

    with database.read() as connection:
        assert rows.find(connection, Experiment) == [
            Experiment(number=1, name="Größe 🙂", created_at=NOW, created_by="ann")
        ]


def test_a_renamed_experiment_keeps_its_runs(delays: "Database") -> None:
    with delays.write() as connection:
        new = change_experiment(
            connection, 1, name="late?", note="*why*", tags={"b": "2"}, untag=["team"],
            at=LATER, actor="ann",
        )  # fmt: skip

    assert (new.name, new.note, new.tags) == ("late?", "*why*", {"b": "2"})
    assert experiments_of_runs(delays) == [("late?", True)] * 2
    assert actions(delays) == ["experiment.created", "experiment.changed"]


def test_a_change_that_changes_nothing_is_no_change(delays: "Database") -> None:
    with delays.write() as connection:
        change_experiment(connection, 1, name="delays", tags={"team": "ops"}, at=NOW, actor="ann")

    assert actions(delays) == ["experiment.created"]


def test_a_name_is_taken_also_by_what_was_deleted(delays: "Database") -> None:
    with delays.write() as connection:
        create_experiment(connection, "prices", at=NOW, actor="ann")
        delete_experiment(connection, 2, at=NOW, actor="ann")

    with pytest.raises(AlreadyExists) as twice, delays.write() as connection:
        create_experiment(connection, "delays", at=NOW, actor="ann")
    with pytest.raises(AlreadyExists) as deleted, delays.write() as connection:
        create_experiment(connection, "prices", at=NOW, actor="ann")
    with pytest.raises(AlreadyExists) as renamed, delays.write() as connection:
        change_experiment(connection, 1, name="prices", at=NOW, actor="ann")
    with pytest.raises(Conflict) as begun, delays.write() as connection:
        ensure_experiment(connection, "prices", at=NOW, actor="ann")

    assert str(twice.value) == "an experiment named 'delays' exists already"
    assert str(deleted.value) == (
        "the experiment 'prices' exists already, and was deleted\n"
        "  hint: cd4ml experiment restore 'prices'"
    )
    assert str(renamed.value) == (
        "an experiment named 'prices' exists already, so 'delays' cannot take its name"
    )
    assert str(begun.value) == (
        "the experiment 'prices' was deleted, so no run can begin in it\n"
        "  hint: cd4ml experiment restore 'prices'"
    )


def test_a_deleted_experiment_comes_back_with_the_runs_it_went_with(delays: "Database") -> None:
    with delays.write() as connection:
        delete_run(connection, 1, at=NOW, actor="ann")
        delete_experiment(connection, 1, at=LATER, actor="ann")
        delete_experiment(connection, 1, at=LATER + timedelta(1), actor="ann")  # is so already
    while_deleted = experiments_of_runs(delays)
    with delays.write() as connection:
        restored = restore_experiment(connection, 1, at=LATER, actor="ann")

    assert while_deleted == [("delays", False)] * 2
    assert experiments_of_runs(delays) == [("delays", False), ("delays", True)]
    assert restored.deleted_at is None
    assert actions(delays)[1:] == ["run.deleted", "experiment.deleted", "experiment.restored"]


def test_an_unknown_name_gets_the_known_ones(delays: "Database") -> None:
    with delays.read() as connection, pytest.raises(NotFound) as caught:
        experiment_named(connection, "prices")

    assert str(caught.value) == "no experiment named 'prices'\n  hint: known: delays"
