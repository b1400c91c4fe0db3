"""What the catalog says: found, fresh or stale, kept its contract, used by whom."""

from pathlib import Path

import polars as pl
import pytest

from cd4ml.loop import Project, open_project
from cd4ml.loop.catalog import catalog
from cd4ml.loop.ingest import ingest, show_dataset
from cd4ml.loop.train import train
from tests.loop.world import ANN, BEGIN, DAY, EVE, HOUR, move


def say(project: Project, **said: str) -> Project:
    """The project, with more lines in [data.flights]."""
    file = project.folder / "cd4ml.toml"
    lines = "".join(f"{key} = {value}\n" for key, value in said.items())
    file.write_text(file.read_text().replace("[data.flights]\n", f"[data.flights]\n{lines}"))
    return open_project(project.folder)


def test_a_new_column_is_found_as_soon_as_there_is_a_version_with_it(project: Project) -> None:
    path = project.folder / "data" / "fares.csv"
    pl.DataFrame({"price": [1.0]}).write_csv(path)
    ingest(project, "fares", path="data/fares.csv", actor=ANN)
    assert [entry.dataset.name for entry in catalog(project, "pri")] == ["fares"]

    pl.DataFrame({"toll": [1.0]}).write_csv(path)
    ingest(project, "fares", path="data/fares.csv", actor=ANN)

    assert [entry.dataset.name for entry in catalog(project, "toll fares")] == ["fares"]
    assert catalog(project, "price") == []


def test_no_more_are_listed_than_wanted(project: Project) -> None:
    for name in ("c", "a", "b"):
        ingest(project, name, path="data/flights.csv", actor=ANN)

    assert [entry.dataset.name for entry in catalog(project, limit=2)] == ["a", "b"]
    assert [entry.dataset.name for entry in catalog(project, "wind", limit=2)] == ["a", "b"]


def test_data_grows_stale_by_the_project_s_clock(project: Project) -> None:
    with say(project, fresh_within_hours="24") as opened:
        ingest(opened, "flights", actor=ANN)  # the newest flight happened an hour ago
        (before,) = catalog(opened)
        move(opened, 23 * HOUR)
        (just,) = catalog(opened, "flights")
        move(opened, HOUR)
        after = show_dataset(opened, "flights").facts.freshness

    assert before.freshness is not None
    assert just.freshness is not None
    assert (before.freshness.state, before.freshness.age_hours) == ("fresh", 1.0)
    assert (just.freshness.state, just.freshness.age_hours) == ("fresh", 24.0)
    assert (after.state, after.age_hours, after.within_hours) == ("stale", 25.0, 24.0)
    assert (after.event_at, after.version_at) == (BEGIN - HOUR, BEGIN)


def test_nobody_knows_how_fresh_data_is_whose_contract_is_lost(project: Project) -> None:
    with say(project, fresh_within_hours="24") as opened:
        version = ingest(opened, "flights", actor=ANN)
        opened.blobs.path(version.contract).unlink()

        (entry,) = catalog(opened)

    assert entry.freshness is not None
    assert entry.freshness.state == "unknown"


def test_data_of_which_nobody_said_so_is_neither_fresh_nor_stale(project: Project) -> None:
    ingest(project, "flights", actor=ANN)
    move(project, 365 * DAY)

    assert catalog(project)[0].freshness is None
    assert show_dataset(project, "flights").facts.freshness.state == ""


def test_use_is_told_by_who_used_it_last(project: Project) -> None:
    train(project, actor=ANN)
    move(project, HOUR)
    train(project, actor=EVE)
    train(project, overrides={"delay.strength": 2.0}, actor=EVE)
    ingest(project, "fares", path="data/*.csv", actor=ANN)

    used = show_dataset(project, "flights").facts.usage

    assert [(use.actor, use.n_runs, use.n_reads, use.last_at) for use in used] == [
        (EVE, 2, 0, BEGIN + HOUR),
        (ANN, 1, 0, BEGIN),
    ]


def test_recorded_reads_are_uses_too(project: Project) -> None:
    from cd4ml.loop.access import open_table

    with say(project, readers='["medic"]') as opened:
        ingest(opened, "flights", actor=ANN)
        open_table(opened, "flights", actor=ANN, why="a look")
        (use,) = show_dataset(opened, "flights").facts.usage

    assert (use.actor, use.n_runs, use.n_reads, use.last_at) == (ANN, 0, 1, BEGIN)


def test_how_versions_kept_their_contract_is_remembered(project: Project) -> None:
    ingest(project, "flights", actor=ANN)
    ingest(project, "fares", path="data/*.csv", actor=ANN)

    kept, without = (show_dataset(project, name).facts.quality for name in ("flights", "fares"))

    assert [(each.ref, each.outcome, each.broken) for each in kept] == [("flights@1", "pass", ())]
    assert [(each.ref, each.outcome) for each in without] == [("fares@1", "inconclusive")]


@pytest.mark.parametrize("restricted", [False, True])
def test_broken_rules_are_told_and_their_values_to_readers(
    project: Project, restricted: bool, tmp_path: Path
) -> None:
    from cd4ml.data.snapshot import snapshot_frame
    from cd4ml.data.versions import publish
    from cd4ml.records.contract import Contract, Field

    said = {"readers": '["medic"]'} if restricted else {"owner_note": ""}
    with say(project, **said) if restricted else open_project(project.folder) as opened:
        ingest(opened, "flights", actor=ANN)
        contract = Contract(name="F", fields=(Field("wind", "number", maximum=1),))
        frame = pl.DataFrame({"wind": [7.5]})
        snapshot = snapshot_frame(opened.files, frame, source="x", contract=contract, refuse=False)
        with opened.database.write() as connection:
            publish(connection, snapshot, dataset="flights", at=BEGIN, actor=ANN)
        seen = show_dataset(opened, "flights", actor=EVE).facts.quality

    assert [(each.ref, each.outcome) for each in seen] == [
        ("flights@2", "fail"),
        ("flights@1", "pass"),
    ]
    (broken,) = seen[0].broken
    assert broken.startswith("wind at most 1")
    assert ("7.5" in broken) is not restricted
