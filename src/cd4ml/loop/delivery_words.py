"""How the project delivers, in words: for the page and for the command."""

from __future__ import annotations

from cd4ml.records.delivery import Delivery, Durations, Portion

COLUMNS = ("from", "released", "lead", "failed", "restored", "fixed", "labels", "passed")

_DAY, _TWO_DAYS = 24, 48  # hours
_MINUTE = 1 / 60


def time_taken(hours: float | None) -> str:
    """Hours in the unit people would say; a dash where nothing was measured.

    Examples:
        >>> [time_taken(hours) for hours in (0.0001, 0.5, 30.0, 400.0, None)]
        ['0.4 s', '30.0 min', '30.0 h', '16.7 d', '-']
    """
    if hours is None:
        return "-"
    if hours < _MINUTE:
        return f"{hours * 3600:.1f} s"
    if hours < 1:
        return f"{hours * 60:.1f} min"
    return f"{hours:.1f} h" if hours < _TWO_DAYS else f"{hours / _DAY:.1f} d"


def figures_of(total: Delivery) -> list[tuple[str, str]]:
    """Each figure of a stretch with its name."""
    weekly = total.releases_per_week
    figure = f"{weekly or 0:.2g}" if (weekly or 0) < 10 else f"{weekly:,.0f}"
    often = f", {figure} a week" if weekly is not None else ""
    is_open = f"; {total.open_alerts:,} still open" if total.open_alerts else ""
    return [
        ("release frequency", f"{total.releases:,} released{often}"),
        ("lead time", _median(total.lead_time)),
        ("... from commit", _median(total.lead_time_from_commit)),
        ("... from data", _median(total.lead_time_from_data)),
        ("change failure rate", _share(total.change_failures)),
        ("time to restore", _median(total.time_to_restore)),
        ("drift to fix", f"{_median(total.alert_to_fix)}{is_open}"),
        ("label latency", _median(total.label_latency)),
        ("gate pass rate", _share(total.gates_passed)),
    ]


def row_of(stretch: Delivery) -> tuple[str, ...]:
    """A stretch as a row of `COLUMNS`: medians, and how many of how many."""
    return (
        f"{stretch.start:%Y-%m-%d}",
        f"{stretch.releases:,}",
        time_taken(stretch.lead_time.median_hours),
        _of(stretch.change_failures),
        time_taken(stretch.time_to_restore.median_hours),
        time_taken(stretch.alert_to_fix.median_hours),
        time_taken(stretch.label_latency.median_hours),
        _of(stretch.gates_passed),
    )


def _median(found: Durations) -> str:
    if not found.n:
        return "-"
    return (
        f"{time_taken(found.median_hours)} (9 of 10 within {time_taken(found.p90_hours)}), "
        f"of {found.n:,}"
    )


def _share(found: Portion) -> str:
    if found.share is None or found.low is None or found.high is None:
        return "-"
    interval = f"{found.low:.0%} to {found.high:.0%}"
    return f"{found.share:.0%} ({interval}), {found.n:,} of {found.of:,}"


def _of(found: Portion) -> str:
    return f"{found.n:,}/{found.of:,}" if found.of else "-"
