"""A model as data: any process takes it by its name, and keeps answering."""

import gc
import multiprocessing
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import cd4ml
from cd4ml.errors import Corrupted, InvalidInput, NotFound, Refused, Unavailable
from cd4ml.loop.candidate import runtime_of
from cd4ml.models.estimator import dump
from cd4ml.models.frames import to_rows
from cd4ml.serving.loaded import RowsRefused
from tests.models.builders import (
    CONTRACT,
    ROW,
    bitset_boosted,
    boosted,
    flights,
    logistic,
    native_boosted,
    network,
)
from tests.models.registered import Registered
from tests.serving.builders import until

QUICKLY = 0.02


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Path]:
    """delay/1 and delay/3 are compiled, delay/2 is native; delay/1 is the champion."""
    made = Registered(tmp_path_factory.mktemp("registered") / "project", sqlite_template)
    for estimator in (boosted(), bitset_boosted(), logistic()):
        made.version(estimator)
    made.point("champion", 1)
    made.project.close()
    return made.folder


@pytest.fixture
def registered(template: Path, tmp_path: Path) -> Iterator[Registered]:
    made = Registered.at(shutil.copytree(template, tmp_path / "project"))
    yield made
    made.project.close()


def scores(registered: Registered) -> dict[int, float]:
    """What each version answers to ROW."""
    versions = [registered.registered(number) for number in (1, 2, 3)]
    return {v.number: runtime_of(registered.project, v).score([ROW])[0] for v in versions}


def test_a_name_answers_rows_and_frames_as_the_endpoint_does(registered: Registered) -> None:
    runtime = runtime_of(registered.project, registered.registered(1))
    frame = flights().with_columns(id=pl.int_range(pl.len()))

    with cd4ml.load("delay@champion", project=registered.folder) as model:
        assert model.version.ref == "delay/1"
        assert model.contract.name == "delay"
        assert model.predict(ROW) == runtime.score([ROW])[0]
        assert model.predict([ROW, ROW]) == runtime.score([ROW, ROW])
        assert model.predict([]) == []
        answers = model.predict(frame)
    assert answers.name == "score"
    assert answers.to_list() == runtime.score(frame.drop("late", "id").to_dicts())


def test_a_native_model_is_loaded_as_well(registered: Registered) -> None:
    with cd4ml.load("delay/2", project=registered.folder) as model:
        assert model.predict(ROW) == scores(registered)[2]


def test_what_does_not_keep_the_contract_is_refused_with_everything(registered: Registered) -> None:
    bad = ROW | {"hour": 24, "gate": "B12"}
    with cd4ml.load("delay/1", project=registered.folder) as model:
        with pytest.raises(RowsRefused) as refusal:
            model.predict([ROW, bad])
        assert [v.path for v in refusal.value.violations] == ["$.rows[1].hour", "$.rows[1].gate"]
        assert refusal.value.message == (
            "the request does not keep the contract 'delay': 2 violations"
        )
        with pytest.raises(RowsRefused) as refusal:
            model.predict(flights().with_columns(hour=pl.lit(24)))
        assert len(refusal.value.violations) == 100
        with pytest.raises(InvalidInput, match="the rows lack hour"):
            model.predict(flights().drop("hour"))


def test_a_whole_float_is_an_integer_in_rows_and_frames(registered: Registered) -> None:
    row = ROW | {"hour": 17.0}
    frame = flights().head(3).with_columns(hour=pl.Series([17.0, 18.5, 19.0]))
    with cd4ml.load("delay/1", project=registered.folder) as model:
        assert model.predict(row) == model.predict(ROW)
        assert row["hour"] == 17.0  # the caller's own row is left alone
        assert (
            model.predict(frame[[0, 2]]).to_list()
            == model.predict(frame[[0, 2]].cast({"hour": pl.Int64})).to_list()
        )
        with pytest.raises(RowsRefused) as refusal:
            model.predict(frame)

    assert [(v.path, v.got) for v in refusal.value.violations] == [("$.rows[1].hour", "18.5")]


def test_numbers_of_numpy_are_taken_as_plain_ones(registered: Registered) -> None:
    row = ROW | {"hour": np.int64(17), "temp": np.float32(40.5), "carrier": np.str_("AA")}
    with cd4ml.load("delay/1", project=registered.folder) as model:
        assert model.predict(row) == model.predict(ROW)
        assert model.predict([row, row]) == model.predict([ROW, ROW])
        assert model.predict(row, contributions=True) == model.predict(ROW, contributions=True)
        assert model.warnings_of([row]) == []
        with pytest.raises(RowsRefused) as refusal:
            model.predict(row | {"hour": np.int64(24), "wind": np.bool_(True)})

    assert type(row["hour"]) is np.int64  # the caller's own row is left alone
    assert [each.got for each in refusal.value.violations] == ["24", "true"]


def test_a_lazy_frame_is_collected_and_one_of_pandas_is_read_by_its_columns(
    registered: Registered,
) -> None:
    frame = flights().head(20)
    table = pd.DataFrame(frame.to_dict(as_series=False), index=range(100, 120))
    with cd4ml.load("delay/1", project=registered.folder) as model:
        expected = model.predict(frame).to_list()
        assert model.predict(frame.lazy()).to_list() == expected
        assert model.predict(table).to_list() == expected
        assert model.predict(table.astype({"carrier": "category", "hour": "Int64"})).to_list() == (
            expected
        )
        assert model.predict(table, contributions=True) == model.predict(frame, contributions=True)
        with pytest.raises(InvalidInput) as refusal:
            model.predict(pd.concat([table, table[["hour"]]], axis=1))

    assert str(refusal.value).startswith("the frame has more than one column called hour")


def test_what_numpy_computed_is_a_number(registered: Registered) -> None:
    row = ROW | {"hour": np.int64(17), "wind": np.float32(8.0)}
    with cd4ml.load("delay/1", project=registered.folder) as model:
        assert model.predict(row) == model.predict([row])[0] == model.predict(ROW)
        assert model.predict(row, contributions=True) == model.predict(ROW, contributions=True)
        assert model.warnings_of([row]) == []
        with pytest.raises(RowsRefused) as refusal:
            model.predict({1: np.int64(2), **ROW})  # type: ignore[dict-item]

    (found,) = refusal.value.violations
    assert (found.field, found.expected, found.got) == ("1 (int)", "no such field", "2")


def test_each_answer_may_come_taken_apart(registered: Registered) -> None:
    rows = to_rows(CONTRACT, flights().head(4))
    with cd4ml.load("delay/1", project=registered.folder) as model:
        one = model.predict(rows[0], contributions=True)
        many = model.predict(rows, contributions=True)
        framed = model.predict(flights().head(4), contributions=True)
        answers = model.predict(rows)
        assert model.predict([], contributions=True) == []
        with pytest.raises(RowsRefused):
            model.predict(ROW | {"hour": 24}, contributions=True)

    assert many == framed
    assert one == many[0]
    assert [each.answer for each in many] == answers
    assert {(each.method, each.unit) for each in many} == {("trees", "log-odds")}
    for row, each in zip(rows, many, strict=True):
        assert {part.field: part.value for part in each.contributions} == row
        assert each.base + sum(part.amount for part in each.contributions) == pytest.approx(
            each.raw
        )


def test_a_model_that_nothing_takes_apart_at_once_is_asked_about_mixtures(
    tmp_path: Path, sqlite_template: Path
) -> None:
    made = Registered(tmp_path / "project", sqlite_template)
    made.version(network())
    with cd4ml.load("delay/1", project=made.folder) as model:
        explained = model.predict(ROW, contributions=True)
        assert explained.answer == model.predict(ROW)
    made.project.close()

    assert (explained.method, explained.unit) == ("sampled", "answer")
    assert {part.field: part.value for part in explained.contributions} == ROW
    parts = [abs(part.amount) for part in explained.contributions]
    assert parts == sorted(parts, reverse=True)
    total = explained.base + sum(part.amount for part in explained.contributions)
    assert total == pytest.approx(explained.answer, abs=1e-6)


@pytest.mark.parametrize("rows", [3, "AA", None])
def test_what_is_no_row_is_refused(registered: Registered, rows: Any) -> None:
    with cd4ml.load("delay/1", project=registered.folder) as model:
        with pytest.raises(InvalidInput) as refusal:
            model.predict(rows)
        assert repr(model) == "<delay/1: delay/1>"
    assert str(refusal.value) == (
        f"expected a row, a list of rows, or a frame of Polars or pandas, got {type(rows).__name__}\n"
        "  hint: a row is a dictionary, {'hour': 17}"
    )


def test_it_follows_the_name(registered: Registered) -> None:
    expected = scores(registered)
    with cd4ml.load("delay@champion", project=registered.folder, every_s=QUICKLY) as model:
        assert model.predict(ROW) == expected[1]

        registered.point("champion", 3)

        until(lambda: model.version.ref == "delay/3")
        assert model.predict(ROW) == expected[3]


def test_on_request_it_looks_at_once_and_never_otherwise(registered: Registered) -> None:
    with cd4ml.load("delay@champion", project=registered.folder, every_s=0) as model:
        registered.point("champion", 3)
        assert model.version.ref == "delay/1"

        assert model.refresh().ref == "delay/3"


def test_no_call_fails_or_mixes_versions_while_the_champion_moves(registered: Registered) -> None:
    allowed, seen, failures = set(scores(registered).values()), set(), []
    with cd4ml.load("delay@champion", project=registered.folder, every_s=QUICKLY) as model:
        is_over = threading.Event()

        def ask() -> None:
            while not is_over.is_set():
                try:
                    answers = model.predict([ROW, ROW, ROW])
                except Exception as error:
                    failures.append(error)
                    return
                if len(set(answers)) > 1:
                    failures.append(AssertionError(answers))
                seen.update(answers)

        askers = [threading.Thread(target=ask) for _ in range(3)]
        for asker in askers:
            asker.start()
        for number in (3, 1, 3):
            registered.point("champion", number)
            until(lambda number=number: model.version.number == number)  # type: ignore[misc]
        is_over.set()
        for asker in askers:
            asker.join()

    assert failures == []
    assert len(seen) == 2
    assert seen <= allowed


def take_away(folder: Path) -> None:
    """The database and the blobs of a project are gone."""
    state = folder / ".cd4ml"
    for path in state.glob("cd4ml.db*"):
        path.unlink()
    (state / "cd4ml.db").mkdir()
    shutil.rmtree(state / "blobs")


@pytest.mark.parametrize("ref", ["delay@champion", "delay/2"])
def test_with_the_stores_away_it_goes_on_and_starts_again(registered: Registered, ref: str) -> None:
    with cd4ml.load(ref, project=registered.folder, every_s=QUICKLY) as model:
        before = model.predict(ROW)
        registered.project.close()
        take_away(registered.folder)
        time.sleep(5 * QUICKLY)
        assert model.predict(ROW) == before

    with cd4ml.load(ref, project=registered.folder) as again:
        assert again.predict(ROW) == before


def test_what_was_never_loaded_cannot_start_without_the_stores(registered: Registered) -> None:
    registered.project.close()
    take_away(registered.folder)

    with pytest.raises(Unavailable, match="does not work"):
        cd4ml.load("delay@champion", project=registered.folder)


def test_damaged_files_are_not_loaded(registered: Registered) -> None:
    with cd4ml.load("delay/1", project=registered.folder):
        pass
    registered.project.close()
    take_away(registered.folder)
    for path in (registered.folder / ".cd4ml" / "loaded").rglob("*"):
        if path.is_file() and path.name != "version.json":
            path.chmod(0o600)
            path.write_bytes(path.read_bytes() + b" ")

    with pytest.raises(Corrupted):
        cd4ml.load("delay/1", project=registered.folder)


def test_what_the_stores_say_counts_more_than_what_is_remembered(registered: Registered) -> None:
    with cd4ml.load("delay@champion", project=registered.folder):
        pass
    registered.unpoint("champion")

    with pytest.raises(NotFound) as refusal:
        cd4ml.load("delay@champion", project=registered.folder)

    assert refusal.value.message == "no alias named 'delay@champion'"


def test_a_pickle_from_elsewhere_is_not_loaded(registered: Registered) -> None:
    version = registered.version(native_boosted())
    registered.distrust(registered.project.blobs.put(dump(native_boosted())))

    with pytest.raises(Refused, match="was not made by a run of this project"):
        cd4ml.load(version.ref, project=registered.folder)


def child(model: Any, asked: Any) -> None:
    asked.send(model.predict(ROW))
    try:
        model.refresh()
    except Unavailable as error:
        asked.send(str(error))


@pytest.mark.filterwarnings("ignore:This process")  # the point of the test
def test_a_forked_process_answers_with_the_version_it_had_and_says_so(
    registered: Registered,
) -> None:
    with cd4ml.load("delay@champion", project=registered.folder, every_s=QUICKLY) as model:
        here, there = multiprocessing.Pipe()
        context = multiprocessing.get_context("fork")
        forked = context.Process(target=child, args=(model, there))
        forked.start()
        told = [here.recv() for _ in range(2) if here.poll(30)]
        forked.join()

        assert told == [
            model.predict(ROW),
            "delay@champion was loaded before this process was forked\n"
            "  hint: load it after the fork, in each process",
        ]


def test_nobody_looks_for_a_model_that_nobody_holds(registered: Registered) -> None:
    model = cd4ml.load("delay@champion", project=registered.folder, every_s=QUICKLY)
    watching = [each for each in threading.enumerate() if each.name == "delay@champion"]
    assert watching

    del model
    gc.collect()

    for each in watching:
        each.join(10)
        assert not each.is_alive()
