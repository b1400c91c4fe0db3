"""How far the values of each column have moved from one version to another.

The measures are those of monitoring, and so is the care: an index has to exceed the effect
that matters and what chance alone gives, and the chance is shared out over the columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from cd4ml.data.bins import is_pinned
from cd4ml.data.profile import rebinned
from cd4ml.data.summary import quantile_of, short_number
from cd4ml.records.diff import Bars, Shift
from cd4ml.records.profile import Bins, ColumnProfile, Profile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cd4ml.measures.divergence import StabilityIndex

FALSE_ALARMS = 0.01  # share of pairs without a change in which any column raises an alarm
BINS = 20  # in which numbers are compared; the distance uses all of the profile's
_MOST_PERIODS = 31

Recount = Callable[[Mapping[str, Bins]], Profile]


class Compared(NamedTuple):
    """Two histograms over the same bins, the missing ones last, and what the bins are."""

    before: NDArray[np.int64]
    after: NDArray[np.int64]
    labels: list[str]


def shifts(
    before: Profile,
    after: Profile,
    *,
    effect: float,
    recount: Recount,
    key: Sequence[str] = (),
) -> tuple[Shift, ...]:
    """One entry for each column that both versions have.

    Args:
        before: The profile of one version, the reference.
        after: The profile of the other.
        effect: The stability index from which a change counts.
        recount: Profiles columns of the other version in given bins: asked for those that
            were counted in other bins than before.
        key: Columns that name rows: of these only the ends and means are told.
    """
    old = {column.name: column for column in before.columns}
    common = [column for column in after.columns if column.name in old]
    judged = [column for column in common if column.name not in key]
    others = {c.name: old[c.name].bins for c in judged if _needs_recount(old[c.name], c)}
    again = {c.name: c for c in recount(others).columns} if others else {}
    pairs = [(old[c.name], again.get(c.name, c)) for c in common]
    reasons = ["it names the rows" if b.name in key else _reason(a, b) for a, b in pairs]
    quantile = 1 - FALSE_ALARMS / max(1, reasons.count(""))
    return tuple(
        _shift(a, b, reason, effect=effect, quantile=quantile)
        for (a, b), reason in zip(pairs, reasons, strict=True)
    )


def _needs_recount(old: ColumnProfile, new: ColumnProfile) -> bool:
    is_settled = is_pinned(old.bins) and is_pinned(new.bins)
    return is_settled and _kind(old) == _kind(new) and old.bins != new.bins


def _is_retyped(old: ColumnProfile, new: ColumnProfile) -> bool:
    """Whether the values are no more of one kind: a number is not the length of a text."""
    return old.type != new.type and _kind(old) != _kind(new)


def _kind(column: ColumnProfile) -> tuple[str, str]:
    return column.bins.kind, column.bins.unit


def _reason(old: ColumnProfile, new: ColumnProfile) -> str:
    """Why a column cannot be judged; "" if it can."""
    if _is_retyped(old, new):
        return f"{old.type} before, {new.type} after"
    if "opaque" in (old.bins.kind, new.bins.kind):
        return "values of this type are not counted"
    if _kind(old) != _kind(new):
        return f"{old.type} cannot be compared with {new.type}"
    if old.bins.kind == "time":
        return "times always move on"
    if is_pinned(old.bins) and is_pinned(new.bins) and old.bins != new.bins:
        return "its values were counted in other bins"
    return ""


def _shift(
    old: ColumnProfile, new: ColumnProfile, reason: str, *, effect: float, quantile: float
) -> Shift:
    if _is_retyped(old, new):
        return _retyped(old, new)
    shift = Shift(
        column=new.name,
        kind=new.bins.kind,
        unit=new.bins.unit,
        outcome="not judged",
        reason=reason,
        missing_before=_missing(old),
        missing_after=_missing(new),
        mean_before=old.mean,
        mean_after=new.mean,
        median_before=_median(old),
        median_after=_median(new),
    )
    if old.bins.kind == new.bins.kind == "time":
        return _told(shift, _periods(old, new))
    if reason:
        return shift
    old, new = _in_settled_bins(old, new)
    return _judged(shift, old, new, effect, quantile)


def _retyped(old: ColumnProfile, new: ColumnProfile) -> Shift:
    return Shift(
        column=new.name,
        kind=new.bins.kind,
        outcome="retyped",
        reason=f"{old.type} before, {new.type} after",
        missing_before=_missing(old),
        missing_after=_missing(new),
    )


def _judged(
    shift: Shift, old: ColumnProfile, new: ColumnProfile, effect: float, quantile: float
) -> Shift:
    from cd4ml.measures.divergence import kolmogorov_smirnov, stability_index

    compared = _numbers(old, new) if old.bins.kind != "category" else _categories(old, new)
    told = _told(shift, compared)
    if not (compared.before.sum() and compared.after.sum()):
        return msgspec.structs.replace(told, outcome="insufficient", reason="one has no rows")
    index = stability_index(compared.before, compared.after, effect=effect, quantile=quantile)
    is_told = index.outcome != "insufficient"  # else the index is 0, and means nothing
    distance = None
    if old.bins.kind != "category":
        distance = kolmogorov_smirnov(old.counts, new.counts)
    return msgspec.structs.replace(
        told,
        outcome=index.outcome,
        reason=_said(index),
        stability=index.value if is_told else None,
        noise_floor=index.noise_floor if is_told else None,
        threshold=index.threshold if is_told else None,
        distance=distance,
    )


def _said(index: StabilityIndex) -> str:
    if index.outcome == "insufficient":
        return "too few rows to tell a change from chance"
    if index.outcome == "alarm":
        return f"moved by {index.value:.3g}, more than {index.threshold:.3g}"
    if index.value > index.noise_floor:
        return "moved by more than chance, but not by what matters"
    return ""


def _told(shift: Shift, compared: Compared) -> Shift:
    """With the bars, and the divergence where both have rows."""
    from cd4ml.measures.divergence import jensen_shannon

    bars = tuple(
        Bars(label=label, before=int(a), after=int(b))
        for label, a, b in zip(compared.labels, compared.before, compared.after, strict=True)
        if a or b or label != "missing"
    )
    has_rows = compared.before.sum() and compared.after.sum()
    divergence = jensen_shannon(compared.before, compared.after) if has_rows else None
    return msgspec.structs.replace(shift, bars=bars, divergence=divergence)


def _in_settled_bins(old: ColumnProfile, new: ColumnProfile) -> tuple[ColumnProfile, ColumnProfile]:
    """Both in the bins that are settled, where one has no values and so none of its own."""
    if old.bins == new.bins:
        return old, new
    if is_pinned(old.bins):
        return old, rebinned(new, old.bins)
    return rebinned(old, new.bins), new


def _numbers(old: ColumnProfile, new: ColumnProfile) -> Compared:
    """About twenty bins of equally many rows of the version before."""
    import numpy as np

    from cd4ml.measures.histogram import groups

    reference = old if old.n_rows > old.n_missing else new
    starts = groups(reference.counts[:-1], BINS)
    before, after = (
        np.append(np.add.reduceat(np.array(column.counts[:-1]), starts), column.counts[-1])
        for column in (old, new)
    )
    return Compared(before, after, [*_between(old.bins.edges, starts.tolist()), "missing"])


def _between(edges: Sequence[float], starts: Sequence[int]) -> list[str]:
    """What the groups of bins are called, by the edges around them."""
    if len(starts) == 1:
        return ["any"]
    inner = [short_number(edges[start - 1]) for start in starts[1:]]
    middle = [f"{a} to {b}" for a, b in pairwise(inner)]
    return [f"up to {inner[0]}", *middle, f"above {inner[-1]}"]


def _categories(old: ColumnProfile, new: ColumnProfile) -> Compared:
    import numpy as np

    labels = [*old.bins.categories, "others", "missing"]
    return Compared(np.array(old.counts), np.array(new.counts), labels)


def _periods(old: ColumnProfile, new: ColumnProfile) -> Compared:
    import numpy as np

    from cd4ml.measures.periods import Periods, in_unit, periods_together

    first, second = (Periods(column.period, column.periods) for column in (old, new))
    whole = periods_together(first, second, _MOST_PERIODS)
    counts = [in_unit(part, whole.unit) for part in (first, second)]
    names = [name for name, _ in whole.counts]
    before, after = (
        np.array([*(found.get(name, 0) for name in names), column.n_missing], dtype=np.int64)
        for found, column in zip(counts, (old, new), strict=True)
    )
    return Compared(before, after, [*names, "missing"])


def _missing(column: ColumnProfile) -> float | None:
    return column.n_missing / column.n_rows if column.n_rows else None


def _median(column: ColumnProfile) -> float | None:
    found = quantile_of(column, 0.5)
    return found.value if found else None
