from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from cd4ml.errors import Conflict
from cd4ml.records.ledger_entry import LedgerEntry
from cd4ml.records.run import Run
from cd4ml.store import rows
from cd4ml.store.tracking.experiments import delete_experiment
from cd4ml.store.tracking.runs import (
    change_run,
    delete_run,
    end_run,
    restore_run,
    resume_run,
    start_run,
)
from tests.store.records import NOW

if TYPE_CHECKING:
    from cd4ml.store.database import Database

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def begun(database: "Database") -> "Database":
    """One run that is running."""
    with database.write() as connection:
        start_run(
            connection, experiment="delays", name="first", tags={"a": "1"}, at=NOW, actor="ann"
        )
    return database


def entries(database: "Database") -> list[tuple[str, str]]:
    with database.read() as connection:
        found = rows.find(connection, LedgerEntry)
    return [(each.action, each.subject) for each in found if each.subject.startswith("run/")]


@pytest.mark.parametrize("state", ["finished", "failed", "killed"])
def test_a_run_made_elsewhere_begins_and_ends(begun: "Database", state: str) -> None:
    with begun.write() as connection:
        end_run(connection, 1, state, reason="Ctrl-C", at=LATER, actor="bob")  # type: ignore[arg-type]

    with begun.read() as connection:
        found = rows.get(connection, Run, 1)
    assert found == Run(
        number=1,
        experiment="delays",
        name="first",
        tags={"a": "1"},
        state=state,  # type: ignore[arg-type]
        reason="Ctrl-C",
        started_at=NOW,
        finished_at=LATER,
        created_by="ann",
    )
    assert entries(begun) == [(f"run.{state}", "run/1")]


def test_a_run_that_had_ended_goes_on(begun: "Database") -> None:
    with begun.write() as connection:
        end_run(connection, 1, "killed", reason="by hand", at=LATER, actor="ann")
        resume_run(connection, 1, at=LATER, actor="ann")
        resumed = resume_run(connection, 1, at=LATER, actor="ann")

    assert (resumed.state, resumed.reason, resumed.finished_at) == ("running", "", None)
    assert entries(begun) == [("run.killed", "run/1"), ("run.resumed", "run/1")]


def test_what_is_changed_after_the_end_is_in_the_ledger(begun: "Database") -> None:
    with begun.write() as connection:
        change_run(connection, 1, tags={"b": "2"}, at=NOW, actor="ann")
        end_run(connection, 1, "finished", at=LATER, actor="ann")
        changed = change_run(
            connection, 1, name="zweiter", note="*gut*", untag=["a"], at=LATER, actor="bob"
        )
        change_run(connection, 1, name="zweiter", at=LATER, actor="bob")

    with begun.read() as connection:
        last = rows.find(connection, LedgerEntry)[-1]
    assert (changed.name, changed.note, changed.tags) == ("zweiter", "*gut*", {"b": "2"})
    assert entries(begun) == [("run.finished", "run/1"), ("run.changed", "run/1")]
    assert last.details == {"name": "zweiter", "note": "*gut*", "tags": {"b": "2"}}


def test_a_deleted_run_comes_back_as_it_was(begun: "Database") -> None:
    with begun.write() as connection:
        before = rows.get(connection, Run, 1)
        deleted = delete_run(connection, 1, at=LATER, actor="ann")
        again = delete_run(connection, 1, at=LATER + timedelta(1), actor="ann")
        restored = restore_run(connection, 1, at=LATER, actor="ann")
        restore_run(connection, 1, at=LATER, actor="ann")

    assert (deleted.deleted_at, again.deleted_at) == (LATER, LATER)
    assert restored == before
    assert entries(begun) == [("run.deleted", "run/1"), ("run.restored", "run/1")]


def test_a_run_comes_back_only_to_an_experiment_that_is_there(begun: "Database") -> None:
    with begun.write() as connection:
        delete_run(connection, 1, at=NOW, actor="ann")
        delete_experiment(connection, 1, at=LATER, actor="ann")

    with pytest.raises(Conflict) as refused, begun.write() as connection:
        restore_run(connection, 1, at=LATER, actor="ann")

    assert str(refused.value) == (
        "the experiment 'delays' was deleted, so no run can begin in it\n"
        "  hint: cd4ml experiment restore 'delays'"
    )
