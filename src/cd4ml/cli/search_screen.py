"""A search on the screen: its trials, the best ones first, and what mattered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.loop.search import SearchReport, SearchSummary
    from cd4ml.records.search import SearchImportance, SearchPlan, Trial


SHOWN = 20  # trials
_BELIEVED = 0.5  # share of the variance of trials that a forest foretells


def show_all(screen: Screen, report: SearchReport) -> None:
    """A search with as many of its trials as are usually looked at."""
    show_search(screen, report, SHOWN)


def show_search(screen: Screen, report: SearchReport, limit: int) -> None:
    """A search: the best of its trials, why others failed, and what mattered."""
    found = report.search
    screen.title(f"{found.ref} {found.state}" + (f": {found.reason}" if found.reason else ""))
    screen.facts(_facts(report))
    _show_trials(screen, report, limit)
    for trial in report.trials:
        if trial.state == "failed":
            screen.line(f"  - trial {trial.position}: {trial.reason}")
    if report.mattered:
        _show_mattered(screen, report.mattered)
    if report.best and report.search.state == "finished":
        n = sum(trial.state == "finished" for trial in report.trials)
        if n > 1:
            said = f"The best of {n} looks better than it is: these rows have chosen it."
            screen.line(said, style="dim")
    screen.hint(_next(report))


def _show_trials(screen: Screen, report: SearchReport, limit: int) -> None:
    from cd4ml.cli.screen import counted, number

    space, metrics = report.search.plan.space, _metrics(report)
    screen.table(
        ("trial", "run", "state", *_short(space), *metrics, "seconds"),
        (
            (
                str(trial.position),
                f"run/{trial.run}" if trial.run else "-",
                trial.state,
                *(_value(trial.parameters.get(name)) for name in space),
                *(number(values.get(trial.position)) for values in metrics.values()),
                f"{trial.seconds:.2f}",
            )
            for trial in _best_first(report)[:limit]
        ),
    )
    if len(report.trials) > limit:
        screen.line(f"and {counted(len(report.trials) - limit, 'trial')} more", style="dim")


def _show_mattered(screen: Screen, mattered: SearchImportance) -> None:
    screen.title("what mattered")
    shares = [(each.parameter, each.share) for each in mattered.parameters]
    screen.facts(
        (name, f"{share:.0%}") for name, share in (*shares, ("only together", mattered.together))
    )
    if mattered.explained < _BELIEVED:
        screen.line(
            f"Not to be believed yet: {mattered.n_trials} trials foretell each other badly "
            f"(R2 {mattered.explained:.2f})."
        )


def _facts(report: SearchReport) -> list[tuple[str, str]]:
    found, plan = report.search, report.search.plan
    states = [trial.state for trial in report.trials]
    counts = [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
    judged = f"{plan.metric}, {plan.direction} is better" if plan.metric else ""
    return [
        ("trials", ", ".join(counts)),
        ("sampler", f"{plan.sampler}, seed {plan.seed}" if plan.sampler != "grid" else "grid"),
        ("metric", judged),
        ("portions", _portions_shown(plan)),
        ("cost", _cost_shown(report)),
        ("experiment", plan.experiment),
        ("by", found.created_by),
    ]


def _cost_shown(report: SearchReport) -> str:
    limit = report.search.plan.cost
    if report.cost is None:
        return f"at most {limit:g}" if limit else ""
    return f"{report.cost:.4g}" + (f", at most {limit:g}" if limit else "")


def _short(names: Iterable[str]) -> list[str]:
    """Parameters without their step, where that leaves no two alike."""
    whole = list(names)
    last = [name.rpartition(".")[2] for name in whole]
    return [
        short if last.count(short) == 1 else name for name, short in zip(whole, last, strict=True)
    ]


def _metrics(report: SearchReport) -> dict[str, dict[int, float | None]]:
    """What is shown of each trial: the search's metric; all of the run where it has none."""
    metric = report.search.plan.metric
    if metric:
        return {metric: {trial.position: trial.value for trial in report.trials}}
    measured = {each.run.number: each.metrics for each in report.runs}
    names = dict.fromkeys(name for metrics in measured.values() for name in metrics)
    return {
        name: {trial.position: measured.get(trial.run, {}).get(name) for trial in report.trials}
        for name in names
    }


def _portions_shown(plan: SearchPlan) -> str:
    shares = ", ".join(f"{share:g}" for share in plan.portions)
    return f"{shares} of {plan.portion_of}" if shares else ""


def _best_first(report: SearchReport) -> list[Trial]:
    plan = report.search.plan
    if not plan.metric:
        return list(report.trials)
    sign = -1.0 if plan.direction == "higher" else 1.0

    def order(trial: Trial) -> tuple[Any, ...]:
        is_worse = trial.state != "finished" or trial.value is None
        return (is_worse, -trial.rung, sign * (trial.value or 0.0), trial.position)

    return sorted(report.trials, key=order)


def _next(report: SearchReport) -> str:
    found = report.search
    if found.state == "interrupted":
        return f"cd4ml search resume {found.number}"
    if report.best:
        return f"cd4ml gate run/{report.best.run}"
    if not any(trial.state == "finished" for trial in report.trials):
        tried = next((trial.run for trial in report.trials if trial.run), 0)
        return f"cd4ml show run/{tried}" if tried else ""
    return f"cd4ml compare --search {found.number} --best METRIC"


def show_list(screen: Screen, found: list[SearchSummary]) -> None:
    """Searches, a line each."""
    from cd4ml.cli.screen import moment, number

    screen.table(
        ("search", "name", "state", "experiment", "trials", "best", "metric", "began", "by"),
        (
            (
                each.search.ref,
                each.search.name,
                each.search.state,
                each.search.plan.experiment,
                str(each.n_ended),
                number(each.best.value) if each.best else "-",
                each.search.plan.metric,
                moment(each.search.started_at),
                each.search.created_by,
            )
            for each in found
        ),
    )


def _value(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
