"""The checks that users run on models of their own."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, LogisticRegression

from cd4ml.errors import ContractViolated, InvalidInput
from cd4ml.models.contract import CompiledContract
from cd4ml.records.contract import Contract, Field
from cd4ml.testing import ModelMisbehaves, check_model, model_checks, rows_like
from tests.models.builders import CONTRACT, boosted, flights, logistic, packaged

ROWS = flights(80).drop("late")
OFFERS = pl.DataFrame({"ram": [2.0, 4.0, 8.0, 16.0], "age": [3.0, 0.0, 4.0, 1.0]})
PRICES = [900.0, 1400.0, 1500.0, 2600.0]
MODEL = boosted()


class Model:
    """A model of a user's own: no scikit-learn in it."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer

    def predict(self, rows: pl.DataFrame) -> Any:
        return rows["ram"].to_numpy() * 100


@pytest.mark.parametrize(
    "check", model_checks(MODEL, ROWS, contract=CONTRACT, latency_p99_ms=1000), ids=str
)
def test_each_check_can_be_a_test_of_its_own(check: Any) -> None:
    check()


def test_the_checks_have_names_that_say_what_is_promised() -> None:
    checks = model_checks(MODEL, ROWS, contract=CONTRACT, invariant=["dest"])

    assert [str(check) for check in checks] == [
        "every recorded row is answered",
        "a single row is answered as in a batch",
        "the order of rows does not matter",
        "the same input gets the same answer",
        "an unknown category is answered or refused",
        "null is answered or refused",
        "an extreme value is answered or refused",
        "what is no row is refused",
        "its input is left as it is",
        "answers are the same after pickling",
        "invariant to dest",
    ]


def test_a_version_is_checked_as_it_is_served(tmp_path: Path) -> None:
    version = packaged(tmp_path, logistic()).load()

    check_model(version, ROWS, increasing=["hour", "wind"])

    names = [str(check) for check in model_checks(version, ROWS)]
    assert version.kind == "onnx"
    assert "answers are the same after pickling" not in names


def test_any_object_that_predicts_can_be_checked() -> None:
    check_model(Model(), OFFERS, increasing=["ram"], invariant=["age"])


class ByPlace(Model):
    """Answers by the place of a row, not by the row."""

    def predict(self, rows: pl.DataFrame) -> Any:
        return np.arange(len(rows)) * 1.0


def test_all_that_is_broken_is_said_at_once() -> None:
    with pytest.raises(ModelMisbehaves) as caught:
        check_model(ByPlace(), OFFERS, decreasing=["ram"])

    assert str(caught.value) == (
        "3 of 11 checks failed\n"
        '  - a single row is answered as in a batch: 3 of 4: 1 and 0 for {"ram": 4.0, "age": 0.0}\n'
        '  - the order of rows does not matter: 3 of 4: 0 and 1 for {"ram": 2.0, "age": 3.0}\n'
        "  - decreasing in ram: ram 2.0 gives 0, 16.0 gives 3, "
        'for {"ram": 2.0, "age": 3.0}'
    )


class Careless(Model):
    """Writes into the frame that it is given."""

    def predict(self, rows: pl.DataFrame) -> Any:
        rows.insert_column(0, pl.Series("mine", [0] * rows.height))
        return rows["ram"].to_numpy()


def test_a_model_that_writes_into_its_input_is_found() -> None:
    with pytest.raises(ModelMisbehaves, match="its input is left as it is: the frame that"):
        check_model(Careless(), OFFERS)


def test_a_model_that_cannot_be_pickled_is_found() -> None:
    with pytest.raises(ModelMisbehaves, match="answers are the same after pickling: it cannot be"):
        check_model(Model(lambda: 1), OFFERS)


def test_a_model_that_raises_is_a_broken_promise_not_a_traceback() -> None:
    class Fragile(Model):
        def predict(self, rows: pl.DataFrame) -> Any:
            raise ArithmeticError("no memory like that")

    broken = model_checks(Fragile(), OFFERS)[0]

    with pytest.raises(ModelMisbehaves) as caught:
        broken()
    assert str(caught.value) == (
        "every recorded row is answered: 4 of 4: ArithmeticError: no memory like that, "
        'for {"ram": 2.0, "age": 3.0}'
    )


def test_a_rule_that_cannot_be_tried_is_broken() -> None:
    model = LinearRegression().fit(OFFERS, PRICES)

    with pytest.raises(ModelMisbehaves, match="increasing in disk: requests have no field 'disk'"):
        check_model(model, OFFERS, increasing=["disk"])
    with pytest.raises(ModelMisbehaves, match="all rows have the same ram: nothing to compare"):
        check_model(model, OFFERS.head(1), increasing=["ram"])


def test_a_tolerance_lets_small_moves_through() -> None:
    model = LinearRegression().fit(OFFERS, PRICES)

    check_model(model, OFFERS, invariant=["age"], tolerance=400.0)


def test_a_slow_model_is_found() -> None:
    with pytest.raises(ModelMisbehaves, match=r"answers 99 of 100 rows within 1e-06 ms: the 99th"):
        check_model(Model(), OFFERS, latency_p99_ms=1e-6)


def test_rows_that_break_the_contract_are_refused_before_anything_is_checked() -> None:
    with pytest.raises(ContractViolated):
        model_checks(MODEL, ROWS.with_columns(hour=pl.lit(99)), contract=CONTRACT)
    with pytest.raises(InvalidInput) as caught:
        model_checks(MODEL, [], contract=CONTRACT)
    assert str(caught.value) == "a model cannot be checked without a row to ask it about"


def test_a_classifier_of_three_classes_is_no_model_that_could_answer() -> None:
    three = LogisticRegression().fit(OFFERS, ["a", "b", "c", "a"])

    with pytest.raises(InvalidInput, match="expected a classifier of two classes"):
        check_model(three, OFFERS)


FIELDS = (
    Field("n", "integer", minimum=-3, maximum=9),
    Field("x", "number", nullable=True, minimum=2),
    Field("y", "number", maximum=-5),
    Field("z", "number"),
    Field("flag", "boolean"),
    Field("at", "datetime"),
    Field("carrier", "string", categories=("AA", "B6")),
    Field("word", "string", nullable=True),
)


@given(st.integers(0, 2**32 - 1))
def test_made_up_rows_keep_their_contract(seed: int) -> None:
    compiled = CompiledContract(Contract(name="all", fields=FIELDS))

    rows = rows_like(compiled.contract, 5, seed=seed)

    assert len(rows) == 5
    assert [compiled.check(row) for row in rows] == [[]] * 5
    assert rows == rows_like(compiled.contract, 5, seed=seed)


def test_made_up_rows_can_check_a_model() -> None:
    check_model(MODEL, rows_like(CONTRACT, 40), contract=CONTRACT)


def test_texts_of_a_pattern_are_not_made_up() -> None:
    contract = Contract(name="x", fields=(Field("id", "string", pattern="[0-9]{4}"),))

    with pytest.raises(InvalidInput) as caught:
        rows_like(contract)
    assert str(caught.value) == (
        "no value of 'id' can be made up: it is a string like [0-9]{4}\n"
        "  hint: give rows of your own"
    )
