from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from cd4ml.measures.catalog import MEASURES, Measure, at_threshold
from cd4ml.measures.in_cells import each_cell

rng = np.random.default_rng(0)
SAID = rng.beta(2, 3, 400).round(2)  # with ties
LABELS = (rng.random(400) < SAID).astype(float)
AMOUNTS = rng.normal(50, 10, 400)
NEAR = AMOUNTS + rng.normal(0, 3, 400)
CODES = rng.integers(0, 9, 400)  # the last of ten cells is empty


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_every_cell_has_what_the_measure_says_of_its_rows(measure: Measure) -> None:
    truth, said = (LABELS, SAID) if measure.of == "classes" else (AMOUNTS, NEAR)

    at_once = measure.cells(truth, said, CODES, 10)

    assert at_once == pytest.approx(
        each_cell(measure.function)(truth, said, CODES, 10), abs=1e-12, nan_ok=True
    )
    assert np.isnan(at_once[9])


@pytest.mark.parametrize("name", [m.name for m in MEASURES.values() if m.has_threshold])
def test_cells_know_the_threshold(name: str) -> None:
    measure = at_threshold(MEASURES[name], 0.25)

    assert measure.cells(LABELS, SAID, CODES, 9) == pytest.approx(
        each_cell(measure.function)(LABELS, SAID, CODES, 9), nan_ok=True
    )


def test_one_cell_is_scikit_learns() -> None:
    everything = np.zeros(400, dtype=int)

    found = {name: m.cells(LABELS, SAID, everything, 1)[0] for name, m in MEASURES.items()
             if m.of == "classes"}  # fmt: skip

    assert found["auc"] == pytest.approx(metrics.roc_auc_score(LABELS, SAID), abs=1e-9)
    assert found["f1"] == pytest.approx(metrics.f1_score(LABELS, SAID >= 0.5), abs=1e-9)
    assert found["recall"] == pytest.approx(metrics.recall_score(LABELS, SAID >= 0.5), abs=1e-9)
    assert found["precision"] == pytest.approx(
        metrics.precision_score(LABELS, SAID >= 0.5), abs=1e-9
    )


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=40
    )
)
def test_auc_in_cells_with_ties_and_single_classes(rows: list[tuple[bool, int, int]]) -> None:
    labels, said, codes = (np.array(column) for column in zip(*rows, strict=True))

    assert MEASURES["auc"].cells(labels, said, codes, 3) == pytest.approx(
        each_cell(MEASURES["auc"].function)(labels, said, codes, 3), nan_ok=True
    )


def test_a_cell_whose_targets_are_all_the_same_has_no_r2() -> None:
    found = MEASURES["r2"].cells([0.1, 0.1, 0.1, 3.0], [1.0, 0.0, 0.5, 2.0], [0, 0, 0, 1], 2)

    assert np.isnan(found).all()
