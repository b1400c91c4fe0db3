"""A verdict is the worst of its findings, is kept, and says why it does not let a candidate through."""

from datetime import datetime

import pytest

from cd4ml.errors import Inconclusive, Refused
from cd4ml.gates.policy import policy_of
from cd4ml.gates.verdicts import give_verdict, outcome_of, refuse_unless_passed, summary
from cd4ml.records.finding import Finding, Outcome
from cd4ml.records.metric_gate import MetricGate
from cd4ml.records.verdict import Verdict
from cd4ml.store import ledger, lineage, rows
from cd4ml.store.database import Database

POLICY = policy_of((MetricGate(metric="auc", at_least=0.58),))


def finding(
    outcome: Outcome = "pass",
    gate: str = "auc at least 0.58",
    value: float | None = 0.63,
    limit: float | None = 0.58,
    reason: str = "",
    is_gated: bool = True,
) -> Finding:
    around = None if value is None else value
    return Finding(
        gate=gate,
        metric=gate.split()[0],
        value=value,
        low=around and around - 0.01,
        high=around and around + 0.01,
        limit=limit,
        n_rows=500,
        is_gated=is_gated,
        outcome=outcome,
        reason=reason,
    )


def verdict(now: datetime, *findings: Finding) -> Verdict:
    return Verdict(
        number=4,
        model="delay",
        run=7,
        artifact="blake3:a1",
        policy=POLICY.address,
        holdout="blake3:b2",
        findings=findings,
        outcome=outcome_of(findings),
        judged_at=now,
        judged_by="ana",
    )


def test_a_verdict_is_its_worst_finding() -> None:
    assert outcome_of((finding("pass"), finding("inconclusive"))) == "inconclusive"
    assert outcome_of((finding("fail"), finding("inconclusive"))) == "fail"
    assert outcome_of((finding("fail"), finding("error", value=None))) == "error"


def test_what_is_only_shown_decides_nothing() -> None:
    assert outcome_of((finding("pass"), finding("fail", is_gated=False))) == "pass"


def test_findings_that_are_only_shown_are_no_pass() -> None:
    assert outcome_of((finding("pass", is_gated=False),)) == "error"


def test_a_pass_lets_the_candidate_through(now: datetime) -> None:
    accepted = verdict(now, finding(), finding())

    refuse_unless_passed(accepted)

    assert summary(accepted) == "2 of 2 findings passed"


def test_a_refusal_lists_what_failed(now: datetime) -> None:
    refused = verdict(
        now,
        finding(),
        finding("fail", value=0.5512),
        finding("fail", gate="brier better than trivial", value=0.171, limit=0.16712),
    )

    with pytest.raises(Refused) as caught:
        refuse_unless_passed(refused)

    assert str(caught.value) == (
        "run/7 was not accepted: 2 of 3 findings failed\n"
        "  - auc = 0.5512 (0.5412 to 0.5612), needs at least 0.58\n"
        "  - brier = 0.171 (0.161 to 0.181), needs better than trivial (0.1671)\n"
        "  hint: cd4ml gate show verdict/4"
    )
    assert caught.value.exit_code == 3


def test_what_could_not_be_measured_comes_first(now: datetime) -> None:
    refused = verdict(
        now,
        finding("inconclusive", gate="auc better than trivial", reason="more rows are needed"),
        finding("fail", value=0.55),
        finding("error", gate="brier at most 0.2", value=None, limit=None, reason="no rows"),
    )

    with pytest.raises(Refused) as caught:
        refuse_unless_passed(refused)

    assert str(caught.value) == (
        "run/7 was not accepted: of 3 findings 1 could not be measured, 1 failed,"
        " 1 is inconclusive\n"
        "  - brier, needs at most 0.2: no rows\n"
        "  - auc = 0.55 (0.54 to 0.56), needs at least 0.58\n"
        "  - auc = 0.63 (0.62 to 0.64), needs better than trivial (0.58): more rows are needed\n"
        "  hint: cd4ml gate show verdict/4"
    )


def test_a_gate_that_could_not_be_asked_at_all_says_only_why(now: datetime) -> None:
    unasked = finding("error", gate="behaviour", value=None, limit=None, reason="it died")

    with pytest.raises(Refused) as caught:
        refuse_unless_passed(verdict(now, unasked))

    assert str(caught.value) == (
        "run/7 was not accepted: 1 of 1 finding could not be measured\n"
        "  - behaviour: it died\n"
        "  hint: cd4ml gate show verdict/4"
    )


def test_an_undecided_verdict_is_refused_as_inconclusive(now: datetime) -> None:
    undecided = verdict(now, finding(), finding("inconclusive", reason="more rows are needed"))

    with pytest.raises(Inconclusive) as caught:
        refuse_unless_passed(undecided)

    assert str(caught.value) == (
        "run/7 was not accepted: 1 of 2 findings is inconclusive\n"
        "  - auc = 0.63 (0.62 to 0.64), needs at least 0.58: more rows are needed\n"
        "  hint: cd4ml gate show verdict/4"
    )
    assert caught.value.exit_code == 4


def test_a_long_refusal_is_cut_after_ten_findings(now: datetime) -> None:
    with pytest.raises(Refused) as caught:
        refuse_unless_passed(verdict(now, *[finding("fail", value=0.5)] * 12))

    assert caught.value.message.splitlines()[-1] == "  … and 2 more"
    assert len(caught.value.message.splitlines()) == 12


def test_no_gates_are_no_pass(now: datetime) -> None:
    with pytest.raises(Refused) as caught:
        refuse_unless_passed(verdict(now))

    assert str(caught.value) == (
        "run/7 was not accepted: no gate was asked, and nothing measured is no pass\n"
        "  hint: add a [[gate]] to cd4ml.toml"
    )


def test_a_verdict_is_kept_whatever_it_is(database: Database, now: datetime) -> None:
    findings = (finding(), finding("fail", value=0.5))

    with database.write() as connection:
        lineage.note(connection, address="blake3:b2", kind="step output", name="holdout", at=now)
        given = give_verdict(
            connection,
            model="delay",
            run=7,
            artifact="blake3:a1",
            policy=POLICY,
            holdout="blake3:b2",
            champion="delay/1",
            evidence={"rows": "blake3:c3"},
            findings=findings,
            by="ana",
            at=now,
        )

    with database.read() as connection:
        assert rows.get(connection, Verdict, 1) == given
        (entry,) = ledger.entries(connection, "verdict/1")
        lineage_up = [hop.edge.parent for hop in lineage.upstream(connection, "verdict/1")]
    assert (given.outcome, given.policy) == ("fail", POLICY.address)
    assert (entry.actor, entry.action) == ("ana", "verdict.given")
    assert entry.reason == "1 of 2 findings failed"
    assert entry.details["holdout"] == "blake3:b2"
    assert entry.details["evidence"] == {"rows": "blake3:c3"}
    assert lineage_up == ["blake3:b2"]
