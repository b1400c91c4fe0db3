"""A run is judged once under the same policy; what passes becomes a version."""

import threading
from typing import Any

import pytest

from cd4ml.errors import (
    ConfigurationError,
    ContractViolated,
    InvalidInput,
    NotFound,
    PipelineError,
    Refused,
)
from cd4ml.gates.judge import judge
from cd4ml.gates.policy import Policy, policy_of
from cd4ml.gates.stored import stored_evidence
from cd4ml.loop import Project, open_project
from cd4ml.loop.evaluate import evaluate, verdict_of, verdicts
from cd4ml.loop.registry import models
from cd4ml.loop.train import train
from cd4ml.records.contract import Contract, Field
from tests.loop.test_ingest import add_flights
from tests.loop.world import ANN, actions


def change(project: Project, old: str, new: str, file: str = "cd4ml.toml") -> Project:
    """The project after an edit."""
    path = project.folder / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return open_project(project.folder)


def test_what_passes_becomes_a_version_with_its_contract(project: Project) -> None:
    run = train(project, actor=ANN).run

    judgement = evaluate(project, run.ref, actor=ANN)

    assert judgement.verdict.outcome == "pass"
    assert judgement.version is not None
    assert judgement.version.ref == "delay/1"
    assert (judgement.version.run, judgement.version.verdict) == (1, 1)
    assert judgement.message == "run/1 was accepted as delay/1: 3 of 3 findings passed"
    assert actions(project)[-2:] == ["verdict.given", "model_version.added"]
    assert {finding.slice for finding in judgement.verdict.findings if finding.slice} == {
        "carrier=AA",
        "carrier=UA",
    }
    (summary,) = models(project)
    assert (summary.version, summary.aliases) == (judgement.version, ())
    assert summary.verdict == "3 of 3 findings passed"


def test_a_verdict_names_its_evidence_and_can_be_judged_from_it_alone(released: Project) -> None:
    add_flights(released, 30)
    run = train(released, actor=ANN).run
    verdict = evaluate(released, run.ref, actor=ANN).verdict
    policy = policy_of(released.settings.gate)

    seen = stored_evidence(released.blobs, verdict)

    assert judge(policy.gates, seen) == verdict.findings
    assert released.blobs.get_record(verdict.policy, Policy) == policy
    assert sorted(verdict.evidence) == ["judged", "rows"]


def test_judging_again_is_the_same_verdict(project: Project) -> None:
    run = train(project, actor=ANN).run
    first = evaluate(project, run.ref, actor=ANN)
    before = actions(project)

    assert evaluate(project, run.ref, actor=ANN) == first
    assert actions(project) == before


def test_several_who_judge_at_once_give_one_verdict(project: Project) -> None:
    run = train(project, actor=ANN).run
    given: list[Any] = []

    def judge() -> None:
        given.append(evaluate(project, run.ref, actor=ANN))

    threads = [threading.Thread(target=judge) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [judgement == given[0] for judgement in given] == [True] * 3
    assert len(verdicts(project)) == len(models(project)) == 1


def test_what_fails_gets_a_verdict_and_no_version(project: Project) -> None:
    run = train(project, overrides={"training.upside_down": True}, actor=ANN).run

    judgement = evaluate(project, run.ref, actor=ANN)

    assert judgement.verdict.outcome == "fail"
    assert judgement.version is None
    assert judgement.message.startswith(
        "run/1 was not accepted: 2 of 3 findings failed\n  - auc = "
    )
    assert judgement.message.endswith("\n  hint: cd4ml gate show verdict/1")
    assert verdict_of(project, "verdict/1") == judgement.verdict
    assert models(project) == []
    assert actions(project)[-1] == "verdict.given"


def test_what_cannot_be_decided_is_no_pass(released: Project) -> None:
    # ten more rows: hardly another model, compared within next to nothing
    add_flights(released)
    with change(released, "champion = 0.1", "champion = 0.0001") as stricter:
        run = train(stricter, overrides={"delay.strength": 0.01}, actor=ANN).run

        judgement = evaluate(stricter, run.ref, actor=ANN)

    assert judgement.verdict.outcome == "inconclusive"
    assert judgement.version is None
    assert "was not accepted: 1 of 3 findings is inconclusive" in judgement.message


def test_another_policy_is_another_question(project: Project) -> None:
    run = train(project, actor=ANN).run
    first = evaluate(project, run.ref, actor=ANN)

    with change(project, "at_least = 0.6", "at_least = 0.99") as stricter:
        second = evaluate(stricter, run.ref, actor=ANN)

    assert (second.verdict.number, second.verdict.outcome) == (2, "fail")
    assert verdict_of(project, "1") == first.verdict
    assert [summary.version.verdict for summary in models(project)] == [1]


def test_beside_a_champion_it_is_judged_on_the_same_rows(released: Project) -> None:
    add_flights(released, 30)
    run = train(released, actor=ANN).run

    judgement = evaluate(released, run.ref, actor=ANN)

    assert judgement.verdict.champion == "delay/1"
    beside = [f for f in judgement.verdict.findings if f.gate.startswith("auc no worse than")]
    assert [finding.n_rows for finding in beside] == [210]
    assert judgement.version is not None
    assert judgement.version.ref == "delay/2"


def test_the_champion_s_own_run_judged_beside_itself_stays_one_version(released: Project) -> None:
    judgement = evaluate(released, "run/1", actor=ANN)

    assert (judgement.verdict.number, judgement.verdict.champion) == (2, "delay/1")
    assert judgement.version is not None
    assert judgement.version.ref == "delay/1"
    assert len(models(released)) == 1


def test_a_run_that_failed_cannot_be_judged(project: Project) -> None:
    with pytest.raises(PipelineError):
        train(project, overrides={"delay.strength": 0.0}, actor=ANN)

    with pytest.raises(Refused) as refused:
        evaluate(project, "run/1", actor=ANN)

    assert str(refused.value) == (
        "run/1 failed, so there is nothing to judge\n"
        "  hint: pipeline.py:38: step 'delay' failed: ValueError: strength has to be positive"
    )
    assert verdicts(project) == []


@pytest.mark.parametrize(
    ("run", "error", "message"),
    [
        ("run/9", NotFound, "no run '9'\n  hint: known: 1"),
        ("delay/1", NotFound, "no model version 'delay/1'\n  hint: there are none yet"),
        ("9" * 5000, InvalidInput, f"expected run/NUMBER, got '{'9' * 5000}'"),
        ("run/0", InvalidInput, "expected run/NUMBER, got 'run/0'"),
        ("run/¹", InvalidInput, "expected run/NUMBER, got 'run/¹'"),
    ],
)
def test_a_run_that_is_not_there_is_not_judged(
    project: Project, run: str, error: type[Exception], message: str
) -> None:
    train(project, actor=ANN)

    with pytest.raises(error) as refused:
        evaluate(project, run, actor=ANN)

    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'target = "late"',
            'target = "late"\nholdout = "newest"',
            "cd4ml.toml: run/1 has no step 'newest' - at `model.holdout`\n"
            "  hint: its steps: delay, evaluation, examples, holdout, training",
        ),
        (
            'target = "late"',
            'target = "late"\nstep = "risk"',
            "cd4ml.toml: run/1 has no step 'risk' - at `model.step`\n"
            "  hint: its steps: delay, evaluation, examples, holdout, training",
        ),
        (
            'target = "late"',
            'target = "nope"',
            "cd4ml.toml: the training rows of run/1 have no column 'nope' - at `model.target`\n"
            "  hint: known: carrier, distance, wind, event_at, late",
        ),
    ],
)
def test_settings_that_do_not_fit_the_run_are_explained(
    project: Project, old: str, new: str, message: str
) -> None:
    train(project, actor=ANN)

    with change(project, old, new) as changed, pytest.raises(ConfigurationError) as refused:
        evaluate(changed, "run/1", actor=ANN)

    assert str(refused.value) == message
    assert verdicts(project) == []


def test_training_rows_that_break_the_request_s_contract_are_refused(project: Project) -> None:
    train(project, actor=ANN)

    with (
        change(
            project,
            'Request = Contract(name="request", fields=FIELDS)',
            'Request = Contract(name="request", fields=(*FIELDS[:2], Field("wind", "string")))',
            "contracts.py",
        ) as changed,
        pytest.raises(ContractViolated, match="wind"),
    ):
        evaluate(changed, "run/1", actor=ANN)

    assert verdicts(project) == []


def test_whoever_is_not_known_judges_nothing(project: Project) -> None:
    train(project, actor=ANN)

    with pytest.raises(NotFound, match="nobody named 'mallory'"):
        evaluate(project, "run/1", actor="mallory")

    assert verdicts(project) == []


def test_a_derived_contract_says_that_a_binary_target_is_a_probability(project: Project) -> None:
    with change(project, 'contract = "contracts:Request"\n', "") as undeclared:
        version = evaluate(undeclared, train(undeclared, actor=ANN).run.ref, actor=ANN).version
        assert version is not None
        contract = undeclared.blobs.get_record(version.contract, Contract)

    assert contract.output == Field("late", "number", minimum=0, maximum=1, unit="probability")


PEEPING = """\
class Peeping(LogisticRegression):
    def predict_proba(self, X):
        assert X.columns == REQUEST, X.columns
        late = X["late"].to_numpy() if "late" in X.columns else None
        return super().predict_proba(X.select("wind").to_numpy()) if late is None else late


@step
def delay("""


def test_a_model_that_does_not_name_its_columns_is_not_shown_the_target(project: Project) -> None:
    fit = 'Peeping(C=strength).fit(training.select("wind").to_numpy(), training["late"])'
    change(
        project,
        'return model.fit(training.select(REQUEST), training["late"])',
        f"return {fit}",
        "pipeline.py",
    )
    peeping = change(project, "@step\ndef delay(", PEEPING, "pipeline.py")

    with peeping:
        run = train(peeping, actor=ANN).run
        (auc, *_) = evaluate(peeping, run.ref, actor=ANN).verdict.findings

    assert auc.value is not None
    assert 0.6 < auc.value < 0.95


AGAIN = "the estimator's answer to a row depends on the rows beside it, or on chance: it differs by"
MISBEHAVING = """\
class Misbehaving(LogisticRegression):
    def predict_proba(self, X):
        p = super().predict_proba(X)[:, 1]
        {how}
        return np.column_stack([1 - p, p])


@step
def delay("""


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("p[3] = np.nan", "the estimator's answer is not a finite number to the row"),
        ("raise RuntimeError('boom')", "the estimator fails on a row that its contract allows:"),
        ("p = p * 0.9 + np.random.default_rng().random(len(p)) / 10", AGAIN),
        ("p = p * 0.9 + 0.1 * p.mean()", AGAIN),
        ("p = p * np.where(np.arange(len(p)) < 50, 0.5, 1)", AGAIN),
        ("raise SystemExit(0)", "SystemExit: 0, though a model may end no process"),
        ("p = p[1:]  # one short", "answers to "),
        ("p = p * 3  # no probability", " as a probability, which lies between 0 and 1"),
    ],
    ids=["nan", "raises", "random", "of the batch", "of the order", "exits", "short", "beyond"],
)
def test_a_model_that_cannot_be_asked_gets_an_error_that_says_why(
    how: str, reason: str, project: Project
) -> None:
    change(project, "import polars as pl", "import numpy as np\nimport polars as pl", "pipeline.py")
    change(project, "encode, LogisticRegression", "encode, Misbehaving", "pipeline.py")
    change(project, "@step\ndef delay(", MISBEHAVING.format(how=how), "pipeline.py")
    with change(
        project,
        "score = delay.predict_proba(holdout.select(REQUEST))[:, 1]",
        'score = holdout["wind"]',
        "pipeline.py",
    ) as bad:
        run = train(bad, actor=ANN).run

        judgement = evaluate(bad, run.ref, actor=ANN)

        (finding,) = judgement.verdict.findings
        assert (judgement.verdict.outcome, judgement.version) == ("error", None)
        assert reason in finding.reason
        assert finding.reason in judgement.message
        again = evaluate(bad, run.ref, actor=ANN).verdict
        assert [each.outcome for each in again.findings] == ["error"]
        assert (how[:4] == "p = " and "#" not in how) or again == judgement.verdict


def test_a_holdout_without_rows_gets_an_error_that_says_so(project: Project) -> None:
    change(
        project,
        "score = delay.predict_proba(holdout.select(REQUEST))[:, 1]",
        "return {}",
        "pipeline.py",
    )
    with change(
        project, "examples.tail(examples.height // 3)", "examples.head(0)", "pipeline.py"
    ) as empty:
        run = train(empty, actor=ANN).run

        (finding,) = evaluate(empty, run.ref, actor=ANN).verdict.findings

    assert finding.outcome == "error"
    assert finding.reason == "the holdout has no rows, so nothing says what the model is worth"


@pytest.mark.parametrize(
    ("holdout", "reason"),
    [
        (
            'drop("carrier")',
            "the holdout has no column carrier, and requests have to carry it"
            " (known: distance, wind, event_at, late)",
        ),
        (
            "with_columns(carrier=pl.lit(None, pl.String))",
            "the holdout does not keep the contract of requests: 200 rows do not keep the contract"
            " 'request'",
        ),
        (
            "with_columns(pl.col('late').cast(pl.String))",
            "the target 'late' is to be predicted as a number, got String (encode it as 0 and 1)",
        ),
    ],
    ids=["no column", "null where none may be", "texts to predict"],
)
def test_a_holdout_that_cannot_judge_gets_an_error_that_says_why(
    holdout: str, reason: str, project: Project
) -> None:
    change(
        project,
        "score = delay.predict_proba(holdout.select(REQUEST))[:, 1]",
        "return {}",
        "pipeline.py",
    )
    edit = f"examples.tail(examples.height // 3).{holdout}"
    with change(project, "examples.tail(examples.height // 3)", edit, "pipeline.py") as bad:
        run = train(bad, actor=ANN).run

        judgement = evaluate(bad, run.ref, actor=ANN)

    (finding,) = judgement.verdict.findings
    assert (judgement.verdict.outcome, judgement.version) == ("error", None)
    assert finding.reason.startswith(reason)
