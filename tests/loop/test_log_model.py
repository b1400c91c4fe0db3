"""A model is logged with its bytes and a few rows; nothing answers from it before it is packaged."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from cd4ml.errors import AlreadyExists, ConfigurationError, InvalidInput, NotFound, Refused
from cd4ml.loop import Project
from cd4ml.loop.candidate import LISTED, logged_models, runtime_of
from cd4ml.loop.evaluate import evaluate
from cd4ml.loop.graduate import graduate, package_version
from cd4ml.loop.log_model import LoggedModel, log_model
from cd4ml.loop.promote import request
from cd4ml.models.files import ModelFiles
from cd4ml.models.manifest import Manifest
from cd4ml.models.trust import trusted_in
from cd4ml.records.contract import Contract
from cd4ml.records.run import Run
from cd4ml.records.run_artifact import RunArtifact
from cd4ml.store import rows
from cd4ml.store.tracking.runs import end_run, start_run
from tests.loop.test_evaluate import change
from tests.loop.world import ANN, BEGIN, HOUR, actions, entries, flights

NUMBERS = ["distance", "wind"]


def fitted(table: pl.DataFrame | None = None, **parameters: Any) -> Pipeline:
    known = flights(400, start=BEGIN - 400 * HOUR) if table is None else table
    model = make_pipeline(StandardScaler(), LogisticRegression(**parameters))
    return model.fit(known.select(NUMBERS), known["late"].to_numpy())


def begun(project: Project) -> Run:
    """A run that a notebook has begun."""
    with project.database.write() as connection:
        return start_run(connection, experiment="by hand", at=project.clock.now(), actor=ANN)


def ended(project: Project, run: Run) -> None:
    with project.database.write() as connection:
        end_run(connection, run.number, "finished", at=project.clock.now(), actor=ANN)


def logged(project: Project, run: Run, model: Any = None, **options: Any) -> LoggedModel:
    given = fitted() if model is None else model
    return log_model(project, run.number, given, **{"name": "delay", "actor": ANN, **options})


@pytest.fixture
def undeclared(project: Project) -> Project:
    """The project without a contract for its requests: what is logged says what they are."""
    return change(project, 'contract = "contracts:Request"\nslices = ["carrier"]\n', "")


def halves() -> dict[str, pl.DataFrame]:
    known = flights(600, start=BEGIN - 600 * HOUR).select(*NUMBERS, "event_at", "late")
    return {"training": known.head(400), "holdout": known.tail(200)}


def test_a_logged_model_is_kept_with_its_run(project: Project) -> None:
    run = begun(project)
    sample = flights(5, start=BEGIN).select(NUMBERS)

    model = logged(project, run, sample=sample)

    assert (model.run, model.name, model.version) == (1, "delay", None)
    files = project.blobs.get_record(model.address, ModelFiles)
    assert (files.form, files.main, files.estimator) == (
        "pickle",
        "estimator.pickle",
        model.estimator,
    )
    assert project.blobs.get_record(files.contract, Contract).names == ("distance", "wind")
    assert set(files.libraries) > {"scikit-learn", "numpy"}
    with project.database.read() as connection:
        artifacts = rows.find(connection, RunArtifact, run=1)
    assert [(each.path, each.address) for each in artifacts] == [
        ("delay/cd4ml-model.json", model.address),
        ("delay/estimator.pickle", model.estimator),
    ]
    assert all(each.n_bytes == len(project.blobs.get(each.address)) for each in artifacts)
    last = entries(project)[-1]
    assert (last.action, last.subject, last.actor) == ("model.logged", "run/1", ANN)


def test_its_environment_is_the_lock_and_nothing_is_guessed(project: Project) -> None:
    model = logged(project, begun(project))

    lock = project.blobs.get_record(model.address, ModelFiles).lock

    text = project.blobs.get(lock).decode()
    assert f"numpy=={np.__version__}" in text
    assert "scikit-learn==" in text


def test_a_run_that_has_a_lock_gives_its_own(project: Project) -> None:
    address = project.blobs.put(b"numpy==1.0\n")
    run = begun(project)
    with project.database.write() as connection:
        rows.replace(connection, Run(**{**as_dict(run), "lock": address}))

    model = logged(project, run)

    assert project.blobs.get_record(model.address, ModelFiles).lock == address


def as_dict(run: Run) -> dict[str, Any]:
    return {name: getattr(run, name) for name in run.__struct_fields__}


def test_it_was_made_by_a_run_of_this_project_so_it_may_be_loaded(project: Project) -> None:
    model = logged(project, begun(project))

    assert trusted_in(project.database)(model.estimator)


def test_logging_the_same_again_is_no_other_model(project: Project) -> None:
    run = begun(project)
    model = fitted()

    assert logged(project, run, model, register="delay") == logged(
        project, run, model, register="delay"
    )
    assert actions(project).count("model_version.added") == 1


def test_another_model_needs_another_name(project: Project) -> None:
    run = begun(project)
    logged(project, run, fitted())

    with pytest.raises(AlreadyExists) as caught:
        logged(project, run, fitted(C=0.01))

    assert str(caught.value) == (
        "run/1 has another 'delay' already\n  hint: call this one something else: name=..."
    )
    assert logged(project, run, fitted(C=0.01), name="weaker").name == "weaker"


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        (object(), {}, "expected a fitted estimator, got one of type object"),
        (
            None,
            {"name": "a/b"},
            "expected a name of 1 to 100 letters, digits, '.', '_' and '-', got 'a/b'",
        ),
        (
            None,
            {"sample": pl.DataFrame({"wind": []})},
            "expected at least one row of requests as a sample, got none",
        ),
        (
            None,
            {"register": "a/b"},
            "expected a model's name without '/', ':' and '@', got 'a/b'",
        ),
    ],
)
def test_what_cannot_be_logged_leaves_no_trace(
    project: Project, model: Any, options: dict[str, Any], said: str
) -> None:
    run = begun(project)
    before = actions(project)

    with pytest.raises(InvalidInput) as caught:
        logged(project, run, model, **options)

    assert caught.value.message == said
    assert actions(project) == before
    with project.database.read() as connection:
        assert rows.find(connection, RunArtifact) == []


def test_a_run_that_is_not_there_has_no_model(project: Project) -> None:
    with pytest.raises(NotFound, match="no run '7'"):
        log_model(project, 7, fitted(), actor=ANN)


def test_one_run_has_one_set_of_rows(project: Project) -> None:
    run, tables = begun(project), halves()
    logged(project, run, **tables)

    with pytest.raises(AlreadyExists) as caught:
        logged(project, run, fitted(C=0.1), name="b", training=tables["training"].head(5))

    assert str(caught.value) == (
        "run/1 has another 'training' already\n"
        "  hint: all models of a run have the same training and holdout rows"
    )


def test_a_file_of_somebody_else_is_no_list_of_files(project: Project) -> None:
    run = begun(project)
    address = project.blobs.put(b'{"learner": {}}')
    with project.database.write() as connection:
        at = project.clock.now()
        for path, where in (("a", address), ("b", "blake3:" + "0" * 64)):
            artifact = RunArtifact(
                run=1, path=f"{path}/{LISTED}", address=where, n_bytes=1, logged_at=at
            )
            rows.insert(connection, artifact)
    logged(project, run, name="own")

    assert list(logged_models(project, 1)) == ["own"]


class TestFromNotebookToProduction:
    def test_a_registered_model_answers_nobody_before_it_is_packaged(
        self, undeclared: Project
    ) -> None:
        run = begun(undeclared)
        version = logged(undeclared, run, register="delay").version
        assert version is not None

        with pytest.raises(Refused) as caught:
            runtime_of(undeclared, version)
        assert str(caught.value) == (
            "delay/1 is not packaged yet, so it cannot answer\n  hint: cd4ml model package delay/1"
        )
        with pytest.raises(Refused) as caught:
            request(undeclared, "delay/1", to="staging", actor=ANN)
        assert str(caught.value) == (
            "delay/1 was not released: it is not packaged yet, so nobody could answer\n"
            "  hint: cd4ml model package delay/1"
        )

    def test_packaging_compares_it_on_the_sample(self, undeclared: Project) -> None:
        sample = flights(50, start=BEGIN).select(NUMBERS)
        logged(undeclared, begun(undeclared), sample=sample, register="delay")

        version = package_version(undeclared, "delay/1", actor=ANN)

        manifest = undeclared.blobs.get_record(version.artifact, Manifest)
        assert manifest.kind == "onnx"
        assert manifest.parity.n_rows > 50
        answers = runtime_of(undeclared, version).score(sample.to_dicts())
        known = fitted().predict_proba(sample)[:, 1]
        np.testing.assert_allclose(answers, known, atol=1e-5)
        assert package_version(undeclared, "delay/1", actor=ANN) == version
        assert actions(undeclared)[-1] == "model_version.packaged"

    def test_without_rows_it_cannot_be_packaged(self, undeclared: Project) -> None:
        run = begun(undeclared)
        logged(undeclared, run, register="delay")
        ended(undeclared, run)

        with pytest.raises(ConfigurationError) as caught:
            package_version(undeclared, "delay/1", actor=ANN)

        assert str(caught.value) == (
            "run/1 has neither rows that the model learned from nor such as judge it\n"
            "  hint: cd4ml graduate run/1 --rows run/N lends it those of another run"
        )

    def test_what_the_gates_let_in_is_the_version_that_was_registered(
        self, undeclared: Project
    ) -> None:
        run = begun(undeclared)
        tables = halves()
        model = fitted(tables["training"])
        logged(undeclared, run, model, register="delay", **tables)
        ended(undeclared, run)

        judgement = evaluate(undeclared, "delay/1", actor=ANN)

        assert judgement.verdict.outcome == "pass"
        assert judgement.version is not None
        assert judgement.version.ref == "delay/1"
        assert judgement.version.artifact == judgement.verdict.artifact
        released = request(undeclared, "delay/1", to="staging", actor=ANN)
        assert released.state == "released"

    def test_a_model_that_fails_is_a_version_that_cannot_be_released(
        self, undeclared: Project
    ) -> None:
        run = begun(undeclared)
        tables = halves()
        upside_down = fitted(tables["training"].with_columns(late=1 - pl.col("late")))
        logged(undeclared, run, upside_down, register="delay", **tables)
        ended(undeclared, run)

        judgement = evaluate(undeclared, "delay/1", actor=ANN)

        assert (judgement.verdict.outcome, judgement.version) == ("fail", None)
        with pytest.raises(Refused, match="delay/1 was not released: verdict/1 is fail"):
            request(undeclared, "delay/1", to="staging", actor=ANN)

    def test_of_several_models_of_a_run_one_is_named(self, undeclared: Project) -> None:
        run = begun(undeclared)
        sample = flights(50, start=BEGIN).select(NUMBERS)
        known = flights(400, start=BEGIN - 400 * HOUR)
        forest = RandomForestClassifier(5, random_state=0)
        forest.fit(known.select(NUMBERS), known["late"].to_numpy())
        logged(undeclared, run, name="line", sample=sample)
        logged(undeclared, run, forest, name="forest", sample=sample)

        with pytest.raises(Exception, match="run/1 has several models: forest, line"):
            graduate(undeclared, "run/1", actor=ANN)
        version = graduate(undeclared, "run/1", step="forest", model="delay", actor=ANN)

        assert version.ref == "delay/1"
        assert runtime_of(undeclared, version).kind in ("onnx", "treelite", "native")
        assert graduate(undeclared, "run/1", step="forest", model="delay", actor=ANN) == version
