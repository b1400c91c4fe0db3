"""A model is compiled only if the compiled form gives the estimator's answers."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
)
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    PolynomialFeatures,
    SplineTransformer,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier

from cd4ml.errors import InvalidInput, Refused
from cd4ml.models.estimator import dump, score_frame
from cd4ml.models.frames import to_rows
from cd4ml.models.manifest import COMPILED, PROBES, Manifest, Probes
from cd4ml.models.native import NativeScorer
from cd4ml.models.package import package
from cd4ml.models.parity import probes
from cd4ml.models.runtime import load
from cd4ml.models.violations import violations_of
from cd4ml.records.contract import Field
from cd4ml.store.blobs import Blobs, open_blobs
from tests.models.builders import (
    CONTRACT,
    ROW,
    Packaged,
    bitset_boosted,
    boosted,
    fit,
    flights,
    logistic,
    packaged,
    unnamed,
)

HERE = Path(__file__).parent
IMPUTED = make_pipeline(SimpleImputer(), StandardScaler())


def manifest_of(model: Packaged) -> Manifest:
    return model.blobs.get_record(model.artifact, Manifest)


@pytest.mark.parametrize("build", [boosted, logistic])
def test_a_faithful_compiled_model_is_used(build: Any, tmp_path: Path) -> None:
    estimator = build()
    model = packaged(tmp_path, estimator)
    manifest = manifest_of(model)

    assert manifest.kind == "onnx"
    assert manifest.parity.refusal == ""
    assert manifest.parity.max_difference is not None
    assert manifest.parity.max_difference < 1e-5
    assert manifest.parity.n_flips == 0
    assert manifest.parity.n_rows == 400 + manifest.parity.n_probes
    assert manifest.parity.n_probes > 50
    np.testing.assert_allclose(
        model.load().score(to_rows(CONTRACT, flights())),
        score_frame(estimator, flights()),
        atol=1e-5,
    )


def test_a_silently_wrong_classifier_is_refused(tmp_path: Path) -> None:
    estimator = bitset_boosted()
    model = packaged(tmp_path, estimator)
    manifest = manifest_of(model)

    assert manifest.kind == "treelite"
    assert COMPILED not in manifest.files
    assert set(manifest.refused) == {"ONNX", "ONNX in double precision"}
    assert manifest.refused["ONNX"].startswith("answers differ by up to 0.")
    assert manifest.refused["ONNX"].endswith(" of 478 labels flip")
    np.testing.assert_allclose(
        model.load().score(to_rows(CONTRACT, flights())),
        score_frame(estimator, flights()),
        rtol=1e-12,
    )


def test_a_silently_wrong_regressor_is_refused(tmp_path: Path) -> None:
    estimator = fit(HistGradientBoostingRegressor(loss="poisson", max_iter=10), target="hour")
    manifest = manifest_of(packaged(tmp_path, estimator))

    assert manifest.kind == "treelite"
    assert manifest.refused["ONNX"].startswith("answers differ by up to")
    assert manifest.parity.max_difference is not None
    assert manifest.parity.max_difference < 1e-12


def test_trees_behind_a_scaler_are_refused_when_rounding_crosses_a_threshold(
    tmp_path: Path,
) -> None:
    forest = RandomForestClassifier(20, random_state=0)
    manifest = manifest_of(packaged(tmp_path, fit(forest, numbers=IMPUTED)))

    assert manifest.kind == "treelite"
    assert "answers differ by up to" in manifest.refused["ONNX"]
    assert manifest.parity.max_difference == 0


RARE = OneHotEncoder(min_frequency=20, handle_unknown="infrequent_if_exist", sparse_output=False)


@pytest.mark.parametrize(
    ("estimator", "texts", "kinds"),
    [
        (DecisionTreeClassifier(max_depth=8, random_state=0), None, {"onnx", "native"}),
        (BaggingClassifier(n_estimators=5, random_state=0), None, {"onnx", "native"}),
        (GradientBoostingClassifier(n_estimators=20, random_state=0), None, {"onnx", "treelite"}),
        (ExtraTreesClassifier(10, random_state=0), None, {"onnx", "treelite"}),
        (LogisticRegression(), RARE, {"native"}),
        (
            VotingClassifier(
                [("a", LogisticRegression()), ("b", DecisionTreeClassifier(max_depth=3))],
                voting="soft",
            ),
            None,
            {"onnx", "native"},
        ),
    ],
    ids=["tree", "bagging", "boosting", "extra trees", "rare categories", "voting"],
)
def test_whatever_serves_gives_the_estimators_answers(
    estimator: Any, texts: Any, kinds: set[str], tmp_path: Path
) -> None:
    """Scaled inputs cross thresholds when they are rounded, and some conversions fail when run."""
    fitted = fit(estimator, texts=texts, numbers=IMPUTED)
    model = packaged(tmp_path, fitted)
    manifest = manifest_of(model)

    assert manifest.kind in kinds
    rows = probes(CONTRACT, to_rows(CONTRACT, flights()))
    expected = NativeScorer(fitted, CONTRACT).score([tuple(row.values()) for row in rows])
    np.testing.assert_allclose(model.load().score(rows), expected, atol=1e-5)
    if manifest.kind != "native":
        assert manifest.estimator not in manifest.served


@pytest.mark.parametrize(
    ("estimator", "numbers"),
    [
        (HistGradientBoostingRegressor(loss="gamma", max_iter=10), "passthrough"),
        (HistGradientBoostingRegressor(loss="quantile", quantile=0.9, max_iter=10), "passthrough"),
        (RandomForestRegressor(10, random_state=0), IMPUTED),
        (TransformedTargetRegressor(Ridge(), func=np.log, inverse_func=np.exp), IMPUTED),
        (PoissonRegressor(), IMPUTED),
        (Ridge(), make_pipeline(SimpleImputer(), SplineTransformer())),
        (Ridge(), make_pipeline(SimpleImputer(), PolynomialFeatures())),
    ],
    ids=["gamma", "quantile", "forest", "logarithm", "poisson", "splines", "polynomials"],
)
def test_whatever_serves_gives_the_regressors_answers(
    estimator: Any, numbers: Any, tmp_path: Path
) -> None:
    """Inverse links are left out, targets are not turned back, thresholds are crossed."""
    fitted = fit(estimator, numbers=numbers, target="hour")
    model = packaged(tmp_path, fitted)

    rows = probes(CONTRACT, to_rows(CONTRACT, flights()))
    expected = NativeScorer(fitted, CONTRACT).score([tuple(row.values()) for row in rows])
    np.testing.assert_allclose(model.load().score(rows), expected, rtol=1e-5, atol=1e-5)


def test_trees_that_ask_whether_a_value_is_missing_are_packaged(tmp_path: Path) -> None:
    """scikit-learn writes that as a threshold of infinity, whose neighbour skl2onnx looked for in vain."""
    fitted = fit(RandomForestClassifier(10, random_state=0))
    asks = [np.isinf(tree.tree_.threshold).any() for tree in fitted[-1].estimators_]

    model = packaged(tmp_path, fitted)

    assert any(asks)
    rows = probes(CONTRACT, to_rows(CONTRACT, flights()))
    expected = NativeScorer(fitted, CONTRACT).score([tuple(row.values()) for row in rows])
    np.testing.assert_allclose(model.load().score(rows), expected, atol=1e-5)


def test_a_null_that_stands_for_a_default_is_packaged_as_the_default(tmp_path: Path) -> None:
    """The rows that judge a model have such nulls; what it would make of null itself is never asked."""
    fields = [
        msgspec.structs.replace(field, on_null="default", default=70.0)
        if field.name == "temp"
        else field
        for field in CONTRACT.fields
    ]
    contract = msgspec.structs.replace(CONTRACT, fields=tuple(fields))

    model = packaged(tmp_path, boosted(), contract).load()

    blank, warm = ({**ROW, "temp": temp} for temp in (None, 70.0))
    assert model.score([blank]) == model.score([warm])
    assert model.score([blank]) != packaged(tmp_path, boosted()).load().score([blank])


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_a_forgotten_inverse_link_is_refused(loss: str, tmp_path: Path) -> None:
    """Every one of its answers is the logarithm of the right one."""
    regressor = HistGradientBoostingRegressor(loss=loss, max_iter=10)
    refused = manifest_of(packaged(tmp_path, fit(regressor, target="hour"))).refused

    assert refused["ONNX"].startswith("answers differ by up to 0.")
    assert float(refused["ONNX"].split()[5].rstrip(",")) > 0.5


def test_a_threshold_of_ones_own_is_not_lost(tmp_path: Path) -> None:
    model = packaged(
        tmp_path,
        fit(FixedThresholdClassifier(LogisticRegression(), threshold=0.2), numbers=IMPUTED),
    )

    assert manifest_of(model).kind == "native"


class Centred(LogisticRegression):  # type: ignore[misc]
    """Probabilities from which the mean of their batch is taken: what no row alone can have."""

    def predict_proba(self, X: Any) -> Any:
        shares = super().predict_proba(X)[:, 1]
        moved = np.clip(shares - shares.mean() + 0.5, 0, 1)
        return np.column_stack([1 - moved, moved])


class Dicing(LogisticRegression):  # type: ignore[misc]
    """Probabilities with a little chance in them."""

    def predict_proba(self, X: Any) -> Any:
        noise = np.random.default_rng().uniform(0, 0.01, len(X))
        return np.clip(super().predict_proba(X) + np.column_stack([-noise, noise]), 0, 1)


@pytest.mark.parametrize("kind", [Centred, Dicing])
def test_an_answer_that_does_not_come_from_its_row_alone_is_refused(
    kind: type, tmp_path: Path
) -> None:
    message = refused(open_blobs(str(tmp_path)), fit(kind(), numbers=IMPUTED))

    assert message.startswith(
        "the estimator's answer to a row depends on the rows beside it, or on chance: it differs by"
    )
    assert message.endswith(
        "hint: answer each row from its own values: no means of the batch, no random numbers"
    )


def test_a_faithful_regressor_is_used(tmp_path: Path) -> None:
    manifest = manifest_of(packaged(tmp_path, fit(Ridge(), numbers=IMPUTED, target="hour")))

    assert manifest.kind == "onnx"


def halved(x: Any) -> Any:
    """A function that no converter knows."""
    return x / 2


def test_what_does_not_compile_is_served_as_it_is(tmp_path: Path) -> None:
    numbers = make_pipeline(SimpleImputer(), FunctionTransformer(halved))
    manifest = manifest_of(packaged(tmp_path, fit(LogisticRegression(), numbers=numbers)))

    assert manifest.kind == "native"
    assert list(manifest.refused) == ["ONNX", "ONNX in double precision", "treelite"]
    assert manifest.refused["treelite"] == (
        "it does not compile: InvalidInput: FunctionTransformer cannot be written down as an "
        "encoding, expected encoders, imputers, scalers and what passes through"
    )
    assert manifest.parity.max_difference is None
    assert manifest.parity.refusal.startswith("it does not compile: ")


def test_a_form_that_is_tried_in_vain_says_so_in_the_manifest_only(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """ONNX Runtime writes to the process's own stderr, in colours, what it raises as well."""
    model = packaged(tmp_path, fit(LogisticRegression(), texts=RARE, numbers=IMPUTED))

    assert "ONNX" in manifest_of(model).refused
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        LinearRegression(),
        HistGradientBoostingClassifier(max_iter=10),
        RandomForestRegressor(5, random_state=0),
    ],
)
def test_an_estimator_without_a_pipeline_is_compiled(estimator: Any, tmp_path: Path) -> None:
    frame = flights().select("hour", "wind")
    fitted = clone(estimator).fit(frame, flights()["late"])
    fields = tuple(field for field in CONTRACT.fields if field.name in frame.columns)
    blobs = open_blobs(str(tmp_path))

    artifact = package(
        blobs,
        estimator=blobs.put(dump(fitted)),
        contract=msgspec.structs.replace(CONTRACT, fields=fields, output=Field("late", "number")),
        sample=frame,
        is_trusted=lambda _: True,
    )

    assert blobs.get_record(artifact, Manifest).kind == "onnx"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("carrier name", "wind (mph)"),
        ("carrier-of", "wind.speed"),
        ("2nd carrier", "carrier \U0001f642"),
        ("a b", "a_b"),
        ("a_b", "a b"),
        ("a b", "a_b0"),
    ],
)
def test_a_column_may_have_any_name(text: str, number: str, tmp_path: Path) -> None:
    """skl2onnx calls the inputs of a graph by identifiers, requests by the names of the columns."""
    frame = flights().select(pl.col("carrier").alias(text), pl.col("wind").alias(number))
    encoder = ColumnTransformer([("texts", OneHotEncoder(), [text])], remainder="passthrough")
    fitted = make_pipeline(encoder, LogisticRegression()).fit(frame, flights()["late"].to_numpy())
    fields = (
        Field(text, "string", categories=("AA", "B6", "UA")),
        Field(number, "number", minimum=0),
    )
    blobs = open_blobs(str(tmp_path))

    artifact = package(
        blobs,
        estimator=blobs.put(dump(fitted)),
        contract=msgspec.structs.replace(CONTRACT, fields=fields),
        sample=frame,
        is_trusted=lambda _: True,
    )

    assert blobs.get_record(artifact, Manifest).kind == "onnx"
    answers = load(blobs, artifact, is_trusted=lambda _: False).score(frame.to_dicts())
    np.testing.assert_allclose(answers, fitted.predict_proba(frame)[:, 1], atol=1e-5)


def test_the_word_none_is_not_taken_for_a_missing_category(tmp_path: Path) -> None:
    estimator = boosted()
    model = packaged(tmp_path, estimator)
    rows = to_rows(CONTRACT, flights().head(20).with_columns(dest=pl.lit("None")))
    nulls = [row | {"dest": None} for row in rows]

    assert manifest_of(model).kind == "onnx"
    assert model.load().score(rows) != model.load().score(nulls)
    np.testing.assert_allclose(
        model.load().score(rows),
        score_frame(estimator, flights().head(20).with_columns(dest=pl.lit("None"))),
        atol=1e-5,
    )


def test_a_field_that_the_estimator_does_not_use_may_be_a_time(tmp_path: Path) -> None:
    contract = msgspec.structs.replace(
        CONTRACT, fields=(*CONTRACT.fields, Field("leaves_at", "datetime"))
    )
    sample = flights().with_columns(leaves_at=pl.datetime(2013, 1, 1, time_zone="UTC"))
    blobs = open_blobs(str(tmp_path))
    address = blobs.put(dump(boosted()))

    artifact = package(
        blobs, estimator=address, contract=contract, sample=sample, is_trusted=lambda _: True
    )

    assert blobs.get_record(artifact, Manifest).kind == "onnx"


PACKAGE = """
import pickle, sys
from pathlib import Path
from tests.models.builders import packaged
print(packaged(Path(sys.argv[1]), pickle.loads(Path(sys.argv[2]).read_bytes())).artifact)
"""


@pytest.mark.slow
@pytest.mark.parametrize("build", [boosted, logistic])
def test_the_same_inputs_give_the_same_address_in_every_process(build: Any, tmp_path: Path) -> None:
    """Texts have another hash in each process, and so sets of them another order."""
    fitted = tmp_path / "estimator"
    fitted.write_bytes(dump(build()))
    addresses = {
        subprocess.run(
            [sys.executable, "-c", PACKAGE, str(tmp_path / seed), str(fitted)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(HERE.parents[1])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "3", "6")  # with these, sets that matter have had different orders
    }

    assert len(addresses) == 1


def test_probes_cover_the_edges_and_keep_the_contract() -> None:
    edges = probes(CONTRACT, to_rows(CONTRACT, flights()))

    assert not any(violations_of(CONTRACT.fields, row) for row in edges)
    assert {row["carrier"] for row in edges} == {"AA", "B6", "UA"}
    assert {row["dest"] for row in edges} >= {None, "None", "", "cd4ml: never seen"}
    assert {0, 23} <= {row["hour"] for row in edges}
    assert {-50, 130, None} <= {row["temp"] for row in edges}
    assert max(row["wind"] for row in edges) > flights()["wind"].max()


def test_some_rows_and_answers_stay_with_the_model(tmp_path: Path) -> None:
    model = packaged(tmp_path, boosted())
    kept = model.blobs.get_record(manifest_of(model).files[PROBES], Probes)

    assert 100 < len(kept.rows) == len(kept.scores) <= 200


def test_an_estimator_of_unknown_origin_is_not_even_loaded(tmp_path: Path) -> None:
    blobs = open_blobs(str(tmp_path))
    address = blobs.put(b"not a pickle at all")

    with pytest.raises(Refused) as refusal:
        package(
            blobs,
            estimator=address,
            contract=CONTRACT,
            sample=flights(),
            is_trusted=lambda _: False,
        )

    assert str(refusal.value) == (
        f"the estimator at {address} was not made by a run of this project\n"
        "  hint: loading it could run any code; who knows it: "
        f"cd4ml model trust {address} --why ..."
    )


def refused(blobs: Blobs, estimator: Any, *, sample: pl.DataFrame | None = None) -> str:
    with pytest.raises(InvalidInput) as refusal:
        package(
            blobs,
            estimator=blobs.put(dump(estimator)),
            contract=CONTRACT,
            sample=flights() if sample is None else sample,
            is_trusted=lambda _: True,
        )
    return str(refusal.value)


def test_a_sample_that_breaks_the_contract_is_refused(tmp_path: Path) -> None:
    message = refused(open_blobs(str(tmp_path)), boosted(), sample=flights().with_columns(hour=99))

    assert message.startswith("400 rows do not keep the contract 'delay'\n  - hour: expected")


def test_a_model_without_a_sample_is_refused(tmp_path: Path) -> None:
    message = refused(open_blobs(str(tmp_path)), boosted(), sample=flights().head(0))

    assert message.startswith("a model cannot be packaged without a sample")


def test_an_estimator_that_fails_where_the_contract_allows_is_refused(tmp_path: Path) -> None:
    estimator = fit(LogisticRegression(), texts=OneHotEncoder(sparse_output=False), numbers=IMPUTED)
    message = refused(open_blobs(str(tmp_path)), estimator)

    assert message.startswith("the estimator fails on a row that its contract allows: {")
    assert "cd4ml: never seen" in message
    assert message.endswith("hint: let it handle the row, or narrow the contract")


def test_a_classifier_without_probabilities_is_refused(tmp_path: Path) -> None:
    message = refused(open_blobs(str(tmp_path)), fit(RidgeClassifier(), numbers=IMPUTED))

    assert message == (
        "the classifier RidgeClassifier gives no probabilities\n"
        "  hint: wrap it in sklearn.calibration.CalibratedClassifierCV"
    )


def test_a_classifier_of_many_classes_is_refused(tmp_path: Path) -> None:
    message = refused(
        open_blobs(str(tmp_path)), fit(LogisticRegression(), numbers=IMPUTED, target="hour")
    )

    assert message.startswith("expected a classifier of two classes, got one of 18: ")


def test_an_estimator_of_unnamed_columns_needs_as_many_fields(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refused:
        packaged(tmp_path, unnamed())

    assert str(refused.value) == (
        "the estimator was fitted on 2 columns without names, and requests have 5 fields: carrier,"
        " dest, hour, temp, wind\n"
        "  hint: fit it on a frame with named columns, or declare these alone: [model] contract"
    )
