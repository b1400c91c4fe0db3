"""How a gate that cannot be meant is refused, whatever its kind."""

from __future__ import annotations

from cd4ml.errors import ConfigurationError

CHAMPION = "champion"


def refused(message: str, path: str, *, hint: str = "") -> ConfigurationError:
    """The refusal of a gate in `cd4ml.toml`.

    Args:
        message: What cannot be meant, in a sentence without a full stop.
        path: Where it stands: "gate[0].at_least".
        hint: What could be written instead.

    Examples:
        >>> print(refused("a limit is a finite number, got inf", "gate[0].at_least"))
        cd4ml.toml: a limit is a finite number, got inf - at `gate[0].at_least`
    """
    return ConfigurationError(f"cd4ml.toml: {message} - at `{path}`", hint=hint)
