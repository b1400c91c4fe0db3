"""Templates, and the words they can use."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup
from starlette.responses import HTMLResponse

from cd4ml.loop.picture import lineage_path
from cd4ml.web.bars import histogram, two_histograms
from cd4ml.web.markdown import html_of

if TYPE_CHECKING:
    from cd4ml.loop.train import RunReport
    from cd4ml.records.finding import Finding
    from cd4ml.records.ledger_entry import LedgerEntry

_NAVIGATION = (
    ("Loop", "/"),
    ("Data", "/data"),
    ("Runs", "/runs"),
    ("Searches", "/searches"),
    ("Gates", "/verdicts"),
    ("Models", "/models"),
    ("Releases", "/releases"),
    ("Monitoring", "/monitoring"),
    ("Lineage", "/lineage"),
    ("Delivery", "/delivery"),
    ("Ledger", "/ledger"),
)

_PAST = {"begun": "began", "given": "gave", "undone": "undid"}  # participles with another past
_ABOUT = ("approval", "standing_approval")  # their subject is what they are about

_STAGE_PATHS = {
    "data": "/data",
    "pipeline": "/runs",
    "experiments": "/runs",
    "gates": "/verdicts",
    "release": "/releases",
    "serving": "/#in-charge",
    "monitoring": "/monitoring",
    "feedback": "/ledger",
}

_STATES = {
    "good": ("pass", "released", "finished", "done", "approve", "review", "computed"),
    "working": ("rolling_out", "running", "queued", "cached"),
    "attention": (
        "awaiting_approval",
        "changes_requested",
        "request_changes",
        "emergency",
        "inconclusive",
        "drift",
        "performance",
        "capture",
    ),
    "bad": ("fail", "failed", "killed", "error", "rejected", "reject", "aborted"),
}

_MOST_METRICS = 10  # columns of a table
_WORST_FIRST = ("error", "fail", "inconclusive", "pass")
_STATE_OF = {word: state for state, words in _STATES.items() for word in words}


def fill(template: str, *, status_code: int = 200, **values: Any) -> HTMLResponse:
    """A page from a template; every value in it is escaped."""
    return HTMLResponse(text_of(template, pages=_NAVIGATION, **values), status_code)


def text_of(template: str, **values: Any) -> str:
    """A text from a template; every value in it is escaped."""
    return _templates().get_template(template).render(**values)


def path_of(ref: str) -> str:
    """The page of a ref; "" if it has none.

    Examples:
        >>> path_of("run/3"), path_of("delay/2"), path_of("flights@1"), path_of("plan/4")
        ('/runs/3', '/models/delay/2', '/data/flights@1', '')
    """
    for form, path in _REFS:
        if found := form.fullmatch(ref):
            return path.format(*found.groups())
    return ""


def number(value: float | None) -> str:
    """A measured value, short; a dash where there is none.

    Examples:
        >>> number(0.63217), number(None), number(3), number(87365409.0968)
        ('0.6322', '-', '3', '87,365,409')
    """
    if value is None:
        return "-"
    is_whole = float(value).is_integer() or abs(value) >= _LARGE
    return f"{value:,.0f}" if is_whole else f"{value:,.4f}"


def parameter(value: object) -> object:
    """The value of a parameter, with no more digits than are read.

    Examples:
        >>> parameter(0.07340722402312366), parameter(100), parameter("gini")
        ('0.0734072', 100, 'gini')
    """
    return f"{value:.6g}" if isinstance(value, float) else value


def metric_names(reports: Iterable[RunReport]) -> list[str]:
    """The first few metrics that any of the runs has, without those of the machine."""
    names = dict.fromkeys(name for report in reports for name in report.metrics)
    return [name for name in names if not name.startswith("system/")][:_MOST_METRICS]


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """What stands in the way first, otherwise in the order it was asked."""
    return sorted(findings, key=lambda finding: _WORST_FIRST.index(finding.outcome))


def deed(entry: LedgerEntry, with_subject: bool = True) -> str:
    """What a ledger entry says was done, as the words between who did it and to what.

    Examples:
        >>> import msgspec
        >>> from datetime import UTC
        >>> from cd4ml.records.ledger_entry import LedgerEntry
        >>> entry = LedgerEntry(
        ...     sequence=1,
        ...     at=datetime(2013, 1, 1, tzinfo=UTC),
        ...     actor="ann",
        ...     action="release.requested",
        ...     subject="release/1",
        ...     previous="",
        ...     digest="",
        ... )
        >>> deed(entry), deed(msgspec.structs.replace(entry, action="approval.given"))
        ('requested', 'gave approval of')
    """
    noun, _, participle = entry.action.rpartition(".")
    verb = _PAST.get(participle, participle)
    if not noun or entry.subject.startswith(f"{noun}/"):
        return verb
    named = noun.replace("_", " ")
    return f"{verb} {named} of" if with_subject and noun in _ABOUT else f"{verb} {named}"


def linked(text: str) -> Markup:
    """The text with its refs as links; everything else is escaped.

    Examples:
        >>> linked("run/3 <made> flights@1")
        Markup('<a href="/runs/3">run/3</a> &lt;made&gt; <a href="/data/flights@1">flights@1</a>')
    """
    parts = _IN_TEXT.split(text)
    return Markup("").join(link(part) if index % 2 else part for index, part in enumerate(parts))


def link(ref: str) -> str | Markup:
    """A ref as a link, a content address by its beginning, anything else as it is.

    Examples:
        >>> link("run/3"), link("plan/3")
        (Markup('<a href="/runs/3">run/3</a>'), 'plan/3')
    """
    if path := path_of(ref):
        return Markup('<a href="{}">{}</a>').format(path, ref)
    if _ADDRESS.fullmatch(ref):
        return Markup('<code title="{}">{}</code>').format(ref, short(ref))
    return ref


def short(address: str) -> str:
    """The beginning of a content address, for people.

    Examples:
        >>> short("blake3:af1349b9f5f9a1a6a0404dea36dcc949")
        'af1349b9f5f9'
    """
    return address.rpartition(":")[2][:12]


def size(n_bytes: int) -> str:
    """Bytes in the unit people would say.

    Examples:
        >>> size(10_700_000)
        '10.7 MB'
    """
    amount = float(n_bytes)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} GB"


def moment(at: datetime | None) -> str:
    """A time as people read it, in UTC.

    Examples:
        >>> from datetime import UTC
        >>> moment(datetime(2013, 2, 1, 9, 5, tzinfo=UTC))
        '1 Feb 2013, 09:05'
    """
    return "" if at is None else f"{at.day} {at:%b %Y, %H:%M}"


def day_and_time(at: datetime) -> str:
    """A time without its year, for lists of what is recent.

    Examples:
        >>> from datetime import UTC
        >>> day_and_time(datetime(2013, 2, 1, 9, 5, tzinfo=UTC))
        '1 Feb, 09:05'
    """
    return f"{at.day} {at:%b, %H:%M}"


def day(at: datetime) -> str:
    """A day as people read it.

    Examples:
        >>> from datetime import UTC
        >>> day(datetime(2013, 2, 1, tzinfo=UTC))
        '1 Feb 2013'
    """
    return f"{at.day} {at:%b %Y}"


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cd4ml.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "day": day,
        "day_and_time": day_and_time,
        "deed": deed,
        "lineage_path": lineage_path,
        "histogram": histogram,
        "link": link,
        "linked": linked,
        "metric_names": metric_names,
        "markdown": html_of,
        "moment": moment,
        "number": number,
        "parameter": parameter,
        "path": path_of,
        "short": short,
        "size": size,
        "two_histograms": two_histograms,
        "stage_path": lambda name: _STAGE_PATHS.get(name, "/"),
        "state": lambda word: _STATE_OF.get(word, "idle"),
        "worst_first": worst_first,
        "words": lambda word: word.replace("_", " "),
    }
    return environment


_NUMBER = "([1-9][0-9]{0,17})"
_NAME = "([A-Za-z_][A-Za-z0-9_]*)"  # of models and datasets: steps of Python have it
_LARGE = 100_000  # from here on a fraction says nothing that was measured
_REFS = tuple(
    (re.compile(form), path)
    for form, path in (
        (f"run/{_NUMBER}", "/runs/{0}"),
        (f"release/{_NUMBER}", "/releases/{0}"),
        (f"verdict/{_NUMBER}", "/verdicts/{0}"),
        (f"(?:alert|trigger)/{_NUMBER}", "/monitoring"),
        (f"search/{_NUMBER}", "/searches/{0}"),
        (f"(?:approval|experiment|job|plan)/{_NUMBER}", ""),
        (f"{_NAME}/{_NUMBER}", "/models/{0}/{1}"),
        (f"{_NAME}@{_NUMBER}", "/data/{0}@{1}"),
        ("([0-9a-f]{32})", "/why?ref={0}"),
    )
)

# a ref among words; a split gives every second part to what this finds
_IN_TEXT = re.compile(
    r"((?<![\w./@-])[A-Za-z][\w.-]*[/@][1-9][0-9]*(?![\w/@-])|\bblake3:[0-9a-f]{64}\b)"
)
_ADDRESS = re.compile("blake3:[0-9a-f]{64}")
