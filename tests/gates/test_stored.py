"""What a judge saw is stored, and judged again from there alone."""

from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from cd4ml.errors import NotFound
from cd4ml.gates.evidence import Evidence, evidence_of
from cd4ml.gates.judge import judge
from cd4ml.gates.policy import policy_of
from cd4ml.gates.stored import store_evidence, stored_evidence
from cd4ml.records.finding import Finding
from cd4ml.records.history import History, Past
from cd4ml.records.metric_gate import MetricGate
from cd4ml.records.verdict import Verdict
from cd4ml.store.blobs import Blobs
from tests.gates.builders import evidence

POLICY = policy_of(
    (
        MetricGate(metric="auc", at_least=0.58, better_than="trivial"),
        MetricGate(metric="brier", no_worse_than={"champion": 0.01}),
    )
)
SHARED = Finding(gate="shared rows at most 0", metric="shared rows", outcome="error")


def seen_rows(**changes: Any) -> Evidence:
    """Evidence with its holdout, as it is gathered."""
    rows = evidence(n=400, champion_skill=0.8)
    carriers = np.where(np.arange(400) < 300, "UA", "HA")
    holdout = pl.DataFrame({"late": rows.y_true, "carrier": carriers})
    seen = evidence_of(
        holdout,
        target="late",
        score=rows.score,
        base_rate=rows.base_rate,
        champion=rows.champion,
        others=rows.others,
        slices=("carrier",),
    )
    return seen._replace(**changes)


def kept(blobs: Blobs, seen: Evidence) -> Verdict:
    """A verdict as `cd4ml gate` gives it, with its evidence in the blobs."""
    assert seen.holdout is not None
    written = BytesIO()
    seen.holdout.write_parquet(written)
    return Verdict(
        number=1,
        model="delay",
        run=7,
        artifact="blake3:aa",
        policy=POLICY.address,
        holdout=blobs.put(written.getvalue()),
        champion=seen.champion,
        evidence=store_evidence(blobs, seen),
        findings=judge(POLICY.gates, seen),
        outcome="pass",
        judged_at=datetime(2013, 2, 1, tzinfo=UTC),
        judged_by="ann",
    )


def test_a_verdict_judged_again_from_what_is_stored_is_the_same(blobs: Blobs) -> None:
    verdict = kept(blobs, seen_rows(found=(SHARED,)))

    again = judge(POLICY.gates, stored_evidence(blobs, verdict))

    assert again == verdict.findings
    assert again[0] == SHARED
    assert {finding.slice for finding in again} > {"carrier=HA", "carrier=UA"}


def test_another_policy_judges_the_same_rows(blobs: Blobs) -> None:
    verdict = kept(blobs, seen_rows())
    stricter = policy_of((MetricGate(metric="auc", at_least=0.999),))

    (finding, *_) = judge(stricter.gates, stored_evidence(blobs, verdict))

    assert (finding.gate, finding.outcome) == ("auc at least 0.999", "fail")


def test_the_same_evidence_has_the_same_addresses(blobs: Blobs) -> None:
    assert store_evidence(blobs, seen_rows()) == store_evidence(blobs, seen_rows())


def test_a_score_and_a_base_rate_that_are_missing_stay_missing(blobs: Blobs) -> None:
    score = seen_rows().score.copy()
    score[3] = np.nan

    again = stored_evidence(blobs, kept(blobs, seen_rows(score=score, base_rate=np.nan)))

    assert np.isnan(again.score).tolist() == [i == 3 for i in range(400)]
    assert np.isnan(again.base_rate)


def test_the_own_record_of_a_kind_and_what_is_missing_come_back(blobs: Blobs) -> None:
    past = Past(version="delay/1", verdict="verdict/1", value=0.7, n_rows=400)
    history = History(of={"auc": (past,)})
    missing = {"last-year": "no training row lies one year before"}

    verdict = kept(blobs, seen_rows(gathered={"trend": history}, missing=missing))
    again = stored_evidence(blobs, verdict)

    assert sorted(verdict.evidence) == ["judged", "rows", "trend"]
    assert (again.gathered, again.missing) == ({"trend": history}, missing)


def test_a_verdict_without_evidence_cannot_be_judged_again(blobs: Blobs) -> None:
    verdict = msgspec.structs.replace(kept(blobs, seen_rows()), evidence={})

    with pytest.raises(NotFound) as caught:
        stored_evidence(blobs, verdict)

    assert str(caught.value) == (
        "verdict/1 names no evidence that could be judged again\n"
        "  hint: cd4ml gate run/7 judges it anew"
    )
