from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from cd4ml.monitoring.rollout import evidence
from cd4ml.records.plan import Arm, Plan, Role
from cd4ml.store.log import PredictionLog
from tests.monitoring.production import label_all
from tests.store.answers import ARTIFACT, START, answer, collected, log_in, moment

LATER = moment(1_000)


@pytest.fixture
def log(tmp_path: Path) -> PredictionLog:
    return log_in(tmp_path)


def arm(role: Role, number: int, weight: float) -> Arm:
    return Arm(role=role, model="delay", number=number, artifact=ARTIFACT, weight_percent=weight)


def plan(*arms: Arm) -> Plan:
    return Plan(
        number=1, environment="production", model="delay", arms=arms, release=1, made_at=START
    )


SHADOW = plan(arm("champion", 1, 100.0), arm("shadow", 2, 0.0))
CANARY = plan(arm("champion", 1, 75.0), arm("canary", 2, 25.0))
ALONE = plan(arm("champion", 2, 100.0))


def truth(n: int) -> tuple[np.ndarray[Any, Any], pl.Series]:
    chance = np.random.default_rng(0)
    risk = chance.beta(1, 3, n)
    return risk, pl.Series((chance.random(n) < risk).astype(float))


def shadowed(n: int, blur: float) -> tuple[list[dict[str, Any]], list[dict[str, Any]], pl.Series]:
    """Answers of a good champion, and of a shadow that is `blur` off, to the same requests."""
    risk, values = truth(n)
    rows = [answer(i, moment(i / 60), score=float(risk[i])) for i in range(n)]
    shadows = [
        {**row, "role": "shadow", "number": 2, "score": min(1.0, row["score"] + blur)}
        for row in rows
    ]
    return rows, shadows, values


def test_nothing_seen_is_nothing(log: PredictionLog) -> None:
    found = evidence(log, CANARY, known_at=LATER)

    assert (found.n_new, found.n_champion, found.n_labelled, found.n_failed) == (0, 0, 0, 0)
    assert (found.worse_low, found.worse_high) == (None, None)


def test_a_shadow_is_compared_on_the_same_requests(log: PredictionLog) -> None:
    rows, shadows, values = shadowed(600, blur=0.4)
    collected(log, *rows, *shadows)
    label_all(log, rows[:500], values[:500], LATER)

    found = evidence(log, SHADOW, known_at=LATER)

    assert (found.n_new, found.n_champion, found.n_labelled) == (600, 600, 500)
    assert found.worse_low is not None
    assert found.worse_high is not None
    assert 0.05 < found.worse_low < found.worse_high < 0.3


def test_a_shadow_as_good_as_the_champion_is_not_called_worse(log: PredictionLog) -> None:
    rows, shadows, values = shadowed(600, blur=0.001)
    collected(log, *rows, *shadows)
    label_all(log, rows, values, LATER)

    found = evidence(log, SHADOW, known_at=LATER)

    assert found.worse_high is not None
    assert found.worse_high < 0.01


def test_a_canary_is_compared_with_the_rest_of_the_traffic(log: PredictionLog) -> None:
    risk, values = truth(1_200)
    rows = [
        answer(
            i,
            moment(i / 60),
            role="canary" if i % 4 == 0 else "champion",
            number=2 if i % 4 == 0 else 1,
            score=0.95 if i % 4 == 0 else float(risk[i]),
        )
        for i in range(1_200)
    ]
    collected(log, *rows)
    label_all(log, rows, values, LATER)

    found = evidence(log, CANARY, known_at=LATER)

    assert (found.n_new, found.n_champion, found.n_labelled) == (300, 900, 300)
    assert found.worse_low is not None
    assert found.worse_low > 0.2


def test_failures_and_labels_still_to_come_are_counted(log: PredictionLog) -> None:
    rows = [answer(i, moment(i), role="canary", number=2) for i in range(4)]
    rows[3]["score"] = None
    collected(log, *rows)
    label_all(log, rows[:1], pl.Series([1.0]), moment(50))
    label_all(log, rows[1:], pl.Series([0.0, 0.0, 0.0]), moment(60))

    before, after = (evidence(log, CANARY, known_at=moment(hours)) for hours in (55, 65))

    assert (before.n_new, before.n_failed, before.n_labelled) == (4, 1, 1)
    assert after.n_labelled == 3
    assert after.worse_low is None


def test_a_few_rows_have_no_interval(log: PredictionLog) -> None:
    rows, shadows, values = shadowed(5, blur=0.4)
    collected(log, *rows, *shadows)
    label_all(log, rows, values, LATER)

    found = evidence(log, SHADOW, known_at=LATER)

    assert found.n_labelled == 5
    assert (found.worse_low, found.worse_high) == (None, None)


def test_a_version_that_answers_alone_is_the_new_one(log: PredictionLog) -> None:
    collected(log, answer(1, number=2), answer(2, number=2, plan=7))

    found = evidence(log, ALONE, known_at=LATER)

    assert (found.n_new, found.n_champion) == (1, 0)
