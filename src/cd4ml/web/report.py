"""A diff as one file that needs nothing else: to be kept, mailed, attached to a review."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from cd4ml.records.diff import DatasetDiff
from cd4ml.web.render import text_of

_STYLE = Path(__file__).parent / "static" / "cd4ml.css"


def diff_report(found: DatasetDiff) -> str:
    """The page: every value escaped, the style inside, no script and no other file."""
    # the sheet is ours and holds no "</style>"; a test sees to it
    style = Markup(_STYLE.read_text(encoding="utf-8"))
    return text_of("diff_report.html", diff=found, style=style)
