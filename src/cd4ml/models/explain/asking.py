"""Answers of a loaded model, taken apart by asking it about mixtures of rows of plain values."""

from __future__ import annotations

from cd4ml.models.explain.mixtures import Rows, mixed_parts
from cd4ml.models.runtime import Runtime
from cd4ml.records.explanation import Contribution, Explained


def explained_by_asking(runtime: Runtime, rows: Rows, usual: Rows) -> list[Explained]:
    """Each answer, and what each field adds to it; the unit is the answer itself.

    Args:
        runtime: The model.
        rows: Values in the order of the contract's fields, at least one row.
        usual: Rows as they usually are.
    """
    amounts, base = mixed_parts(runtime.score_values, rows, usual)
    names = runtime.contract.names
    return [
        Explained(
            answer=base + sum(added),
            raw=base + sum(added),
            base=base,
            unit="answer",
            method="sampled",
            contributions=tuple(
                Contribution(field=names[i], value=row[i], amount=added[i])
                for i in sorted(range(len(added)), key=lambda i: -abs(added[i]))
            ),
        )
        for row, added in zip(rows, amounts.tolist(), strict=True)
    ]
