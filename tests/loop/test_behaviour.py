"""A candidate is judged by what it does in its real serving process."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cd4ml.errors import ConfigurationError
from cd4ml.gates.judge import judge
from cd4ml.gates.stored import stored_evidence
from cd4ml.loop import Project, open_project
from cd4ml.loop.candidate import candidate_of, table
from cd4ml.loop.evaluate import evaluate, verdicts
from cd4ml.loop.gathering import trial
from cd4ml.loop.gathering.asked import Asked
from cd4ml.loop.gathering.recorded import recorded
from cd4ml.loop.train import train
from cd4ml.loop.watch import collect
from cd4ml.records.behaviour import BehaviourEvidence
from cd4ml.records.behaviour_gate import BehaviourGate
from cd4ml.records.contract import Contract, Field
from cd4ml.records.finding import Finding
from cd4ml.records.plan import Plan
from cd4ml.records.verdict import Verdict
from cd4ml.store import rows
from tests.loop.world import ANN, entries, live

GATE = """
[[gate]]
kind = "behaviour"
increasing = ["wind"]
invariant = ["carrier"]
latency_p99_ms = 5000
memory_mb = 5000
rows = 60
requests = 100
"""
PROMISES = [
    "every recorded row is answered",
    "a single row is answered as in a batch",
    "the order of rows does not matter",
    "the same input gets the same answer",
    "an unknown category is answered or refused",
    "null is answered or refused",
    "an extreme value is answered or refused",
    "what is no row is refused",
    "answers over HTTP are those that were judged",
    "every answer is on record",
]


def judged(project: Project, gate: str = GATE, *edits: tuple[str, str]) -> Verdict:
    """The verdict on a run of the project with this gate alone, after edits of its pipeline."""
    settings = project.folder / "cd4ml.toml"
    before, _, rest = settings.read_text().partition("[[gate]]")
    settings.write_text(before + gate + rest[rest.index("[environments.staging]") :])
    code = project.folder / "pipeline.py"
    for old, new in edits:
        assert old in code.read_text()
        code.write_text(code.read_text().replace(old, new))
    with open_project(project.folder) as changed:
        return evaluate(changed, train(changed, actor=ANN).run.ref, actor=ANN).verdict


def by_name(verdict: Verdict) -> dict[str, Finding]:
    return {finding.gate: finding for finding in verdict.findings}


@pytest.fixture(scope="module")
def tried(laid_out_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A project after a candidate, which is compiled, was tried; and the verdict."""
    folder = tmp_path_factory.mktemp("tried") / "small"
    shutil.copytree(laid_out_folder, folder)
    with open_project(folder) as project:
        yield project, judged(project)


def test_a_sound_candidate_keeps_every_promise(tried: Any) -> None:
    found = by_name(tried[1])

    assert list(found)[: len(PROMISES)] == PROMISES
    assert {found[name].outcome for name in PROMISES} == {"pass"}
    assert all(found[name].n_rows > 0 for name in PROMISES)


def test_rules_and_budgets_are_asked_of_the_served_candidate(tried: Any) -> None:
    """The logistic regression of the tests weighs carriers a little, and wind a lot."""
    found = by_name(tried[1])

    assert found["increasing in wind"].outcome == "pass"
    assert found["invariant to carrier"].outcome == "fail"
    assert found["invariant to carrier"].reason.startswith('carrier "AA" gives 0.')
    latency = found["p99 latency at most 5000 ms"]
    assert (latency.outcome, latency.n_rows) == ("pass", 100)
    assert 0 < (latency.low or 0) <= (latency.value or 0) < 5000
    assert 20 < (found["memory at most 5000 MB"].value or 0) < 5000


def test_what_was_tried_is_kept_and_another_policy_can_be_held_against_it(tried: Any) -> None:
    project, verdict = tried

    seen = stored_evidence(project.blobs, verdict)

    behaviour: BehaviourEvidence = seen.gathered["behaviour"]
    assert (behaviour.runtime, behaviour.source, behaviour.n_rows) == ("onnx", "holdout", 60)
    assert [each.field for each in behaviour.responses] == ["carrier", "distance", "wind"]
    other = BehaviourGate(increasing=("distance",), decreasing=("wind",))
    outcomes = {each.gate: each.outcome for each in judge((other,), seen)}
    assert outcomes["decreasing in wind"] == outcomes["increasing in distance"] == "fail"


def test_trying_a_candidate_leaves_nothing_in_the_project(tried: Any) -> None:
    project, _ = tried

    with project.database.read() as connection:
        assert rows.find(connection, Plan) == []
    assert not project.segments.exists() or not any(project.segments.iterdir())
    assert "released" not in " ".join(entry.action for entry in entries(project))


OWN = """    model = make_pipeline(encode, Own(C=strength))
    return model.fit(training.select(REQUEST), training["late"])


class Own(LogisticRegression):
    \"\"\"A class of the project's own, which nothing can compile.\"\"\"
"""


def test_a_native_model_of_the_projects_own_is_tried_and_restricted_rows_are_not_shown(
    project: Project,
) -> None:
    gate = '[[gate]]\nkind = "behaviour"\ninvariant = ["wind"]\nrows = 20\nrequests = 100\n'
    restricted = gate.replace(
        "[[gate]]", '[data.more]\npath = "data/flights.csv"\nreaders = ["x"]\n\n[[gate]]', 1
    )
    made = "    model = make_pipeline(encode, LogisticRegression(C=strength))\n"
    made += '    return model.fit(training.select(REQUEST), training["late"])\n'

    verdict = judged(project, restricted, (made, OWN))

    found = by_name(verdict)
    assert {found[name].outcome for name in PROMISES} == {"pass"}
    assert (found["invariant to wind"].outcome, found["invariant to wind"].reason) == ("fail", "")
    stored = project.blobs.get_record(verdict.evidence["behaviour"], BehaviourEvidence)
    assert stored.runtime == "native"
    assert {each.change_example for each in stored.responses} == {""}


def test_a_candidate_that_cannot_be_served_is_an_error_with_what_it_said(
    project: Project,
) -> None:
    (project.folder / "uvicorn.py").write_text("raise ImportError('no server here')\n")

    verdict = judged(project)

    (found,) = verdict.findings
    assert (found.gate, found.outcome) == ("behaviour", "error")
    assert found.reason.startswith("the candidate could not be served: it ended with ")
    assert "no server here" in found.reason


SHY = """    model = make_pipeline(encode, Shy(C=strength))
    return model.fit(training.select(REQUEST), training["late"])


class Shy(LogisticRegression):
    \"\"\"Answers the judge, and nobody who serves it.\"\"\"

    def predict_proba(self, X):
        import sys

        if "serve" in sys.argv:
            raise SystemExit(0)
        return super().predict_proba(X)
"""


def test_a_candidate_that_ends_the_process_that_serves_it_is_soon_an_error(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "_TRYING_S", 0.1)
    made = "    model = make_pipeline(encode, LogisticRegression(C=strength))\n"
    made += '    return model.fit(training.select(REQUEST), training["late"])\n'

    (found,) = judged(project, GATE, (made, SHY)).findings

    assert (found.gate, found.outcome) == ("behaviour", "error")
    assert found.reason.startswith("the candidate could not be served: it cannot be loaded there: ")
    assert "SystemExit: 0, though a model may end no process" in found.reason


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            'increasing = ["gusts"]',
            "requests of the contract 'request' have no field 'gusts' - at `gate[0].increasing`\n"
            "  hint: known: carrier, distance, wind",
        ),
        (
            'decreasing = ["carrier"]',
            "'carrier' holds texts, which have no order - at `gate[0].decreasing`\n"
            '  hint: invariant = ["carrier"]',
        ),
    ],
)
def test_a_rule_that_no_candidate_could_keep_is_refused_before_anything_is_served(
    project: Project, rule: str, message: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        judged(project, f'[[gate]]\nkind = "behaviour"\n{rule}\n')

    assert str(caught.value) == f"cd4ml.toml: {message}"
    assert verdicts(project) == []


def asked(project: Project, contract: Contract) -> Asked:
    """The first run's candidate, as far as its recorded rows depend on it."""
    candidate = candidate_of(project, 1, model="delay")
    runtime: Any = msgspec.defstruct("Runtime", ["contract"])(contract)
    nothing: Any = None
    return Asked(
        project=project,
        candidate=candidate,
        artifact="",
        contract="",
        runtime=runtime,
        policy=nothing,
        champion=None,
        training=table(project, candidate.training),
        holdout=table(project, candidate.holdout),
    )


REQUEST = Contract(
    name="request",
    fields=(
        Field("carrier", "string"),
        Field("distance", "number", minimum=0),
        Field("wind", "number", minimum=0),
    ),
)


def test_the_newest_requests_of_production_are_asked_where_there_are_any(
    released: Project,
) -> None:
    live(released, 8)
    collect(released)

    found = recorded(asked(released, REQUEST), 5)

    assert (found.source, len(found.rows)) == ("production", 5)
    newest = released.log.predictions().collect().sort("answered_at", descending=True)
    assert found.rows == [msgspec.json.decode(text) for text in newest["inputs"][:5]]


def test_requests_that_the_candidates_contract_refuses_are_not_asked(released: Project) -> None:
    live(released, 4)
    collect(released)
    other = msgspec.structs.replace(
        REQUEST, fields=(Field("carrier", "string"), Field("distance", "number", minimum=10**6))
    )

    found = recorded(asked(released, other), 5)

    assert (found.source, len(found.rows)) == ("holdout", 5)
    assert set(found.rows[0]) == {"carrier", "distance"}
