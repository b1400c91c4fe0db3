"""An endpoint loads a pickle only while somebody answers for it, whenever it loads."""

import pickle
from pathlib import Path

import msgspec

from cd4ml.models.manifest import ESTIMATOR, Manifest
from cd4ml.models.trust import give_word, take_back
from cd4ml.serving.watcher import Watcher
from cd4ml.store import rows
from tests.models.builders import AT, native_boosted
from tests.models.test_trust import ADA, Hostile
from tests.serving.builders import Released, arm, until


def other_bytes(project: Released, thing: object) -> tuple[str, str]:
    """A native model whose estimator was pickled elsewhere; its artifact and its estimator."""
    blobs = project.project.blobs
    manifest = blobs.get_record(project.model(native_boosted()), Manifest)
    estimator = blobs.put(pickle.dumps(thing, protocol=4))
    files = manifest.files | {ESTIMATOR: estimator}
    return blobs.put_record(msgspec.structs.replace(manifest, files=files)), estimator


def trusted(project: Released, estimator: str) -> None:
    with project.project.database.write() as connection:
        give_word(connection, estimator, why="a test", roles=(), by=ADA, at=AT)


def distrusted(project: Released, estimator: str) -> None:
    with project.project.database.write() as connection:
        take_back(connection, estimator, why="a doubt", roles=(), by=ADA, at=AT)


def started(project: Released) -> Watcher:
    watcher = Watcher(project.project, "production", "worker", "http://127.0.0.1:1")
    watcher.start()
    return watcher


def test_a_hostile_pickle_is_not_served_and_does_not_run(project: Released, tmp_path: Path) -> None:
    place = tmp_path / "place"
    artifact, estimator = other_bytes(project, Hostile(place))
    project.plan(arm(artifact))

    watcher = started(project)
    until(lambda: "cannot be loaded" in watcher.absence)
    watcher.stop()

    assert f"the estimator at {estimator} was not made by a run of this project" in watcher.absence
    assert watcher.endpoint is None
    assert not place.exists()


def test_it_answers_once_somebody_answers_for_it(project: Released) -> None:
    artifact, estimator = other_bytes(project, native_boosted())
    project.plan(arm(artifact))
    watcher = started(project)
    until(lambda: "cannot be loaded" in watcher.absence)

    trusted(project, estimator)

    until(lambda: watcher.endpoint is not None)
    watcher.stop()


def test_what_was_loaded_answers_on_and_is_not_loaded_again(project: Released) -> None:
    artifact, estimator = other_bytes(project, native_boosted())
    project.plan(arm(artifact))
    trusted(project, estimator)
    watcher = started(project)
    until(lambda: watcher.endpoint is not None)

    distrusted(project, estimator)
    second = started(project)
    until(lambda: "cannot be loaded" in second.absence)
    watcher.stop()
    second.stop()

    assert watcher.endpoint is not None
    assert second.endpoint is None


def test_while_the_database_is_away_its_last_word_counts(project: Released, tmp_path: Path) -> None:
    artifact, estimator = other_bytes(project, native_boosted())
    project.plan(arm(artifact))
    trusted(project, estimator)
    first = started(project)
    until(lambda: first.endpoint is not None)
    first.stop()
    project.project.close()
    (project.folder / ".cd4ml" / "cd4ml.db").rename(tmp_path / "away.db")
    (project.folder / ".cd4ml" / "cd4ml.db").mkdir()  # nobody can make an empty one in its place

    watcher = started(project)
    until(lambda: watcher.endpoint is not None)
    watcher.stop()


def test_a_plan_that_no_release_made_is_not_taken_up(project: Released) -> None:
    first = project.plan(arm(project.model(native_boosted())))
    watcher = started(project)
    until(lambda: watcher.endpoint is not None)
    with project.project.database.write() as connection:
        rows.insert(connection, msgspec.structs.replace(first, number=2))
    until(lambda: "plan/2 is not in the ledger" in watcher.absence)
    watcher.stop()

    assert watcher.endpoint is not None
    assert watcher.endpoint.plan == first
