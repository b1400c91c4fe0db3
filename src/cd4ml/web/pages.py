"""Every page of the console: its path, its template, and what fills it."""

from __future__ import annotations

from cd4ml.web.datasets import data, dataset, difference
from cd4ml.web.delivery import delivery
from cd4ml.web.history import entries, explain, lineage_of, monitoring
from cd4ml.web.models import all_models, all_verdicts, model, model_card, verdict
from cd4ml.web.overview import loop
from cd4ml.web.page import Page
from cd4ml.web.releases import all_releases, release
from cd4ml.web.runs import all_runs, comparison, run
from cd4ml.web.searches import all_searches, one_search

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
