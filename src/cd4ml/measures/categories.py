"""Counts of texts: in categories that are pinned, and of the commonest ones.

Counts in pinned categories are exact and can be added, as those of `histogram` can.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Top(NamedTuple):
    """The commonest texts with their counts, the commonest first.

    `is_complete`: no other text occurs. Otherwise a count of merged parts may be too small
    (a text that was not among the commonest of a part), never too large.
    """

    counts: tuple[tuple[str, int], ...]
    is_complete: bool


def commonest(found: Mapping[str, int], most: int) -> Top:
    """The texts that occur most; of equally many the first by name.

    Args:
        found: Text -> how many rows have it.
        most: Texts that are kept.

    Returns:
        At most `most` of them.

    Source:
        Definition.

    Examples:
        >>> commonest({"HA": 1, "UA": 3, "AA": 1}, most=2)
        Top(counts=(('UA', 3), ('AA', 1)), is_complete=False)
    """
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return Top(tuple(ordered[:most]), len(ordered) <= most)


def category_counts(
    found: Mapping[str, int], categories: Sequence[str], *, n_missing: int = 0
) -> NDArray[np.int64]:
    """Rows in each of the pinned categories, in any other one, and without a value.

    Args:
        found: Text -> how many rows have it.
        categories: The pinned ones.
        n_missing: Rows without a value.

    Returns:
        Counts, shape (categories + 2,).

    Source:
        Definition.

    Examples:
        >>> category_counts({"UA": 3, "HA": 1}, ["UA", "AA"], n_missing=2)
        array([3, 0, 1, 2])
    """
    known = [found.get(text, 0) for text in categories]
    others = sum(found.values()) - sum(known)
    return np.array([*known, others, n_missing], dtype=np.int64)


def top_together(first: Top, second: Top, most: int) -> Top:
    """The commonest texts of two parts as one.

    Args:
        first: Of one part.
        second: Of the other part.
        most: Texts that are kept.

    Returns:
        Exact if both are complete.

    Source:
        Definition.

    Examples:
        >>> top_together(Top((("UA", 3),), True), Top((("UA", 1), ("AA", 2)), True), most=5)
        Top(counts=(('UA', 4), ('AA', 2)), is_complete=True)
    """
    found: Counter[str] = Counter()
    for text, count in (*first.counts, *second.counts):
        found[text] += count
    joined = commonest(found, most)
    return Top(joined.counts, joined.is_complete and first.is_complete and second.is_complete)
