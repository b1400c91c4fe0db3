"""No row teaches and judges one version: what was learned by heart is no evidence."""

from pathlib import Path

import pytest

from cd4ml.errors import ConfigurationError
from cd4ml.loop import Project, open_project
from cd4ml.loop.evaluate import Judgement, evaluate
from cd4ml.loop.train import train
from tests.loop.test_evaluate import change
from tests.loop.world import ANN

HOLDOUT = "examples.tail(examples.height // 3)"
TRAINING = "examples.head(examples.height * 2 // 3)"


def judged(project: Project) -> Judgement:
    return evaluate(project, train(project, actor=ANN).run.ref, actor=ANN)


def on_both_sides(project: Project) -> Project:
    """The last ten training rows judge as well, as a mistake of one line makes them."""
    return change(project, HOLDOUT, "examples.tail(examples.height // 3 + 10)", "pipeline.py")


def test_a_candidate_that_learned_rows_of_its_holdout_is_refused(project: Project) -> None:
    judgement = judged(on_both_sides(project))

    assert (judgement.verdict.outcome, judgement.version) == ("error", None)
    assert judgement.message == (
        "run/1 was not accepted: 1 of 4 findings could not be measured\n"
        "  - shared rows = 10, needs at most 0: 10 of 210 holdout rows are training rows too"
        " (in every column), for example carrier=AA, distance=1164.6, wind=3.21,"
        " event_at=2013-01-23 06:00:00+00:00, ...\n"
        "  hint: cd4ml gate show verdict/1"
    )


def test_rows_apart_are_judged_as_before(project: Project) -> None:
    judgement = judged(project)

    assert judgement.verdict.outcome == "pass"
    assert "shared rows" not in {finding.metric for finding in judgement.verdict.findings}


def test_a_row_is_known_by_the_key_of_its_datasets_contract(project: Project) -> None:
    """Its measurements were changed on one side, but it is the same flight."""
    keyed = change(
        project, 'name="flights",', 'name="flights",\n    key=("event_at",),', "contracts.py"
    )
    mended = change(
        on_both_sides(keyed),
        TRAINING,
        f"{TRAINING}.with_columns(pl.col('wind') + 1)",
        "pipeline.py",
    )

    finding = judged(mended).verdict.findings[0]

    assert (finding.metric, finding.value, finding.outcome) == ("shared rows", 10.0, "error")
    assert finding.reason == (
        "10 of 210 holdout rows are training rows too (by event_at),"
        " for example event_at=2013-01-23 06:00:00+00:00"
    )


def test_what_must_not_be_on_both_sides_can_be_said(project: Project) -> None:
    before = judged(project)
    grouped = change(project, 'target = "late"', 'target = "late"\nkey = ["carrier"]')

    judgement = judged(grouped)

    assert before.verdict.outcome == "pass"
    assert judgement.verdict.findings[0].reason == (
        "200 of 200 holdout rows are training rows too (by carrier), for example carrier=UA"
    )
    assert judgement.verdict.policy != before.verdict.policy


def test_a_key_that_the_rows_lack_is_a_mistake_in_the_settings(project: Project) -> None:
    grouped = change(project, 'target = "late"', 'target = "late"\nkey = ["pilot"]')

    with pytest.raises(ConfigurationError) as refused:
        judged(grouped)

    assert str(refused.value) == (
        "cd4ml.toml: the training rows have no column 'pilot', which is to identify them"
        " - at `model.key`\n"
        "  hint: known: carrier, distance, wind, event_at, late; see `model.key`"
    )


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ('["late"]', "'late' is what is to be predicted, and identifies no row - at `model.key`"),
        (
            '["carrier", "carrier"]',
            "a column stands twice in ['carrier', 'carrier'] - at `model.key`",
        ),
    ],
)
def test_a_key_that_identifies_nothing_is_refused(project: Project, key: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        change(project, 'target = "late"', f'target = "late"\nkey = {key}')

    assert str(refused.value) == (
        f"{project.folder / 'cd4ml.toml'}: {message}\n"
        "  hint: docs/reference/settings.md of the manual lists every key"
    )


def test_a_key_is_no_part_of_a_derived_request(project: Project) -> None:
    """Who somebody is says on which side the rows are; it is not asked of callers."""
    folder: Path = project.folder
    settings = folder / "cd4ml.toml"
    text = settings.read_text().replace('contract = "contracts:Request"\n', "")
    settings.write_text(text.replace('target = "late"', 'target = "late"\nkey = ["flight"]'))
    pipeline = folder / "pipeline.py"
    numbered = '.select(*REQUEST, "event_at", "late").with_row_index("flight")'
    pipeline.write_text(
        pipeline.read_text().replace('.select(*REQUEST, "event_at", "late")', numbered, 1)
    )
    from cd4ml.loop.candidate import candidate_of, contract_of

    with open_project(folder) as derived:
        judgement = judged(derived)
        assert judgement.verdict.outcome == "pass"
        assert contract_of(derived, candidate_of(derived, 1)).names == (
            "carrier",
            "distance",
            "wind",
        )


def test_rows_that_taught_the_champion_are_shown_and_decide_nothing(released: Project) -> None:
    turned = change(released, HOLDOUT, "examples.head(examples.height // 3)", "pipeline.py")
    turned = change(turned, TRAINING, "examples.tail(examples.height * 2 // 3)", "pipeline.py")

    verdict = judged(turned).verdict

    (shared,) = [finding for finding in verdict.findings if finding.metric == "shared rows"]
    assert (shared.gate, shared.value) == ("shared rows with delay/1 at most 0", 200.0)
    assert not shared.is_gated
    assert shared.reason.startswith(
        "200 of 200 holdout rows taught delay/1 too (in every column), for example carrier="
    )
    assert verdict.outcome == "pass"
