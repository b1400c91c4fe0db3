"""A noisy line, smoothed: each value pulled towards those before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def smoothed(values: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """The exponentially weighted mean of each value and those before it.

    Args:
        values: In their order, shape (points,). What is not finite stays where it is and counts
            for nothing.
        weight: Of what came before, 0 (nothing is smoothed) to below 1.

    Returns:
        The means, shape (points,).

    Raises:
        ValueError: If the weight is out of its range.

    Source:
        D. Kingma and J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, section 3:
        the mean without the bias of its beginning at 0.

    Examples:
        >>> import numpy as np
        >>> smoothed(np.array([1.0, 0.0, 0.0]), 0.5).round(3).tolist()
        [1.0, 0.333, 0.143]
    """
    import numpy as np

    if not 0 <= weight < 1:
        msg = f"expected a weight from 0 to below 1, got {weight:g}"
        raise ValueError(msg)
    if weight == 0:
        return values
    found = values.copy()
    is_finite = np.isfinite(values)
    found[is_finite] = _means(values[is_finite].tolist(), weight)
    return found


def _means(values: list[float], weight: float) -> list[float]:
    total, counted, means = 0.0, 0.0, []
    for value in values:  # to import SciPy's filters takes as long as a million of these
        total = total * weight + value
        counted = counted * weight + 1
        means.append(total / counted)
    return means
