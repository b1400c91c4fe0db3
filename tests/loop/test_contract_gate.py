"""A new contract breaks nobody who calls the version in charge, unless its version says so."""

import pytest

from cd4ml.errors import Refused
from cd4ml.gates.judge import judge
from cd4ml.gates.policy import policy_of
from cd4ml.gates.stored import stored_evidence
from cd4ml.loop import Project
from cd4ml.loop.evaluate import Judgement, evaluate
from cd4ml.loop.promote import approve, request
from cd4ml.loop.train import train
from cd4ml.records.finding import Finding
from tests.loop.test_evaluate import change
from tests.loop.test_ingest import add_flights
from tests.loop.world import ANN, MAX, live

GATE = '[[gate]]\nkind = "contract"\n'
BEFORE = "[environments.staging]"
OLD = 'Request = Contract(name="request", fields=FIELDS)'
NARROW = "tuple(f for f in FIELDS if f.name != 'wind') + (Field('wind', 'number', minimum=0, maximum=45),)"


def narrowed(project: Project, version: str = "1.0.0", maximum: int = 45) -> Project:
    """`wind` is at most so much: the training rows keep it."""
    fields = NARROW.replace("45", str(maximum))
    new = f'Request = Contract(name="request", version="{version}", fields={fields})'
    return change(project, OLD, new, "contracts.py")


def gated(project: Project, more: str = "") -> Project:
    return change(project, BEFORE, f"{GATE}{more}\n{BEFORE}")


def judged(project: Project) -> Judgement:
    add_flights(project, 30)
    return evaluate(project, train(project, actor=ANN).run.ref, actor=ANN)


def by_metric(judgement: Judgement) -> dict[str, Finding]:
    return {finding.metric: finding for finding in judgement.verdict.findings}


def test_the_same_contract_passes_with_every_request_on_record(released: Project) -> None:
    live(released, 30, n_labelled=0)

    seen = by_metric(judged(gated(released)))

    assert seen["breaking changes"].reason == "as 1.0.0 of delay/1"
    assert (seen["refused requests"].outcome, seen["refused requests"].n_rows) == ("pass", 30)
    assert (seen["moved answers"].outcome, seen["moved answers"].is_gated) == ("pass", False)


def test_the_evidence_of_every_kind_is_judged_again_as_it_was(released: Project) -> None:
    live(released, 20, n_labelled=0)
    kinds = "".join(f'[[gate]]\nkind = "{kind}"\n' for kind in ("data", "leakage", "skew"))
    opened = gated(released, kinds)

    verdict = judged(opened).verdict

    policy = policy_of(opened.settings.gate)
    assert {"data", "leakage", "skew", "contract"} <= set(verdict.evidence)
    assert judge(policy.gates, stored_evidence(opened.blobs, verdict)) == verdict.findings


def masking(project: Project, policy: str, more: str = "") -> Project:
    return change(project, BEFORE, f"[capture]\n{policy}\n\n{GATE}{more}\n{BEFORE}")


def test_fields_that_are_not_on_record_are_left_out(released: Project) -> None:
    """A null that `[capture]` wrote is none that a caller sent."""
    opened = masking(released, 'redact = ["wind"]\nhash = ["carrier"]')
    live(opened, 20, n_labelled=0)

    judgement = judged(opened)

    seen = by_metric(judgement)
    assert judgement.version is not None
    assert seen["refused requests"].outcome == "pass"
    assert seen["refused requests"].reason == "2 fields are masked by [capture]: carrier, wind"
    assert "failed requests" not in seen
    moved = seen["moved answers"]
    assert (moved.outcome, moved.is_gated) == ("inconclusive", False)
    assert moved.reason == (
        "no request on record is whole: 2 fields are masked by [capture]: carrier, wind"
    )


def test_a_limit_on_moved_answers_is_undecided_where_no_request_is_whole(
    released: Project,
) -> None:
    opened = masking(released, 'redact = ["wind"]', "moved_at_most = 0.1\n")
    live(opened, 20, n_labelled=0)

    judgement = judged(opened)

    moved = by_metric(judgement)["moved answers"]
    assert (judgement.version, moved.outcome, moved.is_gated) == (None, "inconclusive", True)


def test_a_masked_field_that_the_contract_no_longer_has_is_refused_all_the_same(
    released: Project,
) -> None:
    opened = masking(released, 'redact = ["wind"]')
    live(opened, 20, n_labelled=0)
    fields = "tuple(f for f in FIELDS if f.name != 'wind')"
    new = f'Request = Contract(name="request", version="2.0.0", fields={fields})'
    change(opened, OLD, new, "contracts.py")
    change(opened, ', "wind"]', "]", "pipeline.py")

    refused = by_metric(judged(opened))["refused requests"]

    assert (refused.value, refused.is_gated) == (1.0, False)
    assert refused.reason.startswith("wind: expected no such field (20 requests)")


def test_a_narrower_contract_of_the_same_version_is_refused(released: Project) -> None:
    live(released, 30, n_labelled=0, stormy=True)

    judgement = judged(narrowed(gated(released)))

    seen = by_metric(judgement)
    assert judgement.version is None
    assert seen["breaking changes"].reason == (
        "beside 1.0.0 of delay/1: 'wind' was a number of at least 0 and is a number from 0 to 45:"
        " it has to be called 2.0.0"
    )
    refused = seen["refused requests"]
    assert refused.outcome == "fail"
    assert refused.reason.startswith("wind: expected a number from 0 to 45 (")


def test_the_same_run_under_a_raised_major_version_is_judged_again_and_let_in(
    released: Project,
) -> None:
    live(released, 30, n_labelled=0, stormy=True)
    refused = judged(narrowed(gated(released)))
    opened = change(released, 'version="1.0.0"', 'version="2.0.0"', "contracts.py")

    judgement = evaluate(opened, f"run/{refused.verdict.run}", actor=ANN)

    seen = by_metric(judgement)
    assert (refused.version, judgement.verdict.number) == (None, refused.verdict.number + 1)
    assert judgement.version is not None
    assert seen["breaking changes"].outcome == "pass"
    assert not seen["refused requests"].is_gated


def test_budgets_that_the_contract_promises_are_measured(released: Project) -> None:
    promised = 'Request = Contract(name="request", version="1.1.0", fields=FIELDS, latency_ms=1000, size_mb=0.001)'
    change(released, OLD, promised, "contracts.py")

    seen = by_metric(judged(gated(released)))

    assert seen["latency_ms"].outcome == "pass"
    assert (seen["size_mb"].outcome, seen["size_mb"].limit) == ("fail", 0.001)
    assert "latency_ms" in seen
    assert seen["breaking changes"].outcome == "pass"


def test_a_release_that_breaks_consumers_is_refused_when_it_is_asked_for(
    released: Project,
) -> None:
    """Also without a gate of this kind."""
    version = judged(narrowed(released)).version
    assert version is not None

    with pytest.raises(Refused) as refused:
        request(released, version.ref, to="staging", actor=ANN)

    assert refused.value.message == (
        "delay/2 was not released: its contract request 1.0.0 breaks those who keep 1.0.0 of"
        " delay/1\n  - 'wind' was a number of at least 0 and is a number from 0 to 45"
    )
    assert refused.value.hint == "call the contract 2.0.0, or let it take what it took"


def test_a_release_with_a_raised_major_version_goes_its_way(released: Project) -> None:
    version = judged(narrowed(released, "2.0.0")).version
    assert version is not None

    assert request(released, version.ref, to="staging", actor=ANN).state == "released"
    assert request(released, version.ref, to="production", actor=ANN).state == "awaiting_approval"


def test_a_version_that_needs_other_requests_cannot_share_traffic(released: Project) -> None:
    change(
        released,
        OLD,
        'Request = Contract(name="request", version="2.0.0", fields=(*FIELDS, Field("gate", "string")))',
        "contracts.py",
    )
    change(released, '"distance", "wind"]\n', '"distance", "wind", "gate"]\n', "pipeline.py")
    change(
        released,
        "known = flights.select",
        'known = flights.with_columns(gate=pl.lit("B")).select',
        "pipeline.py",
    )
    version = judged(released).version
    assert version is not None
    request(released, version.ref, to="staging", actor=ANN)  # one step, full

    with pytest.raises(Refused) as refused:
        request(released, version.ref, to="production", actor=ANN)

    assert refused.value.message == (
        "delay/2 was not released: requests of the contract 'request' lack gate, and a shadow"
        " answers the requests of delay/1"
    )


ROLLOUT = """rollout = [
  { mode = "shadow", predictions = 20 },
  { mode = "canary", weight_percent = 50, predictions = 10, labels = 5 },
  { mode = "full" },
]
"""


def test_what_came_in_charge_since_it_was_asked_for_counts_when_it_is_approved(
    released: Project,
) -> None:
    released = change(change(released, ROLLOUT, ""), f"{BEFORE}\n\n", "")
    asked = request(released, accepted(released), to="production", actor=ANN)
    wind = 'Field("wind", "number", minimum=0)'
    change(released, wind, 'Field("wind", "number")', "contracts.py")
    change(released, 'name="request",', 'name="request", version="1.1.0",', "contracts.py")
    wider = request(released, accepted(released, strength=0.5), to="production", actor=ANN)
    assert approve(released, wider.ref, reason="takes more", actor=MAX).state == "released"

    with pytest.raises(Refused) as refused:
        approve(released, asked.ref, reason="looks good", actor=MAX)

    assert refused.value.message == (
        "delay/2 was not released: its contract request 1.0.0 breaks those who keep 1.1.0 of"
        " delay/3\n  - 'wind' was a number and is a number of at least 0"
    )


def accepted(project: Project, strength: float = 2.0) -> str:
    run = train(project, overrides={"delay.strength": strength}, actor=ANN).run
    version = evaluate(project, run.ref, actor=ANN).version
    assert version is not None
    return version.ref
