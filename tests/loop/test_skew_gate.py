"""Captured requests are held against training, against the estimator, and against the pipeline."""

from collections.abc import Callable
from datetime import timedelta

import msgspec
import polars as pl
import pytest

from cd4ml.errors import ConfigurationError
from cd4ml.loop import Project
from cd4ml.loop.evaluate import evaluate
from cd4ml.loop.train import train
from cd4ml.loop.watch import collect
from cd4ml.records.finding import Finding
from cd4ml.store.lines import seal
from cd4ml.store.project import open_project
from cd4ml.store.segments import Segment
from tests.loop.test_evaluate import change
from tests.loop.test_ingest import add_flights
from tests.loop.world import ANN, live, release_first

GATE = '[[gate]]\nkind = "skew"\n'
MINUTE = timedelta(minutes=1)
BEFORE = "[environments.staging]"


def gated(project: Project, more: str = "") -> Project:
    return change(project, BEFORE, f"{GATE}{more}\n{BEFORE}")


def found(project: Project) -> dict[str, Finding]:
    add_flights(project, 30)
    verdict = evaluate(project, train(project, actor=ANN).run.ref, actor=ANN).verdict
    return {f.gate: f for f in verdict.findings if f.slice == "" or f.metric != "auc"}


def test_what_production_asks_is_what_was_learned_from(released: Project) -> None:
    live(released, 40, apart=MINUTE, n_labelled=0)

    seen = found(gated(released))

    assert seen["types of requests as in training"].reason == (
        "the newest 40 requests in production"
    )
    again = seen["answers asked again within 1e-05 (delay/1)"]
    assert (again.outcome, again.n_rows) == ("pass", 40)
    assert seen["values of requests as in training"].outcome == "pass"


def test_before_anything_was_asked_the_first_version_passes(project: Project) -> None:
    run = train(gated(project), actor=ANN).run

    verdict = evaluate(gated(project), run.ref, actor=ANN).verdict

    assert verdict.outcome == "pass"


def test_a_caller_with_another_unit_is_found(released: Project) -> None:
    live(
        released,
        40,
        apart=MINUTE,
        n_labelled=0,
        made=lambda rows: rows.with_columns(distance=pl.col("distance") * 1609.3),
    )

    seen = found(gated(released))

    unit = seen["unseen values at most 0.05 (distance)"]
    assert (unit.outcome, unit.value) == ("fail", 1.0)
    allowed = found(gated(released, 'allow = { distance = "metres since May" }\n'))
    assert not allowed["unseen values at most 0.05 (distance)"].is_gated


def test_an_answer_that_the_estimator_does_not_give_is_found(released: Project) -> None:
    live(released, 5, apart=MINUTE, n_labelled=0)
    segment = next(iter(sorted(released.segments.glob("*.jsonl"))))
    first = msgspec.json.decode(segment.read_bytes().splitlines()[0])
    del first["crc"]
    other = {**first, "prediction_id": "0" * 31 + "1", "score": first["score"] + 0.25}
    tampered = Segment(released.segments, "elsewhere")
    tampered.append(seal(msgspec.json.encode(other)))
    tampered.close()

    again = found(gated(released))["answers asked again within 1e-05 (delay/1)"]

    assert (again.outcome, again.value) == ("fail", pytest.approx(0.25, abs=1e-6))
    assert again.reason == "1 of 6 answers on record are not those of the fitted estimator"


def test_requests_of_other_types_than_the_candidates_contract_fail(released: Project) -> None:
    live(released, 5, apart=MINUTE, n_labelled=0)
    collect(released)
    wind = 'Field("wind", "number", minimum=0)'
    change(released, wind, 'Field("wind", "integer", minimum=0)', "contracts.py")
    contract = 'contract = "contracts:Flights"\n'
    for old, new in (
        ('"event_at", "late")', '"event_at", "late").with_columns(pl.col("wind").cast(int))'),
    ):
        change(released, old, new, "pipeline.py")
    opened = change(gated(released), contract, "")

    seen = found(opened)

    types = seen["types of requests as in training"]
    assert types.outcome == "fail"
    assert types.reason == (
        "5 of 5 requests hold values of other types: wind: expected an integer (5 requests)"
    )


def test_the_policy_names_an_environment_that_there_is(project: Project) -> None:
    opened = gated(project, 'environment = "moon"\n')
    run = train(opened, actor=ANN).run

    with pytest.raises(ConfigurationError) as refused:
        evaluate(opened, run.ref, actor=ANN)

    assert refused.value.message == (
        "cd4ml.toml: there is no environment 'moon' - at `gate.environment`"
    )


def masking(project: Project, policy: str, more: str = "") -> Project:
    return change(project, BEFORE, f"[capture]\n{policy}\n\n{GATE}{more}\n{BEFORE}")


def test_what_is_not_on_record_is_not_held_against_a_candidate(released: Project) -> None:
    """Half of the requests came before the field was masked: those are asked again."""
    live(released, 20, apart=MINUTE, n_labelled=0)
    opened = masking(released, 'redact = ["wind"]')
    live(opened, 20, apart=MINUTE, n_labelled=0, seed=2)

    seen = found(opened)

    assert seen["types of requests as in training"].reason == (
        "the newest 40 requests in production; 1 field is masked by [capture]: wind"
    )
    again = seen["answers asked again within 1e-05 (delay/1)"]
    assert (again.outcome, again.n_rows, again.reason) == (
        "pass",
        20,
        "20 more cannot be asked again: 1 field is masked by [capture]: wind",
    )
    assert seen["values of requests as in training"].reason == "2 columns"


def test_where_no_request_is_whole_the_answers_are_undecided_unless_that_is_allowed(
    released: Project,
) -> None:
    opened = masking(released, 'hash = ["carrier"]\nredact = ["wind"]')
    live(opened, 20, apart=MINUTE, n_labelled=0)
    asked = "answers asked again within 1e-05 (delay/1)"

    undecided = found(opened)[asked]
    change(opened, GATE, f'{GATE}allow = {{ carrier = "the law", wind = "the law" }}\n')
    allowed = found(open_project(released.folder))[asked]

    assert (undecided.outcome, undecided.is_gated) == ("inconclusive", True)
    assert undecided.reason == (
        "no request on record is whole: 2 fields are masked by [capture]: carrier, wind"
    )
    assert (allowed.outcome, allowed.is_gated) == ("inconclusive", False)


FEATURES = """

@step
def features(flights: pl.DataFrame, *, factor: float = 1.609) -> pl.DataFrame:
    return flights.with_columns(km=pl.col("distance") * factor)
"""


def with_features(project: Project, more: str) -> Project:
    """The request has `km` too, which the step `features` makes of the distance."""
    text = (project.folder / "pipeline.py").read_text()
    text = text.replace("def examples(flights:", "def examples(features:")
    text = text.replace("flights.select(*REQUEST", "features.select(*REQUEST")
    text = text.replace('"distance", "wind"]\n', '"distance", "wind", "km"]\n')
    (project.folder / "pipeline.py").write_text(text + FEATURES)
    change(
        project,
        'Request = Contract(name="request", fields=FIELDS)',
        'Request = Contract(name="request", fields=(*FIELDS, Field("km", "number")))',
        "contracts.py",
    )
    return gated(project, more)


def in_km(factor: float) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda rows: rows.with_columns(km=pl.col("distance") * factor)


def test_captured_requests_through_the_pipelines_own_step_give_what_the_model_saw(
    project: Project,
) -> None:
    opened = with_features(project, 'step = "features"\ntakes = "flights"\n')
    release_first(opened)
    live(opened, 8, apart=MINUTE, n_labelled=0, made=in_km(1.609))

    seen = found(opened)

    km = seen["columns made again by features, different at most 0 (km)"]
    assert (km.outcome, km.n_rows) == ("pass", 8)


def test_a_caller_that_computes_a_feature_otherwise_is_found(project: Project) -> None:
    opened = with_features(project, 'step = "features"\ntakes = "flights"\n')
    release_first(opened)
    live(opened, 8, apart=MINUTE, n_labelled=0, made=in_km(1.852))

    km = found(opened)["columns made again by features, different at most 0 (km)"]

    assert (km.outcome, km.reason) == (
        "fail",
        "8 of 8 requests have another value in 'km' than 'features' makes",
    )


def test_a_step_that_fails_on_captured_rows_is_an_error(project: Project) -> None:
    opened = with_features(project, 'step = "features"\ntakes = "flights"\n')
    release_first(opened)
    live(opened, 3, apart=MINUTE, n_labelled=0, made=in_km(1.609))
    change(
        opened,
        'km=pl.col("distance")',
        'km=pl.col("event_at").dt.hour() + pl.col("distance")',
        "pipeline.py",
    )

    failed = found(opened)["columns made again by features"]

    assert failed.outcome == "error"
    assert failed.reason.startswith(
        "the step 'features' fails on captured rows: ColumnNotFoundError"
    )


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('step = "gone"\ntakes = "flights"\n', "there is no step 'gone' - at `gate.step`"),
        (
            'step = "features"\ntakes = "wind"\n',
            "the step 'features' has no input 'wind' - at `gate.takes`",
        ),
        (
            'step = "features"\nkey = "flight"\n',
            "the step 'features' has no column 'flight' - at `gate.key`",
        ),
    ],
)
def test_a_step_that_there_is_not_is_the_policys_mistake(
    project: Project, more: str, message: str
) -> None:
    opened = with_features(project, more)
    first = change(opened, f"{GATE}{more}", "")
    release_first(first)
    live(first, 3, apart=MINUTE, n_labelled=0, made=in_km(1.609))
    opened = gated(first, more)
    add_flights(opened, 30)
    run = train(opened, actor=ANN).run

    with pytest.raises(ConfigurationError) as refused:
        evaluate(opened, run.ref, actor=ANN)

    assert refused.value.message == f"cd4ml.toml: {message}"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('step = "gone"\ntakes = "flights"\n', "there is no step 'gone' - at `gate.step`"),
        ('step = "gone"\nkey = "flight"\n', "run/1 has no step 'gone' - at `gate.step`"),
    ],
)
def test_a_step_that_there_is_not_is_seen_before_production_is_asked_anything(
    project: Project, more: str, message: str
) -> None:
    opened = with_features(project, more)
    train(opened, actor=ANN)

    with pytest.raises(ConfigurationError) as refused:
        evaluate(opened, "run/1", actor=ANN)

    assert refused.value.message == f"cd4ml.toml: {message}"


def test_stored_rows_of_a_step_are_found_by_the_callers_key(project: Project) -> None:
    """The rows of the requests have landed in the dataset: what was served is held against them."""
    opened = with_features(project, 'step = "features"\nkey = "flight"\n')
    data = opened.folder / "data" / "flights.csv"
    rows = pl.read_csv(data).with_row_index("flight")
    rows.write_csv(data)
    change(
        opened,
        'fields=(*FIELDS, Field("event_at"',
        'fields=(Field("flight", "integer"), *FIELDS, Field("event_at"',
        "contracts.py",
    )
    release_first(opened)
    served = rows.select("flight", "carrier", "distance", "wind").head(6)
    live(
        opened,
        6,
        apart=MINUTE,
        n_labelled=0,
        made=lambda _: in_km(1.609)(served).with_columns(
            pl.col("flight").cast(pl.String), distance=pl.col("distance") + (pl.col("flight") > 3)
        ),
        key="flight",
    )

    run = train(opened, overrides={"delay.strength": 0.5}, actor=ANN).run
    verdict = evaluate(opened, run.ref, actor=ANN).verdict

    made = {f.gate: (f.outcome, f.value) for f in verdict.findings if "made again" in f.gate}
    asked = "columns made again by features, different at most 0"
    assert made == {
        f"{asked} (carrier)": ("pass", 0.0),
        f"{asked} (distance)": ("fail", 2.0),
        f"{asked} (wind)": ("pass", 0.0),
        f"{asked} (km)": ("pass", 0.0),
    }


def test_a_step_is_not_held_against_requests_that_are_not_on_record(project: Project) -> None:
    more = 'step = "features"\ntakes = "flights"\n'
    opened = with_features(project, more)
    opened = change(opened, BEFORE, f'[capture]\nredact = ["distance"]\n\n{BEFORE}')
    release_first(opened)
    live(opened, 10, apart=MINUTE, n_labelled=0, made=in_km(1.609))

    made = found(opened)["columns made again by features"]

    assert (made.outcome, made.reason) == (
        "inconclusive",
        "no request on record is whole: 1 field is masked by [capture]: distance",
    )


def test_requests_are_not_found_by_a_callers_key_that_is_masked(project: Project) -> None:
    opened = with_features(project, 'step = "features"\nkey = "carrier"\n')
    opened = change(opened, BEFORE, f'[capture]\nhash = ["cd4ml-key"]\n\n{BEFORE}')
    release_first(opened)
    live(opened, 10, apart=MINUTE, n_labelled=0, made=in_km(1.609))

    made = found(opened)["columns made again by features"]

    assert (made.outcome, made.reason) == (
        "inconclusive",
        "no request on record is whole: 1 field is masked by [capture]: cd4ml-key",
    )
