"""The pages of runs: the list, one run, some beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from starlette.requests import Request

from cd4ml.errors import InvalidInput, NotFound
from cd4ml.loop import Project
from cd4ml.loop.compare import compare, run_report
from cd4ml.loop.evaluate import verdicts
from cd4ml.loop.registry import models
from cd4ml.loop.runs import RunPage, curve, find_runs, run_details
from cd4ml.loop.why import why
from cd4ml.web.chart import Chart
from cd4ml.web.curve import curve_chart
from cd4ml.web.experiment_report import drawn_curves
from cd4ml.web.page import MANY, Values
from cd4ml.web.parallel import parallel_runs

if TYPE_CHECKING:
    from cd4ml.loop.runs import RunDetails


_LAST = 10**9  # run to begin a page with
_MOST_CURVES = 24


def all_runs(project: Project, request: Request) -> Values:
    """The runs that a filter lets through, in the order asked for, a page at a time."""
    asked = request.query_params
    where, sort, experiment = (
        asked.get(name, "").strip() for name in ("where", "sort", "experiment")
    )
    skip = int(asked.get("skip", "")) if asked.get("skip", "").isdecimal() else 0
    values: Values = {"where": where, "sort": sort, "experiment": experiment, "fault": None}
    try:
        page = find_runs(
            project,
            where=where,
            sort=sort,
            experiment=experiment,
            limit=MANY,
            offset=min(skip, _LAST),
        )
    except (InvalidInput, NotFound) as error:
        if not (where or sort):
            raise
        return values | {"fault": error, "runs": (), "turns": None}
    return values | {"runs": page.runs, "turns": _turns(page, values)}


class PageLinks(NamedTuple):
    """Where in a list one is, and where the pages before and after are; "" for none."""

    text: str
    before: str
    after: str


def _turns(page: RunPage, asked: Values) -> PageLinks | None:
    last = page.offset + len(page.runs)
    if not page.offset and last >= page.total:
        return None

    def path(skip: int) -> str:
        words = {name: asked[name] for name in ("where", "sort", "experiment") if asked[name]}
        return f"/runs?{urlencode({**words, 'skip': skip})}"

    return PageLinks(
        f"{page.offset + 1 if page.runs else 0} to {last} of {page.total:,}",
        path(max(0, page.offset - MANY)) if page.offset else "",
        path(last) if last < page.total else "",
    )


def run(project: Project, request: Request) -> Values:
    """One run: what went in, what each step did, what it logged, what was said of it."""
    report = run_report(project, request.path_params["number"])
    ref = report.run.ref
    details = run_details(project, ref)
    return {
        "report": report,
        "details": details,
        "curves": _curves(project, details),
        "pictures": [each for each in details.files if content_type(each.path)],
        "verdicts": [each for each in verdicts(project) if each.run == report.run.number],
        "versions": [
            each.version for each in models(project) if each.version.run == report.run.number
        ],
        "explanation": why(project, ref),
        "environments": list(project.settings.environments),
        "has_emergencies": any(each.emergency for each in project.settings.environments.values()),
    }


def _curves(project: Project, details: RunDetails) -> list[Chart]:
    """What was logged more than once, what the machine did last."""
    drawn = sorted(
        (each for each in details.metrics if each.n_points > 1),
        key=lambda each: each.name.startswith("system/"),
    )
    charts = (
        curve_chart(curve(project, details.run.ref, each.name)) for each in drawn[:_MOST_CURVES]
    )
    return [chart for chart in charts if chart]


_PICTURES = {"png": "image/png", "jpg": "image/jpeg", "gif": "image/gif", "svg": "image/svg+xml"}


def content_type(path: str) -> str:
    """As what a logged file may be shown; "" for one that is only to be saved.

    Examples:
        >>> content_type("figures/curve.PNG"), content_type("page.html")
        ('image/png', '')
    """
    return _PICTURES.get(path.rpartition(".")[2].lower(), "")


def comparison(project: Project, request: Request) -> Values:
    """Some runs beside each other: `/compare?run=1&run=2&by=time&smooth=0.6`."""
    asked = list(dict.fromkeys(request.query_params.getlist("run")))
    by = "time" if request.query_params.get("by") == "time" else "step"
    smooth = _share(request.query_params.get("smooth", ""))
    if len(asked) < 2:
        return {"comparison": None}
    found = compare(project, asked, smoothing=smooth)
    return {
        "comparison": found,
        "charts": drawn_curves(found, by=by),
        "drawn": parallel_runs(found),
        "form": {"by": by, "smooth": f"{smooth:g}"},
    }


def _share(text: str) -> float:
    """A number from 0 to below 1; 0 for anything else."""
    try:
        share = float(text)
    except ValueError:
        return 0.0
    return share if 0 <= share < 1 else 0.0
