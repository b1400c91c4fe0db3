"""The rows that taught a candidate are held against the contracts of today."""

from cd4ml.loop import Project
from cd4ml.loop.evaluate import evaluate
from cd4ml.loop.train import train
from cd4ml.records.finding import Finding
from tests.loop.test_evaluate import change
from tests.loop.test_ingest import add_flights
from tests.loop.world import ANN

GATE = '[[gate]]\nkind = "data"\n'


def gated(project: Project, more: str = "") -> Project:
    return change(project, "[environments.staging]", f"{GATE}{more}\n[environments.staging]")


def found(project: Project) -> dict[str, Finding]:
    verdict = evaluate(project, train(project, actor=ANN).run.ref, actor=ANN).verdict
    return {finding.gate: finding for finding in verdict.findings}


def test_data_that_keeps_its_contract_passes(project: Project) -> None:
    seen = found(gated(project))

    kept = seen["broken rules at most 0 in flights@1"]
    assert (kept.outcome, kept.n_rows, kept.reason) == ("pass", 600, "flights 1.0.0 is kept")


def test_a_contract_that_was_tightened_since_the_data_came_is_asked(project: Project) -> None:
    run = train(project, actor=ANN).run
    wind = 'Field("wind", "number", minimum=0'
    change(project, wind, f"{wind}, maximum=30", "contracts.py")
    opened = change(gated(project), 'contract = "contracts:Request"\n', "")

    verdict = evaluate(opened, run.ref, actor=ANN).verdict

    broken = [f for f in verdict.findings if f.metric in ("broken rules", "above maximum")]
    assert [(f.gate, f.outcome, f.is_gated) for f in broken] == [
        ("broken rules at most 0 in flights@1", "fail", True),
        ("flights: wind at most 30", "fail", False),
        ("broken rules at most 0 in labelled@empty", "pass", True),
    ]
    assert "rows" in broken[0].reason


def test_no_value_of_a_row_is_kept_with_the_verdict(project: Project) -> None:
    run = train(project, actor=ANN).run
    wind = 'Field("wind", "number", minimum=0'
    change(project, wind, f"{wind}, maximum=30", "contracts.py")
    opened = change(gated(project), 'contract = "contracts:Request"\n', "")

    verdict = evaluate(opened, run.ref, actor=ANN).verdict

    stored = opened.blobs.get(verdict.evidence["data"]).decode()
    assert '"example":""' in stored or '"example":' not in stored
    rule = next(f for f in verdict.findings if f.gate == "flights: wind at most 30")
    assert not rule.example
    assert ": " not in rule.reason.partition("first in")[2]


def test_rows_that_were_set_aside_are_counted(project: Project) -> None:
    change(project, 'owner = "operations"', 'owner = "operations"\non_violation = "quarantine"')
    opened = gated(project, "quarantined_at_most = 0.001\n")
    data = opened.folder / "data" / "flights.csv"
    lines = data.read_text().splitlines()
    lines[1] = lines[1].replace("AA,", "XX,").replace("UA,", "XX,")
    data.write_text("\n".join(lines) + "\n")

    finding = found(opened)["quarantined rows at most 0.001 in flights@1"]

    assert (finding.outcome, finding.reason) == ("fail", "1 of 600 rows were set aside")


def test_a_dataset_without_a_contract_fails(project: Project) -> None:
    opened = gated(change(project, 'contract = "contracts:Flights"\n', ""))

    finding = found(opened)["a contract of flights@1"]

    assert finding.outcome == "fail"
    assert finding.reason == ("no contract says what the rows of flights@1 have to look like")


def test_rows_are_as_fresh_as_when_the_run_began(project: Project) -> None:
    change(
        project,
        'name="flights",',
        'name="flights", event_time="event_at", fresh_within_hours=9,',
        "contracts.py",
    )
    add_flights(project, 5)

    seen = found(gated(project))

    assert seen["broken rules at most 0 in flights@1"].outcome == "pass"
