"""What the catalog says about a dataset, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.loop.catalog import Checked, Facts, Use

_DAY_HOURS = 24
_FEW_DAYS = 3


def show_facts(screen: Screen, facts: Facts, readers: tuple[str, ...]) -> None:
    """Whose data it is about, who may read it, how fresh, how good, how much used it is."""
    from cd4ml.cli.screen import moment

    screen.facts(
        (
            ("personal data", ", ".join(facts.personal)),
            ("read by", ", ".join(readers)),
            (
                "",
                "" if facts.may_read else "its values are not shown: you have none of these roles",
            ),
            ("freshness", freshness(facts)),
            *(("quality", _kept(each)) for each in facts.quality),
            *(
                ("last used by", f"{use.actor}, {_often(use)}, {moment(use.last_at)}")
                for use in facts.usage
            ),
        )
    )


def freshness(facts: Facts) -> str:
    """The age of the data, and whether that is too old."""
    found = facts.freshness
    if found.age_hours is None:
        return ""
    if found.state == "unknown":
        return "unknown: its contract is lost (cd4ml data verify)"
    what = "newest row" if found.event_at else "newest version"
    told = f"{what} is {age(found.age_hours)} old"
    return f"{found.state}: {told}, limit {age(found.within_hours)}" if found.within_hours else told


def age(hours: float | None) -> str:
    """Hours as people say them.

    Examples:
        >>> age(30.0), age(80.0)
        ('30 hours', '3 days')
    """
    if hours is None:
        return ""
    if hours < _FEW_DAYS * _DAY_HOURS:
        return f"{hours:.0f} hours" if round(hours) != 1 else "1 hour"
    return f"{hours / _DAY_HOURS:,.0f} days"


def _kept(checked: Checked) -> str:
    broken = "; ".join(checked.broken)
    return f"{checked.ref} {checked.outcome}{': ' if broken else ''}{broken}"


def _often(use: Use) -> str:
    runs = f"{use.n_runs:,} run{'s' if use.n_runs != 1 else ''}"
    reads = f"{use.n_reads:,} recorded read{'s' if use.n_reads != 1 else ''}"
    return f"{runs}, {reads}" if use.n_reads else runs
