"""What a card says from the evidence of its verdicts: groups, explanations, behaviour."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cd4ml.loop.card import Card
    from cd4ml.records.behaviour import BehaviourEvidence, Quantile
    from cd4ml.records.finding import Finding

_IMPORTANCE = "importance of "
_ON_GROUPS = ("fairness", "representation")  # kinds of gate


def groups_of(card: Card) -> list[Finding]:
    """What was found about groups of people."""
    found = card.verdict.findings if card.verdict else ()
    return [each for each in found if each.kind in _ON_GROUPS]


def whole_of(card: Card) -> list[Finding]:
    """What was found on all rows, but for what has a table of its own: each field's importance."""
    found = [each for each in card.verdict.findings if not each.slice] if card.verdict else []
    return [each for each in found if each.is_gated or not each.metric.startswith(_IMPORTANCE)]


def fields_of(card: Card) -> list[tuple[str, str, str, str]]:
    """What answers hang on: field, share, importance and its interval; the largest share first."""
    seen = card.explanation
    if seen is None:
        return []
    worse = {each.field: each for each in seen.importance}
    shared = sorted(seen.shares, key=lambda name: -seen.shares[name])
    names = [*shared, *(name for name in worse if name not in seen.shares)]
    return [
        (
            name,
            f"{100 * seen.shares[name]:.1f} %" if name in seen.shares else "",
            _figure(worse[name].value) if name in worse else "",
            f"{_figure(worse[name].low)} to {_figure(worse[name].high)}" if name in worse else "",
        )
        for name in names
    ]


def how_explained(card: Card) -> str:
    """How shares and importance were had, in a sentence."""
    seen = card.explanation
    if seen is None:
        return ""
    parts = [
        f"Shares: {seen.n_rows:,} answers taken apart ({seen.method}, in {seen.unit})."
        if seen.n_rows
        else f"No answer could be taken apart: {seen.reason}.",
        f"Importance: by how much {seen.metric} ({_figure(seen.level)}) gets worse on "
        f"{seen.n_measured:,} rows when a field is shuffled among them."
        if seen.importance
        else f"No importance could be measured: {seen.importance_reason}.",
    ]
    return " ".join(parts)


def served_of(card: Card) -> list[tuple[str, str]]:
    """What the candidate did in its serving process: name and value."""
    seen = card.behaviour
    if seen is None:
        return []
    tried = [promise for promise in seen.promises if promise.n_tried]
    kept = sum(not promise.n_broken for promise in tried)
    asked = "requests of production" if seen.source == "production" else "rows of the holdout"
    return [
        ("asked about", f"{seen.n_rows:,} {asked}, answered by the {seen.runtime} model"),
        ("promises kept", f"{kept} of {len(tried)}"),
        *(
            ("broken", f"{each.name} ({each.n_broken:,} of {each.n_tried:,})")
            for each in tried
            if each.n_broken
        ),
        *_under_load(seen),
    ]


def moves_of(card: Card) -> list[tuple[str, str, str, str]]:
    """By how much each field alone moves an answer at most: any way, up, and down."""
    responses = card.behaviour.responses if card.behaviour else ()
    return [
        (
            each.field,
            _figure(each.largest_change),
            _figure(each.largest_rise) if each.is_ordered else "",
            _figure(each.largest_fall) if each.is_ordered else "",
        )
        for each in responses
    ]


def _under_load(seen: BehaviourEvidence) -> list[tuple[str, str]]:
    load = seen.load
    if load is None:
        return []
    return [
        ("latency of a row", f"{_ms(load.p50_ms)}, p99 {_ms(load.p99_ms)}, of {load.n_requests:,}"),
        *([("memory", f"{load.memory_mb:.0f} MB")] if load.memory_mb is not None else []),
    ]


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _ms(quantile: Quantile) -> str:
    return f"{quantile.value:.2g} ms"
