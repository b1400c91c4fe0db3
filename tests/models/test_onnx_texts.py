"""Texts that ONNX Runtime keeps, and how they are said to a compiled model."""

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.models import onnx_texts
from cd4ml.models.onnx_texts import MISSING, Texts, spoken, table_of, value_of

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@given(texts)
def test_a_text_is_kept_as_it_is(text: str) -> None:
    value = value_of(text)

    assert (value.shape(), value.data_type()) == ([1, 1], "tensor(string)")
    assert value.numpy().tolist() == [[text]]


@given(texts)
def test_the_model_around_it_is_one_of_onnx(text: str) -> None:
    model = onnx.load_model_from_string(table_of(text))

    onnx.checker.check_model(model, full_check=True)
    assert onnx.numpy_helper.to_array(model.graph.initializer[0]).tolist() == [text]


def test_what_is_missing_and_the_word_for_it_are_two_texts() -> None:
    known = Texts()

    said = [known.made(text).numpy().item() for text in (None, MISSING, "AA")]

    assert said == list(spoken([None, MISSING, "AA"])) == ["None", "\x01None", "AA"]
    assert list(known.known) == [None, MISSING, "AA"]


def test_few_and_short_texts_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_texts, "_KEPT", 2)
    known = Texts()

    made = [known.made(text) for text in ("a" * 201, "\ud800", "a" * 200, "b", "c")]

    assert [each is None for each in made] == [True, True, False, False, True]
    assert list(known.known) == ["a" * 200, "b"]
