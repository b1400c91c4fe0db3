import json
import pickle
from fractions import Fraction

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from cd4ml.engines.mlflow.mlmodel import model_file, read_model_file
from cd4ml.engines.mlflow.pickled import modules_of
from cd4ml.errors import InvalidInput
from cd4ml.records.contract import Contract, Field

WRITTEN = """
flavors:
  python_function: {loader_module: mlflow.sklearn, python_version: 3.11.7}
  sklearn: {pickled_model: model.pkl, serialization_format: cloudpickle, sklearn_version: 1.9.1}
mlflow_version: 3.17.2
model_id: m-9c9d
run_id: bf63
saved_input_example_info: {artifact_path: input_example.json, type: dataframe}
signature:
  inputs: '[{"type": "double", "name": "a", "required": true}, {"type": "long",
    "name": "b", "required": false}, {"type": "string", "name": "c"}]'
  outputs: '[{"type": "long"}]'
  params: null
unheard_of: {by: us}
"""


def test_a_model_file_of_mlflow_is_read() -> None:
    told = read_model_file(WRITTEN, "MLmodel")

    assert (told.estimator, told.example, told.model_id) == (
        "model.pkl",
        "input_example.json",
        "m-9c9d",
    )
    contract = told.contract("delay")
    assert contract == Contract(
        name="delay",
        fields=(
            Field("a", "number"),
            Field("b", "integer", nullable=True),
            Field("c", "string"),
        ),
    )


def test_what_is_no_pickle_is_no_estimator() -> None:
    skops = WRITTEN.replace("cloudpickle", "skops")

    assert read_model_file(skops, "MLmodel").estimator == ""
    assert read_model_file("flavors: {}", "MLmodel").contract("delay") is None


def test_columns_without_names_make_no_contract() -> None:
    tensor = '{flavors: {}, signature: {inputs: \'[{"type": "tensor"}]\'}}'

    assert read_model_file(tensor, "MLmodel").contract("delay") is None


def test_a_column_that_no_request_carries_is_refused() -> None:
    array = '{flavors: {}, signature: {inputs: \'[{"type": "array", "name": "a"}]\'}}'

    with pytest.raises(InvalidInput) as refusal:
        read_model_file(array, "MLmodel").contract("delay")
    assert refusal.value.message == "the column 'a' has the type 'array'"


@pytest.mark.parametrize("text", ["- a", "flavors: 3", "{", b"\xff\xfe\x00"])
def test_what_is_no_model_file_is_refused(text: str | bytes) -> None:
    with pytest.raises(InvalidInput, match=r"^the file MLmodel is no MLmodel file: "):
        read_model_file(text, "the file MLmodel")


def test_no_object_is_made_of_a_model_file() -> None:
    with pytest.raises(InvalidInput, match="could not determine a constructor"):
        read_model_file("!!python/object/apply:os.system ['true']", "MLmodel")


def test_a_written_model_file_reads_back() -> None:
    contract = Contract(
        name="delay",
        fields=(Field("a", "number", nullable=True), Field("b", "integer", nullable=True)),
    )
    files = model_file(
        contract,
        python="3.11.7",
        libraries={"scikit-learn": "1.9.1", "polars": "1.40"},
        facts={"cd4ml_version": "delay/3"},
        n_bytes=7,
        made_at="2026-11-26 00:00:00.000000",
        is_sklearn=True,
    )

    told = read_model_file(files["MLmodel"], "MLmodel")
    assert told.estimator == "model.pkl"
    read = told.contract("delay")
    # a missing integer is a float to pandas, so that MLflow's check lets it through
    assert read is not None
    assert [(field.name, field.type, field.nullable) for field in read.fields] == [
        ("a", "number", True),
        ("b", "number", True),
    ]
    assert files["requirements.txt"] == b"polars==1.40\nscikit-learn==1.9.1\n"
    assert json.loads(files["contract.json"])["name"] == "delay"
    compile(files["code/cd4ml_answers.py"], "cd4ml_answers.py", "exec")


def test_the_modules_of_a_pickle_are_known_without_loading_it() -> None:
    plain = make_pipeline(FunctionTransformer(), LogisticRegression())
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert modules_of(pickle.dumps(plain, protocol)) <= {"sklearn", "numpy", "copyreg"}
        assert modules_of(pickle.dumps([Fraction(1, 3), plain], protocol)) >= {
            "fractions",
            "sklearn",
        }
