"""The truth comes in batches, whole or not at all; what came true becomes data."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cd4ml.errors import Cd4mlError, InvalidInput, NotFound
from cd4ml.loop import Project
from cd4ml.loop.ingest import show_dataset
from cd4ml.loop.label import curate, label
from cd4ml.loop.watch import collect
from tests.loop.world import ANN, EVE, HOUR, actions, live, move


def known(project: Project) -> dict[str, float]:
    """What is known to have come true, by prediction."""
    found = project.log.labels().collect()
    return dict(zip(found["prediction_id"], found["value"], strict=True))


def truth(ids: list[str], value: float = 1.0) -> list[dict[str, Any]]:
    return [{"prediction_id": name, "value": value} for name in ids]


def test_a_batch_is_kept_with_who_brought_it(released: Project) -> None:
    ids = live(released, 3, n_labelled=0)
    collect(released)

    receipt = label(released, rows=truth(ids), actor=EVE)

    assert (receipt.n_labels, receipt.n_unknown, receipt.is_new) == (3, 0, True)
    assert known(released) == dict.fromkeys(ids, 1.0)
    assert actions(released)[-1] == "labels.accepted"


def test_the_same_batch_counts_once(released: Project) -> None:
    ids = live(released, 3, n_labelled=0)
    first = label(released, rows=truth(ids), actor=EVE)
    before = actions(released)

    again = label(released, rows=truth(ids)[::-1], actor=EVE)

    assert (again.batch, again.is_new) == (first.batch, False)
    assert actions(released) == before


def test_a_later_statement_corrects_an_earlier_one(released: Project) -> None:
    ids = live(released, 2, n_labelled=0)
    label(released, rows=truth(ids), actor=EVE)
    move(released, HOUR)

    label(released, rows=truth(ids[:1], 0.0), actor=EVE)

    assert known(released) == {ids[0]: 0.0, ids[1]: 1.0}


def test_an_answer_given_a_moment_ago_is_known(released: Project) -> None:
    ids = live(released, 2, n_labelled=0)

    receipt = label(released, rows=truth(ids), actor=EVE)

    assert (receipt.n_labels, receipt.n_unknown) == (2, 0)
    assert released.log.labels().collect().height == 2


def test_one_row_that_is_no_label_refuses_the_batch(released: Project) -> None:
    ids = live(released, 2, n_labelled=0)
    before = actions(released)

    with pytest.raises(InvalidInput) as refused:
        label(
            released,
            rows=[*truth(ids), {"prediction_id": "abc", "value": 1.0}, {"value": float("nan")}],
            actor=EVE,
        )

    assert refused.value.message.splitlines()[0] == (
        "no label was kept: 2 of 4 rows are not labels"
    )
    assert [line[:9] for line in refused.value.message.splitlines()[1:]] == [
        "  - row 3",
        "  - row 4",
    ]
    assert known(released) == {}
    assert actions(released) == before


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".ndjson"])
def test_labels_come_in_files(released: Project, tmp_path: Path, suffix: str) -> None:
    ids = live(released, 3, n_labelled=0)
    path = tmp_path / f"truth{suffix}"
    frame = pl.DataFrame(truth(ids))
    {".csv": frame.write_csv, ".parquet": frame.write_parquet, ".ndjson": frame.write_ndjson}[
        suffix
    ](path)

    receipt = label(released, path=path, actor=EVE)

    assert receipt.n_labels == 3
    assert known(released) == dict.fromkeys(ids, 1.0)


@pytest.mark.parametrize(
    ("suffix", "content", "reason"),
    [
        (".csv", "prediction_id,value\n{id},1\n{id},late\n", "Expected `bool | float`, got `str`"),
        (".csv", "prediction_id,value\n{id},True\n{id},\n", "Expected `bool | float`, got `null`"),
        (
            ".ndjson",
            '{{"prediction_id":"{id}","value":1}}\n\n{{"prediction_id":"{id}","value":"x"}}\n',
            "Expected `bool | float`, got `str`",
        ),
    ],
)
def test_a_bad_row_of_a_file_blames_no_other(
    released: Project, tmp_path: Path, suffix: str, content: str, reason: str
) -> None:
    (name,) = live(released, 1, n_labelled=0)
    path = tmp_path / f"truth{suffix}"
    path.write_text(content.format(id=name))

    with pytest.raises(InvalidInput) as refused:
        label(released, path=path, actor=EVE)

    assert refused.value.message == (
        f"no label was kept: 1 of 2 rows are not labels\n  - row 2: {reason} - at `$.value`"
    )


def test_a_line_that_is_no_object_is_named(released: Project, tmp_path: Path) -> None:
    path = tmp_path / "truth.ndjson"
    path.write_text("[1]\n")

    with pytest.raises(
        InvalidInput, match=r"truth\.ndjson cannot be read: line 1 is no JSON object"
    ):
        label(released, path=path, actor=EVE)


@pytest.mark.parametrize("sequence", ["00000017", "000e0017"])
def test_an_id_that_looks_like_a_number_stays_an_id(
    released: Project, tmp_path: Path, sequence: str
) -> None:
    live(released, 1, n_labelled=0)
    prediction_id = f"013493000000000001123456{sequence}"  # a moment of January 2012
    path = tmp_path / "truth.csv"
    path.write_text(f"prediction_id,value\n{prediction_id},1\n")

    label(released, path=path, actor=EVE)

    assert list(known(released)) == [prediction_id]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("truth.txt", "", "expected a .csv, .parquet or .ndjson file with labels, got truth.txt"),
        ("missing.csv", None, "no file {path}\n  hint: it has the columns prediction_id and value"),
        ("truth.csv", "", "{path} cannot be read: empty CSV"),
        ("truth.parquet", "no parquet", "{path} cannot be read: "),
        ("truth.csv", "id,truth\n1,1\n", "no label was kept: 1 of 1 rows are not labels"),
        ("truth.csv", "prediction_id,value\n", "there are no labels in this batch"),
    ],
)
def test_a_file_without_labels_is_explained(
    released: Project, tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)

    with pytest.raises(Cd4mlError) as refused:
        label(released, path=path, actor=EVE)

    assert str(refused.value).startswith(message.format(path=path))
    assert known(released) == {}


def test_whoever_is_not_known_brings_no_labels(released: Project) -> None:
    ids = live(released, 1, n_labelled=0)

    with pytest.raises(NotFound, match="nobody named 'mallory'"):
        label(released, rows=truth(ids), actor="mallory")

    assert known(released) == {}


def test_what_came_true_becomes_a_dataset_version(released: Project) -> None:
    live(released, 5, n_labelled=3)
    collect(released)

    version = curate(released, actor=ANN)

    assert (version.ref, version.n_rows, version.source) == ("labelled@1", 3, "production")
    assert version.note == "3 of 5 predictions had come true"
    assert version.outcome == "pass"
    assert [column.name for column in version.columns] == [
        "carrier",
        "distance",
        "wind",
        "event_at",
        "late",
    ]


def test_the_same_knowledge_is_the_same_version(released: Project) -> None:
    ids = live(released, 5, n_labelled=3)
    collect(released)
    first = curate(released, actor=ANN)
    move(released, HOUR)

    assert curate(released, actor=ANN) == first
    label(released, rows=truth(ids[3:]), actor=EVE)
    assert curate(released, actor=ANN).ref == "labelled@2"
    assert len(show_dataset(released, "labelled").versions) == 2


def test_there_is_nothing_to_curate_before_something_came_true(released: Project) -> None:
    live(released, 2, n_labelled=0)
    collect(released)

    with pytest.raises(InvalidInput) as refused:
        curate(released, actor=ANN)

    assert str(refused.value) == (
        "none of 2 predictions of delay has come true yet\n"
        "  hint: cd4ml label FILE brings the truth"
    )


def test_there_is_nothing_to_curate_before_something_is_released(project: Project) -> None:
    with pytest.raises(NotFound) as refused:
        curate(project, actor=ANN)

    assert str(refused.value) == (
        "no version is in charge yet, so production has shown nothing\n"
        "  hint: release one first: cd4ml release MODEL/1 --to ENVIRONMENT"
    )
