"""What each page shows: ask the loop, and arrange the answer for its template."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.requests import Request

from cd4ml.errors import InvalidInput, NotFound
from cd4ml.loop import Project
from cd4ml.loop.audit import last_signed, ledger, listed_entries
from cd4ml.loop.card import card
from cd4ml.loop.catalog import catalog
from cd4ml.loop.compare import compare, run_report, runs
from cd4ml.loop.diff import diff, profile
from cd4ml.loop.evaluate import verdict_about, verdict_of, verdicts
from cd4ml.loop.explain import explain_prediction
from cd4ml.loop.impact import impact
from cd4ml.loop.ingest import show_dataset
from cd4ml.loop.lineage import Thing, lineage
from cd4ml.loop.picture import lineage_path, svg
from cd4ml.loop.promote import ReleaseDetails, release_details, releases
from cd4ml.loop.registry import alias_history, models, version_of
from cd4ml.loop.runs import RunPage, curve, find_runs, run_details
from cd4ml.loop.search import search_report, searches
from cd4ml.loop.status import status
from cd4ml.loop.watch import alerts, windows
from cd4ml.loop.why import why
from cd4ml.records.plan import Arm
from cd4ml.records.release import ENDED, Release
from cd4ml.records.window import Window
from cd4ml.web.card import card_values
from cd4ml.web.chart import Chart, Measured, line_chart
from cd4ml.web.curve import curve_chart
from cd4ml.web.delivery import delivery
from cd4ml.web.experiment_report import drawn_curves
from cd4ml.web.parallel import parallel, parallel_runs

if TYPE_CHECKING:
    from cd4ml.loop.runs import RunDetails

Values = dict[str, Any]

_PREDICTION = re.compile(r"[0-9a-fA-F]{32}")
_FEW = 6
_MANY = 200
_LAST = 10**9  # run to begin a page with
_MOST_CURVES = 24


class Page(NamedTuple):
    """A path, its template, and what fills it."""

    path: str
    template: str
    values: Callable[[Project, Request], Values]


class Choice(NamedTuple):
    """Something that people may do with a release: its name in the API, and a button's words."""

    action: str
    words: str


_CHOICES = {
    "awaiting_approval": (
        Choice("approve", "Approve"),
        Choice("request-changes", "Request changes"),
        Choice("reject", "Reject"),
        Choice("withdraw", "Withdraw"),
        Choice("abort", "Abort"),
    ),
    "changes_requested": (
        Choice("again", "Ask again"),
        Choice("reject", "Reject"),
        Choice("withdraw", "Withdraw"),
        Choice("abort", "Abort"),
    ),
    "rolling_out": (Choice("abort", "Abort"),),
    "released": (Choice("undo", "Undo"),),
}


class Place(NamedTuple):
    """An environment: who answers there by which release, and the releases that wait to."""

    environment: str
    arms: tuple[Arm, ...]
    release: Release | None
    note: str
    waiting: tuple[ReleaseDetails, ...]


def loop(project: Project, _: Request) -> Values:
    """The value stream, and below it what people look for first."""
    standing = status(project)
    environment = project.settings.monitoring.environment  # which a young project may not have
    seen = [window for window in windows(project) if window.environment == environment]
    return {
        "stages": standing.stages,
        "places": _places(project),
        "alerts": alerts(project)[: -_FEW - 1 : -1],
        "charts": _charts(seen, project),
        "chart_environment": environment,
        "runs": runs(project, limit=_FEW),
        "ledger": ledger(project, limit=_FEW),
    }


def _places(project: Project) -> list[Place]:
    open_ones = [release for release in releases(project) if release.state not in ENDED]
    return [
        _place(project, name, [each for each in open_ones if each.environment == name])
        for name in project.settings.environments
    ]


def _place(project: Project, environment: str, under: Sequence[Release]) -> Place:
    waiting = tuple(release_details(project, each.ref) for each in under if not each.plan)
    answering = [each for each in under if each.plan]
    if not answering:
        return Place(environment, (), None, "", waiting)
    release = max(answering, key=lambda each: each.plan)  # endpoints take the newest plan
    details = release_details(project, release.ref)
    note = "" if release.state == "released" else details.waits_for
    return Place(environment, details.plans[-1].arms, release, note, waiting)


def _charts(measured: Sequence[Window], project: Project) -> list[Chart]:
    charts = []
    for metric in project.settings.monitoring.metrics:
        values = [value for window in measured if (value := _measured(window, metric))]
        if values:
            charts.append(line_chart(metric, values))
    return charts


def _measured(window: Window, metric: str) -> Measured | None:
    found = [f for f in window.findings if f.metric == metric and f.value is not None]
    if not found or found[0].value is None:
        return None
    return Measured(
        at=window.start,
        value=found[0].value,
        low=found[0].low,
        high=found[0].high,
        references={
            _reference(f.gate.removeprefix(metric).strip()): f.limit
            for f in found
            if f.limit is not None
        },
        note=f"{window.model}/{window.champion}, {window.n_labels:,} labels",
    )


def _reference(asked: str) -> str:
    return {"better than trivial": "trivial model", "as at release": "at its release"}.get(
        asked, asked
    )


def data(project: Project, request: Request) -> Values:
    """The catalog, or what is found in it."""
    query = request.query_params.get("query", "").strip()
    return {"query": query, "datasets": catalog(project, query, limit=_MANY)}


def dataset(project: Project, request: Request) -> Values:
    """One dataset, with the histograms of its columns."""
    details = show_dataset(project, request.path_params["ref"])
    version = details.version
    table = profile(project, version.ref) if version.profile and details.facts.may_read else None
    earlier = [each for each in details.versions if each.number < version.number]
    return {
        "details": details,
        "bars": {column.name: column.bars for column in table.columns} if table else {},
        "before": earlier[-1] if earlier else None,
    }


def difference(project: Project, request: Request) -> Values:
    """What is different between two versions."""
    asked = request.query_params
    return {"diff": diff(project, asked.get("before", ""), asked.get("after", ""), actor="")}


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
            limit=_MANY,
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
        path(max(0, page.offset - _MANY)) if page.offset else "",
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


def all_searches(project: Project, _: Request) -> Values:
    """Every search, newest first."""
    return {"searches": searches(project, limit=_MANY)}


def one_search(project: Project, request: Request) -> Values:
    """One search: its trials, drawn and listed, and what mattered."""
    report = search_report(project, request.path_params["number"])
    return {"report": report, "drawn": parallel(report)}


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


def all_verdicts(project: Project, _: Request) -> Values:
    """Every verdict, newest first: candidates that were refused are remembered too."""
    return {"verdicts": verdicts(project)[::-1]}


def verdict(project: Project, request: Request) -> Values:
    """One verdict: what was asked, what came."""
    return {"verdict": verdict_of(project, request.path_params["number"])}


def all_models(project: Project, _: Request) -> Values:
    """Every version of every model, newest first."""
    return {"models": models(project)[::-1]}


def model(project: Project, request: Request) -> Values:
    """One version: the findings it passed, and where it was released."""
    ref = f"{request.path_params['model']}/{request.path_params['number']}"
    found = version_of(project, ref)
    version = found.version
    return {
        "summary": found,
        "verdict": verdict_about(project, ref),
        "moves": [
            move
            for move in alias_history(project, version.model)
            if version.number in (move.left, move.to)
        ],
        "releases": [
            release
            for release in releases(project)
            if (release.model, release.version) == (version.model, version.number)
        ],
        "explanation": why(project, ref),
        "environments": list(project.settings.environments),
        "has_emergencies": any(each.emergency for each in project.settings.environments.values()),
    }


def model_card(project: Project, request: Request) -> Values:
    """All that the records know about one version, and what people wrote of its use."""
    return card_values(
        card(project, f"{request.path_params['model']}/{request.path_params['number']}")
    )


def all_releases(project: Project, _: Request) -> Values:
    """Every release, newest first."""
    return {"releases": releases(project)[::-1]}


def release(project: Project, request: Request) -> Values:
    """One release: what decides it, who agreed, the plans it made, what happened."""
    details = release_details(project, request.path_params["number"])
    return {"details": details, "choices": _choices(details.release)}


def _choices(release: Release) -> list[Choice]:
    """What people may do with a release as it is; who may is decided when they do."""
    found = list(_CHOICES.get(release.state, ()))
    return [Choice("review", "Review the emergency"), *found] if release.needs_review else found


def monitoring(project: Project, _: Request) -> Values:
    """What production brought, window by window, and the alerts it raised."""
    return {
        "alerts": alerts(project)[::-1],
        "windows": sorted(windows(project), key=lambda window: window.start, reverse=True),
    }


def entries(project: Project, request: Request) -> Values:
    """The ledger."""
    subject = request.query_params.get("subject", "")
    found = listed_entries(project, subject=subject, limit=_MANY)
    return {"subject": subject, "ledger": found, "signed": last_signed(project)}


def explain(project: Project, request: Request) -> Values:
    """Why something is as it is."""
    asked = request.query_params.get("ref", "").strip()
    is_prediction = bool(_PREDICTION.fullmatch(asked))
    takes_apart = is_prediction and "parts" in request.query_params
    return {
        "asked": asked,
        "explanation": why(project, asked) if asked else None,
        "is_prediction": is_prediction,
        "answer": explain_prediction(project, asked) if takes_apart else None,
    }


class Arrow(NamedTuple):
    """A link of the lineage, with both its ends."""

    parent: Thing
    role: str
    child: Thing


_WAYS = (("both", "both ways"), ("up", "what it came from"), ("down", "what was made from it"))
_DRAWN = 80  # things in a picture that can still be looked at


def lineage_of(project: Project, request: Request) -> Values:
    """What a thing came from, and what was made from it, as a picture and in words."""
    asked = request.query_params
    of, column, way = (asked.get(key, "").strip() for key in ("of", "column", "way"))
    values: Values = {"of": of, "column": column, "way": way, "ways": _WAYS, "found": None}
    if not of:
        return values
    found = lineage(project, of, column=column, up=way != "down", down=way != "up", limit=_DRAWN)
    return values | {
        "found": found,
        "picture": Markup(svg(found, lineage_path)),
        "arrows": [Arrow(found.at(e.parent), e.role, found.at(e.child)) for e in found.links],
        "impact": impact(project, of, column=column),
    }


PAGES = (
    Page("/", "loop.html", loop),
    Page("/data", "data.html", data),
    Page("/data/{ref}", "dataset.html", dataset),
    Page("/diff", "diff.html", difference),
    Page("/runs", "runs.html", all_runs),
    Page("/runs/{number}", "run.html", run),
    Page("/compare", "compare.html", comparison),
    Page("/searches", "searches.html", all_searches),
    Page("/searches/{number}", "search.html", one_search),
    Page("/verdicts", "verdicts.html", all_verdicts),
    Page("/verdicts/{number}", "verdict.html", verdict),
    Page("/models", "models.html", all_models),
    Page("/models/{model}/{number}", "model.html", model),
    Page("/models/{model}/{number}/card", "card.html", model_card),
    Page("/releases", "releases.html", all_releases),
    Page("/releases/{number}", "release.html", release),
    Page("/monitoring", "monitoring.html", monitoring),
    Page("/delivery", "delivery.html", delivery),
    Page("/ledger", "ledger.html", entries),
    Page("/why", "why.html", explain),
    Page("/lineage", "lineage.html", lineage_of),
)
