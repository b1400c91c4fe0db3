"""A model that comes as an ONNX graph is served if its rows are answered one by one as together."""

import pickle
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import polars as pl
import pytest
from onnx import TensorProto as Kind
from onnx import helper, numpy_helper

from cd4ml.errors import InvalidInput
from cd4ml.models.estimator import dump, load
from cd4ml.models.frames import to_rows
from cd4ml.models.graph import Graph
from cd4ml.models.manifest import Manifest
from cd4ml.models.package import CannotAnswer
from cd4ml.models.parity import probes
from cd4ml.records.contract import Contract, Field
from tests.models.builders import CONTRACT, Packaged, flights, logistic, packaged

NUMBERS = Contract(
    name="delay",
    fields=(
        Field("hour", "integer", minimum=0, maximum=23),
        Field("temp", "number", nullable=True, minimum=-50, maximum=130),
        Field("wind", "number", minimum=0),
    ),
    output=Field("late", "number", minimum=0, maximum=1),
    classes=("0", "1"),
)
WEIGHTS = np.array([[0.2], [-0.01], [0.05]], np.float32)


def value(name: str, kind: int, *shape: Any) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def model(
    nodes: list[Any], inputs: list[Any], outputs: list[Any], *, opset: int = 17, ir: int = 8
) -> Any:
    weights = numpy_helper.from_array(WEIGHTS, "W")
    shift = numpy_helper.from_array(np.array([-4], np.float32), "b")
    none = numpy_helper.from_array(np.array(40, np.float32), "none")
    graph = helper.make_graph(nodes, "graph", inputs, outputs, [weights, shift, none])
    sets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=sets, ir_version=ir)


KNOWN = [  # missing temperatures are 40 degrees: NaN would spread through the product
    helper.make_node("IsNaN", ["X"], ["missing"]),
    helper.make_node("Where", ["missing", "none", "X"], ["known"]),
]


def linear(*ends: Any, rows: Any = "rows", kind: int = Kind.FLOAT, **options: Any) -> Any:
    """(rows, 3) -> a weighted sum, and what follows it, which ends as `p`."""
    nodes = [
        *KNOWN,
        helper.make_node("MatMul", ["known", "W"], ["sum"]),
        helper.make_node("Add", ["sum", "b"], ["z"]),
        *(ends or [helper.make_node("Sigmoid", ["z"], ["p"])]),
    ]
    return model(nodes, [value("X", kind, rows, 3)], [value("p", kind, rows, 1)], **options)


def expected(frame: pl.DataFrame) -> Any:
    x = frame.select("hour", "temp", "wind").fill_null(40).to_numpy()
    return 1 / (1 + np.exp(4 - x @ WEIGHTS[:, 0]))


def manifest_of(made: Packaged) -> Manifest:
    return made.blobs.get_record(made.artifact, Manifest)


def test_all_columns_at_once_are_taken_in_the_contracts_order(tmp_path: Path) -> None:
    made = packaged(tmp_path, linear(), NUMBERS)

    manifest, runtime = manifest_of(made), made.load()

    assert (manifest.kind, manifest.estimator_file) == ("onnx", "estimator.onnx")
    assert (manifest.parity.max_difference, manifest.refused) == (0, {})
    answered = runtime.score(to_rows(NUMBERS, flights()))
    np.testing.assert_allclose(answered, expected(flights()), atol=1e-6)
    frame = flights().select(reversed(flights().columns))
    np.testing.assert_array_equal(runtime.score_frame(frame), answered)


def test_another_number_of_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotAnswer) as refused:
        packaged(tmp_path, linear(), CONTRACT)

    assert str(refused.value) == (
        "the graph's input 'X' takes 3 columns in order, and the rows have 5: carrier, dest, hour, "
        "temp, wind\n"
        "  hint: declare these alone, in this order: [model] contract"
    )


def named(hours: int = Kind.INT64, *, shape: tuple[Any, ...] = ("rows", 1)) -> Any:
    """An input for each of carrier, hour and wind: late is who is B6, or has wind and hours."""
    nodes = [
        helper.make_node("Cast", ["hour"], ["h"], to=Kind.FLOAT),
        helper.make_node("Mul", ["h", "wind"], ["much"]),
        helper.make_node(
            "LabelEncoder",
            ["carrier"],
            ["c"],
            domain="ai.onnx.ml",
            keys_strings=["B6"],
            values_floats=[1.0],
            default_float=0.0,
        ),
        helper.make_node("Add", ["c", "much"], ["both"]),
        helper.make_node("Tanh", ["both"], ["p"]),
    ]
    inputs = [
        value("carrier", Kind.STRING, *shape),
        value("wind", Kind.FLOAT, *shape),
        value("hour", hours, *shape),
    ]
    made = model(nodes, inputs, [value("p", Kind.FLOAT, *shape)])
    made.opset_import.append(helper.make_opsetid("ai.onnx.ml", 2))
    return made


@pytest.mark.parametrize("shape", [("rows", 1), ("rows",)])
@pytest.mark.parametrize("hours", [Kind.INT64, Kind.INT32, Kind.DOUBLE, Kind.FLOAT])
def test_inputs_are_found_by_the_names_of_fields(
    hours: int, shape: tuple[Any, ...], tmp_path: Path
) -> None:
    made = packaged(tmp_path, named(hours, shape=shape))

    assert (manifest_of(made).kind, manifest_of(made).refused) == ("onnx", {})
    frame = flights().head(50)
    much = (frame["carrier"] == "B6").cast(pl.Float64) + frame["hour"] * frame["wind"]
    answered = made.load().score(to_rows(CONTRACT, frame))
    np.testing.assert_allclose(answered, np.tanh(much.to_numpy()), atol=1e-6)


def test_large_integers_keep_every_digit(tmp_path: Path) -> None:
    """2**53 - 1 is no number of single precision: it would be rounded on its way in."""
    nodes = [
        helper.make_node("Mod", ["hour", "two"], ["odd"]),
        helper.make_node("Cast", ["odd"], ["p"], to=Kind.FLOAT),
    ]
    graph = model(nodes, [value("hour", Kind.INT64, "n", 1)], [value("p", Kind.FLOAT, "n", 1)])
    graph.graph.initializer.append(numpy_helper.from_array(np.array(2), "two"))
    contract = Contract(name="delay", fields=(Field("hour", "integer"),))

    runtime = packaged(tmp_path, graph, contract).load()

    assert runtime.kind == "onnx"
    assert runtime.score([{"hour": 2**53 - 1}, {"hour": 2**53 - 2}, {"hour": 7}]) == [1, 0, 1]


def test_an_input_that_is_no_field_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotAnswer) as refused:
        packaged(tmp_path, named(), NUMBERS)

    assert refused.value.message == (
        "the graph's input 'carrier' is no column of the rows: hour, temp, wind"
    )


def test_null_is_refused_where_the_graph_has_no_word_for_it(tmp_path: Path) -> None:
    nodes = [helper.make_node("Cast", ["temp"], ["p"], to=Kind.FLOAT)]
    graph = model(nodes, [value("temp", Kind.INT64, "n", 1)], [value("p", Kind.FLOAT, "n", 1)])

    with pytest.raises(CannotAnswer) as refused:
        packaged(tmp_path, graph, NUMBERS)

    assert str(refused.value) == (
        "'temp' is null, and the graph's input 'temp' takes int64\n"
        "  hint: let it take float, where null is NaN, or allow no null"
    )


def test_texts_do_not_go_into_a_graph_of_numbers(tmp_path: Path) -> None:
    five = Contract(name="delay", fields=CONTRACT.fields[:1] + CONTRACT.fields[3:])

    with pytest.raises(CannotAnswer) as refused:
        packaged(tmp_path, linear(), five)

    assert refused.value.message == "the graph's input 'X' takes numbers, and 'carrier' is String"


def test_one_row_at_a_time_is_asked_one_by_one(tmp_path: Path) -> None:
    made = packaged(tmp_path, linear(rows=1), NUMBERS)

    assert manifest_of(made).kind == "native"
    assert manifest_of(made).refused == {
        "ONNX": "it does not compile: InvalidInput: the graph takes one row at a time"
    }
    answered = made.load().score(to_rows(NUMBERS, flights().head(9)))
    np.testing.assert_allclose(answered, expected(flights().head(9)), atol=1e-6)


def test_it_needs_nobodys_word(tmp_path: Path) -> None:
    from cd4ml.models.runtime import load as load_runtime

    made = packaged(tmp_path, linear(rows=1), NUMBERS)

    assert load_runtime(made.blobs, made.artifact, is_trusted=lambda _: False).kind == "native"


def test_what_scikit_learn_was_exported_to_is_as_good_as_itself(tmp_path: Path) -> None:
    from cd4ml.models.onnx import compile_estimator

    made = packaged(tmp_path, compile_estimator(logistic(), CONTRACT), CONTRACT)

    rows = to_rows(CONTRACT, flights())
    asked = [*probes(CONTRACT, rows), *rows]
    itself = packaged(tmp_path / "itself", logistic()).load()
    assert manifest_of(made).kind == "onnx"
    np.testing.assert_allclose(made.load().score(asked), itself.score(asked), atol=1e-6)


@pytest.mark.parametrize(
    ("ends", "message", "hint"),
    [
        (
            [helper.make_node("Identity", ["z"], ["p"])],
            "which is no probability",
            "these may be logits: end the graph with a Sigmoid",
        ),
        (
            [
                helper.make_node("Neg", ["z"], ["minus"]),
                helper.make_node("Concat", ["minus", "z"], ["p"], axis=1),
            ],
            "the two columns of the graph's output 'p' are no probabilities: ",
            "these may be logits: end the graph with a Softmax",
        ),
        (
            [helper.make_node("Concat", ["z", "z", "z"], ["p"], axis=1)],
            "expected a model of two classes, got one of 3",
            "an answer is one number: export a model for each class",
        ),
        (
            [
                helper.make_node("ReduceMean", ["z"], ["mean"], axes=[0]),
                helper.make_node("Sub", ["z", "mean"], ["centred"]),
                helper.make_node("Sigmoid", ["centred"], ["p"]),
            ],
            "the estimator's answer to a row depends on the rows beside it, or on chance: it",
            "answer each row from its own values: no means of the batch, no random numbers",
        ),
        (
            [helper.make_node("ReduceMax", ["z"], ["p"], axes=[0])],
            "the graph's output 'p' has 1 answers to ",
            "its first dimension has to be the rows",
        ),
    ],
    ids=["a logit", "two logits", "three classes", "normalised over the batch", "one for all"],
)
def test_what_is_no_answer_to_a_row_is_refused(
    ends: list[Any], message: str, hint: str, tmp_path: Path
) -> None:
    graph = linear(*ends)
    graph.graph.output[0].type.tensor_type.ClearField("shape")

    with pytest.raises(CannotAnswer) as refused:
        packaged(tmp_path, graph, NUMBERS)

    assert message in refused.value.message
    assert refused.value.hint == hint


def test_of_two_probabilities_the_second_one_answers(tmp_path: Path) -> None:
    ends = [
        helper.make_node("Neg", ["z"], ["minus"]),
        helper.make_node("Sigmoid", ["minus"], ["no"]),
        helper.make_node("Sigmoid", ["z"], ["yes"]),
        helper.make_node("Concat", ["no", "yes"], ["p"], axis=1),
    ]
    graph = linear(*ends)
    graph.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 2

    made = packaged(tmp_path, graph, NUMBERS)

    answered = made.load().score(to_rows(NUMBERS, flights()))
    np.testing.assert_allclose(answered, expected(flights()), atol=1e-6)


def test_a_value_that_is_no_probability_may_be_any(tmp_path: Path) -> None:
    contract = Contract(name="delay", fields=NUMBERS.fields)

    made = packaged(tmp_path, linear(helper.make_node("Identity", ["z"], ["p"])), contract)

    assert min(made.load().score(to_rows(contract, flights()))) < 0


ENDED = [helper.make_node("Sigmoid", ["X"], ["p"])]


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (
            linear(opset=99),
            r"onnxruntime [\d.]+ cannot load the ONNX graph, which was written for ai.onnx 99 "
            r"\(IR 8\): Opset 99 is under development",
        ),
        (
            linear(ir=99),
            r"onnxruntime [\d.]+ cannot load the ONNX graph, which was written for ai.onnx 17 "
            r"\(IR 99\): Unsupported model IR version: 99, max supported IR version: \d+$",
        ),
        (
            linear(rows=4),
            "^the graph takes exactly 4 rows at a time$",
        ),
        (
            model(ENDED, [value("X", Kind.FLOAT, "n", 3, 8)], [value("p", Kind.FLOAT, "n", 3, 8)]),
            "^the graph's input 'X' has 3 dimensions$",
        ),
        (
            model(
                [helper.make_node("ArgMax", ["X"], ["p"], axis=1)],
                [value("X", Kind.FLOAT, "n", 3)],
                [value("p", Kind.INT64, "n", 1)],
            ),
            r"^the graph's last output 'p' is a tensor\(int64\), expected numbers$",
        ),
        (
            model([helper.make_node("Identity", ["b"], ["p"])], [], [value("p", Kind.FLOAT, 1)]),
            "^the graph has no inputs, so it answers every row the same$",
        ),
        (b"\x08\xff what", "^these bytes are no ONNX graph: "),
        (b"", "cannot load the ONNX graph"),
    ],
    ids=["opset", "IR", "rows", "images", "labels", "constant", "junk", "nothing"],
)
def test_a_graph_that_cannot_answer_here_is_not_even_stored(graph: Any, message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        dump(graph)

    assert re.search(message, refused.value.message)


def test_a_classifier_exported_with_dictionaries_is_refused() -> None:
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    with pytest.raises(InvalidInput) as refused:
        dump(to_onnx(fitted, np.zeros((1, 1), np.float32)))

    assert str(refused.value) == (
        "the graph's last output 'output_probability' is a seq(map(int64,tensor(float))), expected "
        "numbers\n"
        "  hint: of labels nothing can be judged, and skl2onnx needs options={'zipmap': False}"
    )


def test_numbers_in_other_files_are_refused(tmp_path: Path) -> None:
    graph = linear()
    (weights,) = (each for each in graph.graph.initializer if each.name == "W")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="../../etc/passwd")

    with pytest.raises(InvalidInput) as refused:
        load(graph.SerializeToString())

    assert str(refused.value) == (
        "the ONNX graph keeps 'W' in another file\n  hint: export it whole: external_data=False"
    )


class Program:
    """What `torch.onnx.export` returns, as far as it is looked at: the graph is a property."""

    def __init__(self, graph: Any) -> None:
        self.model_proto = graph


def test_what_pytorch_exports_is_taken_as_the_graph_in_it() -> None:
    assert dump(Program(linear())) == dump(linear()) == dump(linear().SerializeToString())


def test_a_graph_goes_to_another_process_as_its_bytes() -> None:
    graph = load(dump(linear()))

    again = pickle.loads(pickle.dumps(graph))  # noqa: S301 - our own

    assert isinstance(again, Graph)
    frame = flights().select(NUMBERS.names)
    np.testing.assert_array_equal(again.predict(frame), graph.predict(frame))


def test_serving_a_graph_does_not_import_onnx(tmp_path: Path) -> None:
    import subprocess

    made = packaged(tmp_path, linear(), NUMBERS)
    program = """
import sys
from cd4ml.models.runtime import load
from cd4ml.store.blobs import open_blobs
load(open_blobs(sys.argv[1]), sys.argv[2], is_trusted=lambda _: False)
assert "onnx" not in sys.modules, "slow to import, and of no use here"
"""
    words = [sys.executable, "-c", program, str(tmp_path), made.artifact]

    assert subprocess.run(words, check=False).returncode == 0


def test_changed_bytes_are_refused_or_a_graph() -> None:
    """Graphs from elsewhere are loaded without anybody's word: reading one must be safe."""
    data, outcomes = bytearray(dump(linear())), set()
    for seed in range(60):
        chance = np.random.default_rng(seed)
        changed = bytearray(data)
        for place in chance.integers(len(data), size=2):
            changed[place] = chance.integers(256)
        try:
            outcomes.add(type(Graph(bytes(changed))))
        except InvalidInput:
            outcomes.add(InvalidInput)

    assert outcomes == {Graph, InvalidInput}
