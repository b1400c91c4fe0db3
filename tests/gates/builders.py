"""Evidence with a known quality, for the gates' tests."""

from typing import Any

import numpy as np

from cd4ml.gates.evidence import Evidence


def evidence(
    *,
    n: int = 2000,
    skill: float = 1.0,
    champion_skill: float | None = None,
    seed: int = 0,
    **changes: Any,
) -> Evidence:
    """Rows of which a quarter is positive; a calibrated model that sees `skill` of what matters.

    The log odds of a row are -1.3 plus a normal number; a model with skill 1 knows them, one
    with skill 0 says about the same for every row.
    """
    rng = np.random.default_rng(seed)
    signal = rng.normal(0.0, 1.5, n)
    y_true = (rng.random(n) < 1 / (1 + np.exp(1.3 - signal))).astype(np.float64)
    noise = rng.normal(0.0, 1.5, n)
    fields: dict[str, Any] = {
        "y_true": y_true,
        "score": _score(signal, noise, skill),
        "base_rate": float(y_true.mean()),
    }
    if champion_skill is not None:
        fields["champion"] = "delay/1"
        fields["others"] = {"delay/1": _score(signal, rng.permutation(noise), champion_skill)}
    return Evidence(**(fields | changes))


def amounts(*, n: int = 400, off: float = 3.0, seed: int = 0, **changes: Any) -> Evidence:
    """Rows whose target is an amount around 50; a model that is off by so much on average."""
    rng = np.random.default_rng(seed)
    y_true = rng.normal(50.0, 10.0, n)
    fields: dict[str, Any] = {
        "y_true": y_true,
        "score": y_true + rng.laplace(0.0, off, n),
        "base_rate": float(y_true.mean()),
        "middle": float(np.median(y_true)),
    }
    return Evidence(**(fields | changes))


def _score(signal: Any, noise: Any, skill: float) -> Any:
    seen = skill * signal + 0.05 * (1 - skill) * noise
    return 1 / (1 + np.exp(1.3 - seen))
