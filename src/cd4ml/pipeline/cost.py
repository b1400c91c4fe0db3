"""What a run cost, by the prices of `cd4ml.toml`."""

from __future__ import annotations

from collections.abc import Iterable

from cd4ml.pipeline.usage import Usage
from cd4ml.records.resources import Resources
from cd4ml.records.settings import PriceSettings

_HOUR_S = 3600.0
_GB = 10**9


def cost(
    prices: PriceSettings, work: Iterable[tuple[Usage, Resources]], *, seconds: float
) -> float | None:
    """The cost of a run; None without prices.

    CPUs count by the seconds that they worked, GPUs by the time for which a step had them, memory
    by its peak for as long as the step took, and the machine for as long as the run took.

    Args:
        prices: Per hour.
        work: What each step took, and what it had asked for.
        seconds: How long the whole run took.

    Examples:
        >>> from cd4ml.records.settings import PriceSettings
        >>> prices = PriceSettings(cpu_hour=0.036, gpu_hour=3.6)
        >>> work = [(Usage(100, 200, 10**9), Resources(gpus=1))]
        >>> round(cost(prices, work, seconds=120), 6)
        0.102
    """
    if not prices.are_given:
        return None
    total = prices.machine_hour * seconds
    for usage, asked in work:
        total += prices.cpu_hour * usage.cpu_seconds
        total += prices.gpu_hour * asked.gpus * usage.seconds
        total += prices.memory_gb_hour * usage.peak_memory / _GB * usage.seconds
    return total / _HOUR_S
