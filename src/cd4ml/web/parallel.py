"""Trials, or runs, as lines through parallel axes: first the parameters, then what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from cd4ml.loop.search import SearchReport, places_of
from cd4ml.records.search import Choices, Domain, Trial
from cd4ml.web.curves import N_COLOURS

if TYPE_CHECKING:
    from cd4ml.experiments.compare import Comparison

WIDTH, HEIGHT = 720, 240
TOP, BOTTOM, SIDE = 24, 216, 60

_MOST = 500  # lines, the best ones
_NAMED = 12  # values of an axis that have room for their names
_AXES = 6  # of parameters, and of metrics
_BEST = 0.1  # share of the trials that is drawn as the best ones


class Tick(NamedTuple):
    """A value between the ends of an axis."""

    y: float
    label: str


class Axis(NamedTuple):
    """An upright axis, with what stands above it, at its ends and between."""

    x: float
    name: str
    low: str
    high: str
    ticks: tuple[Tick, ...] = ()


class Line(NamedTuple):
    """One trial: its points, how it did (best, rest or pruned), and the sentence that says it."""

    points: str
    kind: str
    sentence: str


class Parallel(NamedTuple):
    """Everything a template needs to draw the trials of a search."""

    axes: list[Axis]
    lines: list[Line]
    sentence: str  # for those who do not see it
    width: int = WIDTH
    height: int = HEIGHT
    top: int = TOP
    bottom: int = BOTTOM


def parallel(report: SearchReport) -> Parallel | None:
    """The drawing of the trials that have a value; None where fewer than two have one.

    The lines of the best tenth come last, so that they lie above the others.
    """
    plan = report.search.plan
    known = [trial for trial in report.trials if trial.value is not None]
    values = [trial.value for trial in known if trial.value is not None]
    if len(known) < 2 or not plan.metric:
        return None
    low, high = min(values), max(values)
    sign = 1 if plan.direction == "higher" else -1
    ranked = sorted(known, key=lambda trial: -sign * (trial.value or 0.0))[:_MOST]
    n_best = max(1, round(_BEST * len(ranked)))
    step = (WIDTH - 2 * SIDE) / len(plan.space)
    axes = [
        Axis(SIDE + i * step, name, *_ends(domain), _between(domain))
        for i, (name, domain) in enumerate(plan.space.items())
    ]
    axes.append(Axis(WIDTH - SIDE, plan.metric, f"{low:.4g}", f"{high:.4g}"))
    lines = []
    for rank, trial in reversed(list(enumerate(ranked))):
        share = 0.5 if low == high else ((trial.value or 0.0) - low) / (high - low)
        heights = [*places_of(plan, trial), share]
        kind = "pruned" if trial.state == "pruned" else "best" if rank < n_best else "rest"
        lines.append(Line(_points(axes, heights), kind, _sentence(trial, plan.metric)))
    sentence = (
        f"{len(ranked)} trials of {report.search.ref}, from their parameters to {plan.metric}"
    )
    return Parallel(axes, lines, sentence)


def parallel_runs(comparison: Comparison) -> Parallel | None:
    """The drawing of runs through what differs; None for two runs, or without a metric.

    Parameters come first, then metrics. Each run has the colour that it has among its curves.
    """
    lines = [each for each in comparison.differences if each.kind == "parameter"][:_AXES]
    metrics = [each for each in comparison.differences if each.kind == "metric"][:_AXES]
    if len(comparison.runs) < 3 or not lines or not metrics:
        return None
    shown = [*lines, *metrics]
    step = (WIDTH - 2 * SIDE) / (len(shown) - 1)
    heights, axes = [], []
    for i, each in enumerate(shown):
        ends, there = _scaled(each.values)
        axes.append(Axis(SIDE + i * step, each.name.rpartition(".")[2], *ends))
        heights.append(there)
    drawn = [
        Line(
            _points(*_crossed(axes, [column[i] for column in heights])),
            f"run run-{i % N_COLOURS}",
            f"{run}: " + ", ".join(f"{each.name} = {_short(each.values[i])}" for each in shown),
        )
        for i, run in enumerate(comparison.runs)
    ]
    return Parallel(axes, drawn, f"{', '.join(comparison.runs)}, through what differs")


def _scaled(values: Sequence[object]) -> tuple[tuple[str, str], list[float | None]]:
    """What stands at the ends of an axis, and where each value lies; None where there is none."""
    known = [value for value in values if value is not None]
    if all(_is_number(value) for value in known):
        low, high = min(known), max(known)  # type: ignore[type-var]
        places = {value: _share(value, low, high) for value in known}
    else:
        named = list(dict.fromkeys(str(value) for value in known))
        low, high = named[0], named[-1]
        places = {str(each): i / max(1, len(named) - 1) for i, each in enumerate(named)}
        values = [None if value is None else str(value) for value in values]
    return (_short(low), _short(high)), [places.get(value) for value in values]


def _share(value: Any, low: Any, high: Any) -> float:
    return 0.5 if low == high else float((value - low) / (high - low))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _crossed(axes: list[Axis], heights: list[float | None]) -> tuple[list[Axis], list[float]]:
    """The axes on which a run has a value, and where."""
    there = [
        (axis, height) for axis, height in zip(axes, heights, strict=True) if height is not None
    ]
    return [axis for axis, _ in there], [height for _, height in there]


def _points(axes: list[Axis], heights: list[float]) -> str:
    return " ".join(
        f"{axis.x:.1f},{BOTTOM - height * (BOTTOM - TOP):.1f}"
        for axis, height in zip(axes, heights, strict=True)
    )


def _sentence(trial: Trial, metric: str) -> str:
    given = ", ".join(f"{name} = {_short(value)}" for name, value in trial.parameters.items())
    return f"trial {trial.position}, {trial.state}: {given}; {metric} = {_short(trial.value)}"


def _ends(domain: Domain) -> tuple[str, str]:
    if isinstance(domain, Choices):
        return _short(domain.values[0]), _short(domain.values[-1])
    return f"{domain.low:.4g}", f"{domain.high:.4g}"


def _between(domain: Domain) -> tuple[Tick, ...]:
    """The named values between the first and the last, as far as there is room for them."""
    if not isinstance(domain, Choices) or len(domain.values) > _NAMED:
        return ()
    gap = (BOTTOM - TOP) / max(1, len(domain.values) - 1)
    between = list(enumerate(domain.values))[1:-1]
    return tuple(Tick(BOTTOM - i * gap, _short(value)) for i, value in between)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
