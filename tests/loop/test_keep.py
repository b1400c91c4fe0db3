"""What the prediction log keeps: by age, and until somebody is to be forgotten."""

from pathlib import Path

import msgspec
import pytest

from cd4ml.errors import InvalidInput, NotFound
from cd4ml.loop.keep import forget, tables
from cd4ml.loop.watch import collect
from cd4ml.store import ledger
from cd4ml.store.clock import SharedClock
from cd4ml.store.forgetting import Forgotten
from cd4ml.store.people import add
from cd4ml.store.project import Project, open_project
from tests.store.answers import answer, append, moment, prediction_id

POLICY = (
    '[project]\nname = "clinic"\n[capture]\nperson = "patient"\nhash = ["patient"]\nkeep_days = 2\n'
)


@pytest.fixture
def project(tmp_path: Path, sqlite_template: Path) -> Project:
    (tmp_path / ".cd4ml").mkdir()
    (tmp_path / ".cd4ml" / "cd4ml.db").write_bytes(sqlite_template.read_bytes())
    (tmp_path / "cd4ml.toml").write_text(POLICY)
    SharedClock.create(tmp_path / ".cd4ml" / "clock", moment(1))
    opened = open_project(tmp_path)
    with opened.database.write() as connection:
        add(connection, "ada", roles=(), by="ada", at=moment())
    return opened


def answered(project: Project, *patients: str, at: float = 0) -> None:
    rows = [
        answer(i, moment(at), inputs={"patient": project.mask.hash(name)})
        for i, name in enumerate(patients)
    ]
    append(project.segments, *rows)


def test_the_ledger_says_how_many_rows_were_forgotten_and_by_whom_and_not_whose(
    project: Project,
) -> None:
    answered(project, "Ada Lovelace", "Bo", "Ada Lovelace")

    much = forget(project, "Ada Lovelace", reason="request 17", actor="ada")

    assert much == Forgotten(predictions=2, labels=0, files=1, set_aside=0)
    with project.database.read() as connection:
        entry = ledger.entries(connection, "predictions")[0]
    assert (entry.actor, entry.action, entry.reason) == ("ada", "log.forgotten", "request 17")
    assert entry.details == {"field": "patient", **msgspec.structs.asdict(much)}
    assert project.log.predictions().collect()["prediction_id"].to_list() == [prediction_id(1)]
    hashed = str(project.mask.hash("Ada Lovelace"))
    assert hashed not in msgspec.json.encode(entry).decode()


def test_what_cannot_be_meant_forgets_nothing(project: Project) -> None:
    answered(project, "Bo")

    with pytest.raises(InvalidInput) as nobody:
        forget(project, "", reason="request 17", actor="ada")
    with pytest.raises(InvalidInput) as named:
        forget(project, "Bo", reason="Bo asked", actor="ada")
    with pytest.raises(NotFound):
        forget(project, "Bo", reason="request 17", actor="nobody")

    assert str(nobody.value) == (
        "expected whose rows are to be deleted, got ''\n"
        "  hint: the value of the field that `[capture] person` names"
    )
    assert str(named.value) == (
        "the reason names whom it is to forget, and the ledger keeps it for ever\n"
        "  hint: the number of the request, for example"
    )
    collect(project)
    assert project.log.predictions().collect().height == 1


def test_days_older_than_the_policy_are_taken_out_and_later_deleted(project: Project) -> None:
    answered(project, "Bo")
    answered(project, "Ada", at=30)
    collect(project)
    assert [table.rows for table in tables(project)] == [2, 0]

    clock = project.clock
    assert isinstance(clock, SharedClock)
    clock.advance_to(moment(24 * 3))
    collect(project)

    (predictions, _) = tables(project)
    assert (predictions.rows, predictions.first_day) == (1, "2013-02-02")
    with project.database.read() as connection:
        entry = ledger.entries(connection, "predictions")[0]
    assert (entry.actor, entry.action) == ("system", "log.expired")
    assert entry.details == {"predictions": {"files": 1, "rows": 1}}
    collect(project)
    with project.database.read() as connection:
        assert len(ledger.entries(connection, "predictions")) == 1


def test_where_the_tables_lie_is_said(project: Project) -> None:
    collect(project)
    assert [(table.name, table.version) for table in tables(project)] == [
        ("predictions", None),
        ("labels", None),
    ]
    answered(project, "Bo")
    collect(project)

    (predictions, _) = tables(project)
    assert predictions.url == str(project.folder / ".cd4ml" / "blobs" / "tables" / "predictions")
    assert (predictions.version, predictions.files, predictions.rows) == (0, 1, 1)
