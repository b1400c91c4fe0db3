"""One row in memory that the compiled model reads in place is answered as one that it takes in."""

import math
import threading
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from cd4ml.models import onnx, onnx_texts
from cd4ml.models.onnx import CompiledScorer, compile_estimator
from cd4ml.records.contract import Contract, Field
from tests.models.builders import CONTRACT, boosted, flights, logistic

Row = tuple[Any, ...]

NUMBERS = st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers(-(10**40), 10**40)
TEXTS = st.sampled_from(["AA", "B6", "BOS", "None", "\x01None", "", None]) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=8
)


class FromArrays(CompiledScorer):
    """A model that takes in arrays and gives them out."""

    def _bound(self, answer: object) -> None:
        return None


@cache
def scorer(kind: str, *, is_double: bool = False) -> CompiledScorer:
    return CompiledScorer(compiled(kind, is_double), CONTRACT)


@cache
def from_arrays(kind: str, *, is_double: bool = False) -> FromArrays:
    return FromArrays(compiled(kind, is_double), CONTRACT)


@cache
def compiled(kind: str, is_double: bool) -> bytes:
    estimator = {"boosted": boosted, "logistic": logistic}[kind]()
    return compile_estimator(estimator, CONTRACT, is_double=is_double)


def same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


@pytest.mark.filterwarnings("ignore:overflow encountered")  # 1e300 is infinite in single precision
@pytest.mark.parametrize(
    ("kind", "is_double"), [("boosted", False), ("boosted", True), ("logistic", False)]
)
@given(row=st.tuples(TEXTS, TEXTS, NUMBERS, NUMBERS, NUMBERS))
@example(row=("AA", None, 17, None, 1e300))
@example(row=("None", "None", True, 40.5, 2**53 + 1))
def test_a_row_in_place_is_answered_as_from_arrays(kind: str, is_double: bool, row: Row) -> None:
    (in_place,) = scorer(kind, is_double=is_double).score([row])
    (expected,) = from_arrays(kind, is_double=is_double).score([row])

    assert same(in_place, expected)


def test_no_answer_is_what_the_row_before_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_texts, "_KEPT", 5)  # some of the texts are none that are kept
    model = CompiledScorer(compile_estimator(boosted(), CONTRACT), CONTRACT)
    rows = [(*row[:2], *row[2:5]) for row in flights().rows()[:60]]
    rows += [(f"Z{i}", row[1], *row[2:]) for i, row in enumerate(rows)]

    alone = [model.score([row])[0] for row in rows]

    assert alone == model.score(rows)
    assert len(set(alone)) > 20


def test_threads_share_a_model_and_not_its_memory() -> None:
    model = scorer("boosted")
    rows: list[Row] = [row[:5] for row in flights().rows()[:200]]
    expected = model.score(rows)
    found: dict[int, list[float]] = {}

    def answer(number: int, own: Sequence[Row]) -> None:
        found[number] = [model.score([row])[0] for row in own]

    threads = [threading.Thread(target=answer, args=(i, rows[i::4])) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {i: expected[i::4] for i in range(4)} == found


def test_another_onnxruntime_answers_from_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(*_: object) -> None:
        raise AttributeError("_iobinding")

    monkeypatch.setattr(onnx, "BoundRow", changed)
    model = CompiledScorer(compile_estimator(boosted(), CONTRACT), CONTRACT)
    rows: list[Row] = [row[:5] for row in flights().rows()[:20]]

    assert [model.score([row])[0] for row in rows] == model.score(rows)


def test_a_model_that_knows_its_texts_only_is_bound_by_the_first_row_that_it_answers() -> None:
    text = Contract(name="t", fields=(Field("x", "string"),), output=Field("y", "number"))
    letters = make_pipeline(OneHotEncoder(sparse_output=False), LinearRegression())
    letters.fit(np.array([["a"], ["b"]]), [1.0, 3.0])
    model = CompiledScorer(compile_estimator(letters, text), text)

    for _ in range(2):
        with pytest.raises(Exception, match="Unknown Category"):
            model.score([("z",)])
        assert [model.score([(x,)])[0] for x in ("a", "b")] == pytest.approx([1, 3])


def test_a_model_of_numbers_or_of_texts_alone_is_bound_as_well() -> None:
    number = Contract(name="n", fields=(Field("x", "number"),), output=Field("y", "number"))
    text = Contract(name="t", fields=(Field("x", "string"),), output=Field("y", "number"))
    line = LinearRegression().fit(np.array([[0.0], [1.0]]), [1.0, 3.0])
    encoder = OneHotEncoder(sparse_output=False, handle_unknown="ignore")
    letters = make_pipeline(encoder, LinearRegression()).fit(np.array([["a"], ["b"]]), [1.0, 3.0])

    numbers = CompiledScorer(compile_estimator(line, number), number)
    texts = CompiledScorer(compile_estimator(letters, text), text)

    assert [numbers.score([(x,)])[0] for x in (0, 1, 2.5)] == pytest.approx([1, 3, 6])
    assert [texts.score([(x,)])[0] for x in ("a", "b")] == pytest.approx([1, 3])
