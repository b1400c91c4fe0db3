"""A long line as few points, of which none that stands out is missing."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def thinned(
    steps: NDArray[np.int64], values: NDArray[np.float64], n: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Of each of `n / 2` stretches of a line its lowest and its highest point, and both ends.

    Args:
        steps: Where each value was, shape (points,); they need not be in order.
        values: The values, shape (points,); NaN where there is none.
        n: About so many points are wanted, at least 4.

    Returns:
        Steps in their order and the values there; all of them if there are no more than `n`.

    Raises:
        ValueError: If the shapes differ, or n is below 4.

    Examples:
        >>> import numpy as np
        >>> values = np.zeros(1000)
        >>> values[500] = 9.0
        >>> steps, few = thinned(np.arange(1000), values, 10)
        >>> len(few) <= 12, few.max()
        (True, 9.0)
    """
    import numpy as np

    if steps.shape != values.shape or n < 4:
        msg = f"expected as many steps as values and n >= 4, got {steps.shape}, {values.shape}, {n}"
        raise ValueError(msg)
    order = np.argsort(steps, kind="stable")
    steps, values = steps[order], values[order]
    if len(steps) <= n:
        return steps, values
    edges = np.linspace(0, len(steps), n // 2 + 1).astype(np.int64)
    kept = {0, len(steps) - 1}
    for start, end in pairwise(edges):
        part = values[start:end]
        if not np.isnan(part).all():
            kept |= {int(start + np.nanargmin(part)), int(start + np.nanargmax(part))}
    chosen = np.array(sorted(kept))
    return steps[chosen], values[chosen]
