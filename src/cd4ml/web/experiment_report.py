"""Comparisons and searches as files that need nothing else: to be kept, mailed, attached."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from cd4ml.web.curves import CurvesChart, curves_chart
from cd4ml.web.parallel import parallel, parallel_runs
from cd4ml.web.render import text_of

if TYPE_CHECKING:
    from cd4ml.experiments.compare import Comparison
    from cd4ml.loop.search import SearchReport

_STYLE = Path(__file__).parent / "static" / "cd4ml.css"


def comparison_report(comparison: Comparison, *, by: str = "step") -> str:
    """The page: every value escaped, the style inside, no script and no other file.

    Args:
        comparison: Of some runs.
        by: What their curves are drawn over: "step" or "time".
    """
    return text_of(
        "compare_report.html",
        comparison=comparison,
        charts=drawn_curves(comparison, by=by),
        drawn=parallel_runs(comparison),
        style=_style(),
    )


def drawn_curves(comparison: Comparison, *, by: str) -> list[CurvesChart]:
    """The curves of a comparison that can be drawn."""
    charts = (curves_chart(each, comparison.runs, by=by) for each in comparison.curves)
    return [chart for chart in charts if chart]


def search_report(report: SearchReport) -> str:
    """The same of a search, with its trials drawn."""
    drawn = parallel(report)
    return text_of("search_report.html", report=report, drawn=drawn, style=_style())


def _style() -> Markup:
    # the sheet is ours and holds no "</style>"; a test sees to it
    return Markup(_STYLE.read_text(encoding="utf-8"))
