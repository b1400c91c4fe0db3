"""A policy is refused when it is read, not when it first judges."""

import math
import subprocess
import sys

import msgspec
import pytest

from cd4ml.errors import ConfigurationError
from cd4ml.gates.policy import Policy, policy_of
from cd4ml.measures.catalog import MEASURES
from cd4ml.records.metric_gate import MetricGate
from cd4ml.store.address import address_of_record


def refusal(**gate: object) -> str:
    with pytest.raises(ConfigurationError) as caught:
        policy_of((MetricGate(metric="auc", at_least=0.5), msgspec.convert(gate, MetricGate)))
    return str(caught.value)


def test_a_policy_keeps_its_gates_in_order() -> None:
    gates = (MetricGate(metric="brier", at_most=0.2), MetricGate(metric="auc", at_least=0.58))

    assert policy_of(gates).gates == gates


def test_the_address_of_a_policy_is_that_of_its_content() -> None:
    one = policy_of((MetricGate(metric="auc", at_least=0.58),))
    same = policy_of((MetricGate(metric="auc", at_least=0.58),))
    other = policy_of((MetricGate(metric="auc", at_least=0.59),))

    assert one.address == same.address == address_of_record(one)
    assert one.address != other.address


def test_a_policy_names_the_versions_it_compares_with() -> None:
    margins = {"champion": 0.01, "delay/3": 0.02}

    policy = Policy((MetricGate(metric="auc", no_worse_than=margins),))

    assert policy.versions == ("delay/3",)


def test_a_project_without_gates_has_a_policy_that_asks_nothing() -> None:
    assert policy_of(()).gates == ()


def test_an_unknown_measure_is_refused_with_the_known_ones() -> None:
    assert refusal(metric="acc", at_least=0.9) == (
        "cd4ml.toml: there is no measure named 'acc' - at `gate[1].metric`\n"
        f"  hint: known: {', '.join(sorted(MEASURES))}"
    )


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (
            {"metric": "auc", "at_least": 1.5},
            "auc is never above 1, got 1.5 - at `gate[1].at_least`",
        ),
        (
            {"metric": "brier", "at_most": -0.1},
            "brier is never below 0, got -0.1 - at `gate[1].at_most`",
        ),
    ],
)
def test_a_limit_that_no_model_can_reach_is_refused(gate: dict[str, object], message: str) -> None:
    assert refusal(**gate) == f"cd4ml.toml: {message}\n  hint: no model could pass"


@pytest.mark.parametrize(
    "gate", [{"metric": "auc", "at_least": 1}, {"metric": "brier", "at_most": 0}]
)
def test_perfection_may_be_asked_for(gate: dict[str, object]) -> None:
    assert policy_of((msgspec.convert(gate, MetricGate),)).gates[0].metric == gate["metric"]


def test_a_gate_without_a_limit_is_refused() -> None:
    assert refusal(metric="auc") == (
        "cd4ml.toml: a gate on auc needs a limit - at `gate[1]`\n"
        "  hint: at_least, at_most, better_than or no_worse_than"
    )


def test_a_floor_under_an_error_measure_is_refused() -> None:
    assert refusal(metric="brier", at_least=0.2) == (
        "cd4ml.toml: brier is better the lower it is, so it cannot be asked to be at least a value"
        " - at `gate[1].at_least`\n"
        "  hint: at_most = 0.2"
    )


def test_a_ceiling_over_a_quality_measure_is_refused() -> None:
    assert refusal(metric="auc", at_most=0.6) == (
        "cd4ml.toml: auc is better the higher it is, so it cannot be asked to be at most a value"
        " - at `gate[1].at_most`\n"
        "  hint: at_least = 0.6"
    )


@pytest.mark.parametrize("limit", [math.nan, math.inf])
def test_a_limit_that_is_no_number_is_refused(limit: float) -> None:
    assert refusal(metric="auc", at_least=limit) == (
        f"cd4ml.toml: a limit is a finite number, got {limit} - at `gate[1].at_least`"
    )


@pytest.mark.parametrize("margin", [0.0, -0.01, math.nan, math.inf])
def test_a_margin_is_positive(margin: float) -> None:
    assert refusal(metric="auc", no_worse_than={"champion": margin}) == (
        f"cd4ml.toml: the margin by which it may be worse is above 0, got {margin:g}"
        " - at `gate[1].no_worse_than.champion`\n"
        "  hint: for example 0.005; with 0 chance decides"
    )


KNOWN = (
    "hint: known: trivial, champion, a version such as delay/3, last-day, last-week or last-year"
)


@pytest.mark.parametrize(
    "name", ["challenger", "delay/", "delay/0", "delay/x", "/3", "last-month", "last-day-by-month"]
)
def test_only_a_baseline_can_be_compared_with(name: str) -> None:
    assert refusal(metric="auc", no_worse_than={name: 0.01}) == (
        f"cd4ml.toml: {name!r} is no baseline - at `gate[1].no_worse_than`\n  {KNOWN}"
    )
    assert refusal(metric="auc", better_than=name) == (
        f"cd4ml.toml: {name!r} is no baseline - at `gate[1].better_than`\n  {KNOWN}"
    )


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (
            {"metric": "recall", "better_than": "trivial"},
            "one answer for all rows has a recall of 0 or 1, or none at all"
            " - at `gate[1].better_than`\n"
            "  hint: a floor says more, or better_than trivial in accuracy",
        ),
        (
            {"metric": "auc", "at_least": 0.6, "threshold": 0.3},
            "auc does not depend on a threshold - at `gate[1].threshold`\n"
            "  hint: those that do: accuracy, recall, precision, false_positive_rate, f1",
        ),
        (
            {"metric": "recall", "at_least": 0.6, "threshold": math.inf},
            "a threshold of probabilities is above 0 and at most 1, got inf - at `gate[1].threshold`\n"
            "  hint: for example 0.5",
        ),
        (
            {"metric": "recall", "at_least": 0.6, "threshold": -1.0},
            "a threshold of probabilities is above 0 and at most 1, got -1 - at `gate[1].threshold`\n"
            "  hint: for example 0.5",
        ),
        (
            {"metric": "auc", "at_least": -1.0},
            "no auc is worse than 0, so at least -1 asks nothing - at `gate[1].at_least`\n"
            "  hint: every model would pass",
        ),
        (
            {"metric": "brier", "at_most": 1.0},
            "no brier is worse than 1, so at most 1 asks nothing - at `gate[1].at_most`\n"
            "  hint: every model would pass",
        ),
        (
            {"metric": "auc", "no_worse_than": {"champion": 1.0}},
            "nothing is worse by 1 in auc, so this asks nothing"
            " - at `gate[1].no_worse_than.champion`\n"
            "  hint: for example 0.005",
        ),
        (
            {"metric": "auc", "better_than": "trivial", "by": "interval"},
            "there is no at_least or at_most to be met - at `gate[1].by`\n"
            "  hint: comparisons are always decided by the interval of the difference",
        ),
        (
            {"metric": "auc", "at_least": 0.6, "together": "day"},
            "rows of one 'day' are drawn together only by the bootstrap - at `gate[1].together`\n"
            '  hint: interval = "bootstrap"',
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(gate: dict[str, object], message: str) -> None:
    assert refusal(**gate) == f"cd4ml.toml: {message}"


def test_reading_a_policy_loads_nothing_heavy() -> None:
    program = (
        "import sys, cd4ml.gates.policy;"
        "print(*{'numpy', 'polars', 'scipy', 'sklearn'} & sys.modules.keys())"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == ""


def test_a_policy_names_what_it_compares_with_once() -> None:
    policy = policy_of(
        (
            MetricGate(metric="auc", better_than="last-week", no_worse_than={"champion": 0.1}),
            MetricGate(metric="brier", better_than="last-week", no_worse_than={"delay/2": 0.1}),
        )
    )

    assert policy.baselines == ("champion", "last-week", "delay/2")
    assert policy.versions == ("delay/2",)
