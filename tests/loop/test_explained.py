"""A candidate's answers are explained before it is judged."""

import msgspec
import pytest

from cd4ml.loop import Project
from cd4ml.loop.card import card
from cd4ml.records.explanation import ExplanationEvidence
from tests.loop.test_behaviour import by_name, judged

GATE = '[[gate]]\nkind = "explanation"\nlargest_share = 0.8\n'


def test_a_candidate_that_hangs_on_one_field_is_stopped(project: Project) -> None:
    verdict = judged(project, GATE)

    found = by_name(verdict)
    assert {name: each.outcome for name, each in found.items() if each.is_gated} == {
        "contributions that add up to the answer": "pass",
        "importance of each field": "pass",
        "largest share at most 0.8": "fail",
    }
    assert found["largest share at most 0.8"].reason == "wind carries 91 %"
    stored = project.blobs.get_record(verdict.evidence["explanation"], ExplanationEvidence)
    assert (stored.method, stored.unit, stored.n_rows) == ("linear", "log-odds", 200)
    assert stored.metric == "squared error"
    assert stored.importance[0].field == "wind"
    assert sum(stored.shares.values()) == pytest.approx(1)


def test_a_candidate_that_hangs_on_several_passes(project: Project) -> None:
    verdict = judged(project, GATE.replace("0.8", "0.95"))

    assert verdict.outcome == "pass"
    seen = card(project, "delay/1").explanation
    assert seen == project.blobs.get_record(verdict.evidence["explanation"], ExplanationEvidence)


def test_importance_is_measured_by_the_first_metric_that_is_gated(project: Project) -> None:
    gates = '[[gate]]\nmetric = "auc"\nat_least = 0.5\n' + GATE

    verdict = judged(project, gates)

    stored = project.blobs.get_record(verdict.evidence["explanation"], ExplanationEvidence)
    assert (stored.metric, stored.n_measured) == ("auc", 200)
    assert stored.level == pytest.approx(by_name(verdict)["auc at least 0.5"].value)


def test_what_cannot_be_measured_is_said(project: Project) -> None:
    """A holdout in which nobody was late has no AUC, with or without a field."""
    gates = '[[gate]]\nmetric = "auc"\nat_least = 0.5\n' + GATE
    edits = (
        ("examples.tail(examples.height // 3)", "examples.tail(200).filter(late=0.0)"),
        ("score = delay", 'return {"auc": 0.5}\n    score = delay'),
    )

    verdict = judged(project, gates, *edits)

    stored = msgspec.json.decode(project.blobs.get(verdict.evidence["explanation"]))
    assert stored["importance"] == []
    found = by_name(verdict)["importance of each field"]
    assert found.outcome == "error"
    assert found.reason == stored["importance_reason"] != ""
