"""A run becomes a version in one step; whether that may be released is another question."""

import pickle
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cd4ml.errors import (
    ConfigurationError,
    InvalidInput,
    NotAllowed,
    NotFound,
    PipelineError,
    Refused,
)
from cd4ml.loop import Project
from cd4ml.loop.bring_model import bring_model
from cd4ml.loop.candidate import runtime_of
from cd4ml.loop.evaluate import evaluate
from cd4ml.loop.graduate import graduate, package_version
from cd4ml.loop.promote import request
from cd4ml.loop.registry import models
from cd4ml.loop.train import train
from cd4ml.loop.trust import distrust, trust, trusted
from cd4ml.models.onnx import compile_estimator
from cd4ml.records.contract import Contract, Field
from cd4ml.records.lineage import Edge
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.run import Run, StepRun
from cd4ml.store import lineage, rows
from tests.loop.test_evaluate import change
from tests.loop.test_log_model import begun, ended, fitted, logged
from tests.loop.world import ANN, EVE, MAX, actions
from tests.models.test_trust import Hostile


def trained(project: Project, **overrides: Any) -> Run:
    return train(project, actor=ANN, overrides=overrides).run


def test_a_run_graduates_to_a_version(project: Project) -> None:
    run = trained(project)

    version = graduate(project, run.ref, description="the first", tags={"a": "1"}, actor=ANN)

    assert (version.ref, version.run, version.verdict) == ("delay/1", 1, 0)
    assert (version.description, version.tags) == ("the first", {"a": "1"})
    assert runtime_of(project, version).kind == "onnx"
    (summary,) = models(project)
    assert summary.verdict == "not judged yet"
    assert actions(project)[-1] == "model_version.added"
    with project.database.read() as connection:
        hops = lineage.upstream(connection, "delay/1")
    assert {"run/1", "flights@1"} <= {hop.node.name for hop in hops}


def test_graduating_again_is_the_same_version(project: Project) -> None:
    run = trained(project)
    first = graduate(project, run.ref, actor=ANN)
    before = actions(project)

    assert graduate(project, run.ref, actor=ANN) == first
    assert actions(project) == before


def test_it_is_a_version_of_the_model_that_is_named(project: Project) -> None:
    run = trained(project)

    refs = [graduate(project, run.ref, model=name, actor=ANN).ref for name in ("late", "delay")]

    assert refs == ["late/1", "delay/1"]


def test_registering_is_not_releasing(project: Project) -> None:
    graduate(project, trained(project).ref, actor=ANN)

    with pytest.raises(Refused) as caught:
        request(project, "delay/1", to="staging", actor=ANN)

    assert str(caught.value) == (
        "delay/1 was not released: it was never judged by a gate\n  hint: cd4ml gate delay/1"
    )


@pytest.mark.parametrize("asked", ["delay/1", "run/1", "delay"])
def test_the_gates_let_in_the_version_that_is_there(project: Project, asked: str) -> None:
    version = graduate(project, trained(project).ref, actor=ANN)

    judgement = evaluate(project, asked, actor=ANN)

    assert judgement.verdict.outcome == "pass"
    assert judgement.version == version
    assert request(project, "delay/1", to="staging", actor=ANN).state == "released"


def test_a_version_that_the_gates_refuse_cannot_be_released(project: Project) -> None:
    run = trained(project, **{"training.upside_down": True})
    graduate(project, run.ref, actor=ANN)

    judgement = evaluate(project, "delay/1", actor=ANN)

    assert (judgement.verdict.outcome, judgement.version) == ("fail", None)
    with pytest.raises(Refused) as caught:
        request(project, "delay/1", to="staging", actor=ANN)
    assert str(caught.value) == (
        "delay/1 was not released: verdict/1 is fail, needs pass\n  hint: cd4ml gate show verdict/1"
    )


def test_what_did_not_finish_does_not_graduate(project: Project) -> None:
    with pytest.raises(PipelineError):
        trained(project, **{"delay.strength": -1})

    with pytest.raises(Refused) as caught:
        graduate(project, "run/1", actor=ANN)

    assert caught.value.message == "run/1 failed, and logged no model"
    assert models(project) == []


def test_a_run_without_a_model_does_not_graduate(project: Project) -> None:
    run = begun(project)

    with pytest.raises(Refused) as caught:
        graduate(project, run.ref, actor=ANN)

    assert str(caught.value) == (
        "run/1 is running, and logged no model\n  hint: wait until it ends"
    )


@pytest.mark.parametrize(
    ("actor", "said"),
    [(ANN, "run/2 is running, and logged no model"), ("mallory", "nobody named 'mallory'")],
)
def test_a_run_that_is_refused_is_lent_no_rows(project: Project, actor: str, said: str) -> None:
    lender, run = trained(project), begun(project)

    with pytest.raises((Refused, NotFound), match=said):
        graduate(project, run.ref, rows_of=lender.ref, actor=actor)

    with project.database.read() as connection:
        assert rows.find(connection, StepRun, run=run.number) == []
        assert rows.find(connection, Edge, child=run.ref) == []


def test_a_run_is_lent_the_rows_that_it_lacks(project: Project) -> None:
    lender, run = trained(project), begun(project)
    logged(project, run, register="")
    ended(project, run)

    version = graduate(project, run.ref, rows_of=lender.ref, actor=ANN)

    assert (version.run, bool(version.artifact)) == (run.number, True)
    with project.database.read() as connection:
        lent = {each.step: each.output for each in rows.find(connection, StepRun, run=run.number)}
        parents = {edge.parent for edge in rows.find(connection, Edge, child=run.ref)}
    known = {name: lender.outputs[name] for name in ("training", "holdout")}
    assert lent.items() >= known.items()
    assert parents >= set(known.values())
    assert graduate(project, run.ref, rows_of=lender.ref, actor=ANN) == version


def test_nobody_unknown_graduates_a_run(project: Project) -> None:
    run = trained(project)

    with pytest.raises(NotFound, match="nobody named 'zoe'"):
        graduate(project, run.ref, actor="zoe")


class TestModelsMadeElsewhere:
    """`own` is a project in which run/1 has rows, and whose requests have two numbers."""

    @pytest.fixture
    def own(self, project: Project) -> Project:
        trained(project)
        return change(project, "fields=FIELDS)", "fields=FIELDS[1:])", file="contracts.py")

    def brought(self, project: Project, thing: Any, **options: Any) -> ModelVersion:
        file = project.folder / "model.pkl"
        file.write_bytes(pickle.dumps(thing))
        given = {"rows_of": "run/1", "actor": EVE, **options}
        return bring_model(project, "lab", file, **given)

    def test_its_bytes_are_kept_and_not_loaded(self, own: Project, tmp_path: Path) -> None:
        place = tmp_path / "place"

        version = self.brought(own, Hostile(place), source="ftp://lab/model.pkl")

        assert (version.ref, version.run, version.source) == ("lab/1", 2, "ftp://lab/model.pkl")
        assert (version.artifact, version.created_by) == ("", EVE)
        assert not place.exists()

    @pytest.mark.parametrize(
        "load",
        [
            lambda project: package_version(project, "lab/1", actor=ANN),
            lambda project: evaluate(project, "lab/1", actor=ANN),
            lambda project: graduate(project, "run/2", step="lab", model="other", actor=ANN),
        ],
        ids=["package", "gate", "graduate"],
    )
    def test_a_hostile_one_runs_on_no_way_before_it_is_trusted(
        self, own: Project, tmp_path: Path, load: Any
    ) -> None:
        place = tmp_path / "place"
        self.brought(own, Hostile(place))

        with pytest.raises(Refused, match="was not made by a run of this project"):
            load(own)

        assert not place.exists()

    def test_what_holds_no_code_answers_without_anybodys_word(self, own: Project) -> None:
        fields = tuple(Field(name, "number") for name in ("distance", "wind"))
        file = own.folder / "model.onnx"
        file.write_bytes(compile_estimator(fitted(), Contract(name="delay", fields=fields)))

        version = bring_model(own, "lab", file, rows_of="run/1", actor=EVE)
        packaged = package_version(own, version.ref, actor=ANN)

        runtime = runtime_of(own, packaged)
        assert (runtime.kind, trusted(own)) == ("onnx", [])
        row = {"distance": 500.0, "wind": 9.0}
        expected = fitted().predict_proba(pl.DataFrame([row]))[:, 1]
        assert runtime.score([row]) == pytest.approx(expected, abs=1e-6)

    def test_who_may_not_trust_cannot_let_it_run(self, own: Project, tmp_path: Path) -> None:
        self.brought(own, Hostile(tmp_path / "place"))

        for person in (EVE, MAX, "system"):
            with pytest.raises(NotAllowed):
                trust(own, "lab/1", why="I want it", actor=person)
        with pytest.raises(InvalidInput) as caught:
            trust(own, "lab/1", why=" ", actor=ANN)

        assert str(caught.value) == (
            "trusting lab/1 needs a reason\n"
            "  hint: say who made it, and how you know that these are their bytes"
        )
        assert trusted(own) == []

    def test_a_role_of_the_settings_may(self, own: Project) -> None:
        self.brought(own, fitted())
        mine = change(own, "[model]\n", '[model]\ntrusted_by = ["release-manager"]\n')

        word = trust(mine, "lab/1", why="our lab's", actor=MAX)

        assert (word.given_by, word.role) == (MAX, "release-manager")

    def test_it_goes_the_way_of_every_model_once_it_is_trusted(self, own: Project) -> None:
        self.brought(own, fitted())
        word = trust(own, "lab/1", why="trained by the lab; digest compared", actor=ANN)

        judgement = evaluate(own, "lab/1", actor=ANN)

        assert judgement.verdict.outcome == "pass"
        assert judgement.version is not None
        assert judgement.version.ref == "lab/1"
        assert request(own, "lab/1", to="staging", actor=ANN).state == "released"
        assert trusted(own) == [word]

    def test_it_is_not_packaged_again_after_the_word_was_taken_back(self, own: Project) -> None:
        version = self.brought(own, fitted())
        trust(own, "lab/1", why="the lab's", actor=ANN)
        ended = distrust(own, "lab/1", why="the lab was broken into", actor=ANN)

        with pytest.raises(Refused, match=f"the estimator at {ended.digest} was not made"):
            package_version(own, version.ref, actor=ANN)

    def test_the_same_bytes_again_are_the_same_version(self, own: Project) -> None:
        first = self.brought(own, fitted())
        before = actions(own)

        assert self.brought(own, fitted()) == first
        assert actions(own) == before

    @pytest.mark.parametrize(
        ("name", "options", "error", "said"),
        [
            (
                "model.onnx",
                {},
                InvalidInput,
                "model.onnx does not begin as a model in the format onnx does\n"
                "  hint: it looks like pickle",
            ),
            (
                "model.h5",
                {},
                InvalidInput,
                "expected a file named .pickle, .pkl, .joblib, .lgb, .txt, .json, .ubj or .onnx, "
                "got 'model.h5'",
            ),
            ("gone.pkl", {}, InvalidInput, "cannot be read: No such file or directory"),
            ("model.pkl", {"rows_of": "run/9"}, NotFound, "no run '9'"),
            ("model.pkl", {"rows_of": "x"}, InvalidInput, "expected run/NUMBER, got 'x'"),
            ("model.pkl", {"actor": "zoe"}, NotFound, "nobody named 'zoe'"),
        ],
    )
    def test_what_cannot_be_brought_leaves_no_trace(
        self, own: Project, name: str, options: Any, error: type[Exception], said: str
    ) -> None:
        for file in ("model.pkl", "model.onnx"):
            (own.folder / file).write_bytes(pickle.dumps(fitted()))
        before = actions(own)
        given = {"rows_of": "run/1", "actor": ANN, **options}

        with pytest.raises(error) as caught:
            bring_model(own, "lab", own.folder / name, **given)

        assert said in str(caught.value)
        assert actions(own) == before
        with own.database.read() as connection:
            assert rows.count(connection, Run) == 1

    def test_a_run_without_rows_lends_none(self, own: Project) -> None:
        run = begun(own)

        with pytest.raises(ConfigurationError) as caught:
            self.brought(own, fitted(), rows_of=run.ref)

        assert str(caught.value) == (
            "run/2 has no step 'training', whose rows could judge run/3\n  hint: its steps: none"
        )
        with own.database.read() as connection:
            assert rows.count(connection, Run) == 2

    @pytest.mark.parametrize(
        ("ref", "error", "said"),
        [
            ("blake3:" + "0" * 64, NotFound, "nothing is stored at blake3:" + "0" * 64),
            ("blake3:x", NotFound, "nothing is stored at blake3:x"),
            ("sha256:00", InvalidInput, "expected blake3:DIGEST or MODEL/NUMBER, got 'sha256:00'"),
            ("lab/1", NotFound, "no model version 'lab/1'"),
        ],
    )
    def test_nobody_answers_for_what_is_not_there(
        self, own: Project, ref: str, error: type[Exception], said: str
    ) -> None:
        with pytest.raises(error) as caught:
            trust(own, ref, why="I know it", actor=ANN)

        assert said in str(caught.value)
        assert trusted(own) == []
