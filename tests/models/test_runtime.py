"""A model is loaded by digest, tried, and answers rows and frames alike."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from cd4ml.errors import Corrupted, InvalidInput, NotFound, Refused
from cd4ml.models.estimator import dump
from cd4ml.models.estimator import load as load_estimator
from cd4ml.models.frames import to_rows
from cd4ml.models.manifest import ESTIMATOR, PROBES, Manifest, Probes
from cd4ml.models.onnx import CompiledScorer
from cd4ml.models.runtime import AnswersDiffer, load
from cd4ml.models.trust import trusted_in
from cd4ml.records.run import StepRun
from cd4ml.store.database import Database
from cd4ml.store.rows import insert
from tests.models.builders import (
    CONTRACT,
    ROW,
    bitset_boosted,
    boosted,
    flights,
    native_boosted,
    packaged,
    peeping,
)


@pytest.mark.parametrize("build", [boosted, bitset_boosted, native_boosted])
def test_rows_and_frames_get_the_same_answers(build: Any, tmp_path: Path) -> None:
    runtime = packaged(tmp_path, build()).load()
    rows = to_rows(CONTRACT, flights())

    together = runtime.score(rows)
    alone = [runtime.score([row])[0] for row in rows[:20]]

    assert all(type(score) is float for score in together)
    np.testing.assert_allclose(runtime.score_frame(flights()), together, atol=1e-7)
    np.testing.assert_allclose(alone, together[:20], atol=1e-7)


def test_a_row_alone_is_answered_as_among_others_whoever_asks(tmp_path: Path) -> None:
    runtime = packaged(tmp_path, boosted()).load()
    rows = [*to_rows(CONTRACT, flights(40)), ROW | {"temp": None, "dest": None}, ROW]
    expected = runtime.score(rows)

    def alone(_: int) -> list[float]:
        return [score for row in rows for score in runtime.score([row])]

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(alone, range(8)))

    for scores in found:
        np.testing.assert_allclose(scores, expected, atol=1e-7)


def test_what_requests_may_leave_null_is_answered(tmp_path: Path) -> None:
    runtime = packaged(tmp_path, boosted()).load()

    (score,) = runtime.score([ROW | {"temp": None, "dest": None}])

    assert 0 < score < 1


def test_a_changed_blob_is_noticed(tmp_path: Path) -> None:
    model = packaged(tmp_path, boosted())
    estimator = tmp_path / model.estimator[7:9] / model.estimator[9:]
    estimator.chmod(0o644)
    estimator.write_bytes(b"something else")
    manifest = model.blobs.get_record(model.artifact, Manifest)
    native = msgspec.structs.replace(manifest, kind="native")

    with pytest.raises(Corrupted, match=model.estimator):
        load(model.blobs, model.blobs.put_record(native), is_trusted=lambda _: True)


def test_an_unknown_model_is_not_found(tmp_path: Path) -> None:
    model = packaged(tmp_path, boosted())

    with pytest.raises(NotFound):
        load(model.blobs, "blake3:" + "0" * 64, is_trusted=lambda _: True)


def test_a_pickle_of_unknown_origin_is_refused(tmp_path: Path) -> None:
    model = packaged(tmp_path, native_boosted())

    with pytest.raises(Refused, match="was not made by a run of this project"):
        load(model.blobs, model.artifact, is_trusted=lambda _: False)


def test_a_compiled_model_needs_no_trust(tmp_path: Path) -> None:
    model = packaged(tmp_path, boosted())

    assert load(model.blobs, model.artifact, is_trusted=lambda _: False).kind == "onnx"


def test_a_model_that_answers_differently_here_is_refused(tmp_path: Path) -> None:
    model = packaged(tmp_path, boosted())
    manifest = model.blobs.get_record(model.artifact, Manifest)
    kept = model.blobs.get_record(manifest.files[PROBES], Probes)
    other = msgspec.structs.replace(kept, scores=[score + 0.25 for score in kept.scores])
    files = manifest.files | {PROBES: model.blobs.put_record(other)}
    old = {"numpy": "1.0"}
    altered = model.blobs.put_record(msgspec.structs.replace(manifest, files=files, libraries=old))

    with pytest.raises(Corrupted) as refusal:
        load(model.blobs, altered, is_trusted=lambda _: True)

    first, hint = str(refusal.value).splitlines()
    assert first == f"the model {altered} answers differently here: by 0.25, more than 1e-05"
    assert hint == "  hint: it was packaged with numpy 1.0; install these or package it again"


def test_so_is_one_that_answers_a_row_alone_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = packaged(tmp_path, boosted())
    monkeypatch.setattr(CompiledScorer, "_score_one", lambda *_: [0.999])

    with pytest.raises(AnswersDiffer, match="gives the same row another answer"):
        made.load()


def test_one_that_answers_differently_with_the_same_libraries_is_said_to_vary(
    tmp_path: Path,
) -> None:
    model = packaged(tmp_path, boosted())
    manifest = model.blobs.get_record(model.artifact, Manifest)
    kept = model.blobs.get_record(manifest.files[PROBES], Probes)
    other = msgspec.structs.replace(kept, scores=[score + 0.25 for score in kept.scores])
    files = manifest.files | {PROBES: model.blobs.put_record(other)}
    altered = model.blobs.put_record(msgspec.structs.replace(manifest, files=files))

    with pytest.raises(Corrupted) as refusal:
        load(model.blobs, altered, is_trusted=lambda _: True)

    assert refusal.value.message == (
        f"the model {altered} gives the same row another answer when it is asked again, among "
        "other rows: by 0.25, more than 1e-05"
    )


def test_a_server_of_the_compiled_model_does_not_need_the_estimator(tmp_path: Path) -> None:
    model = packaged(tmp_path, boosted())
    manifest = model.blobs.get_record(model.artifact, Manifest)

    assert manifest.files[ESTIMATOR] == model.estimator
    assert model.estimator not in manifest.served


def test_outputs_of_recorded_runs_are_trusted(database: Database) -> None:
    is_trusted = trusted_in(database)
    address = "blake3:" + "a" * 64
    with database.write() as connection:
        insert(
            connection,
            StepRun(
                run=1,
                step="delay",
                position=2,
                fingerprint="",
                state="computed",
                kind="model",
                output=address,
            ),
        )

    assert is_trusted(address)
    assert not is_trusted("blake3:" + "b" * 64)


def test_an_estimator_that_cannot_be_stored_is_explained() -> None:
    with pytest.raises(InvalidInput, match="the function cannot be stored: ") as refusal:
        dump(lambda row: 1.0)

    assert "hint: use functions defined at the top of a module" in str(refusal.value)


def test_bytes_that_are_no_estimator_are_explained() -> None:
    with pytest.raises(InvalidInput, match="the stored estimator cannot be loaded"):
        load_estimator(b"")


def test_a_model_is_shown_the_fields_of_requests_and_nothing_else(tmp_path: Path) -> None:
    fields = tuple(field for field in CONTRACT.fields if field.name in ("hour", "wind"))
    contract = msgspec.structs.replace(CONTRACT, fields=fields)
    runtime = packaged(tmp_path, peeping(), contract).load()
    rows = to_rows(contract, flights())

    for_others = runtime.score_frame(flights().select("wind", "late", "carrier", "hour"))

    np.testing.assert_allclose(for_others, runtime.score(rows), atol=1e-12)
    assert 0.01 < for_others.min() < for_others.max() < 0.99


@pytest.mark.parametrize("build", [boosted, bitset_boosted])
def test_a_frame_without_a_field_that_the_model_needs_is_refused(
    build: Any, tmp_path: Path
) -> None:
    runtime = packaged(tmp_path, build()).load()

    with pytest.raises(InvalidInput) as refused:
        runtime.score_frame(flights().select("carrier", "dest", "hour", "late"))

    assert str(refused.value) == (
        "the rows lack temp, wind, which the contract 'delay' names\n"
        "  hint: they have: carrier, dest, hour, late"
    )
