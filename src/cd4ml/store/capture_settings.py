"""What `[capture]` cannot mean."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from math import isfinite

from cd4ml.records.settings import CaptureSettings
from cd4ml.store.masking import KEY
from cd4ml.store.webhook_settings import Wrong

_AT_LEAST = {
    "sync_every_ms": 0,
    "slow_after_s": 0.1,
    "rotate_mb": 1,
    "rotate_after_minutes": 0.01,
    "keep_days": 0,
    "unlisted_hours": 0,
}
_MOST = 1e6


def wrong_in(capture: CaptureSettings) -> Iterator[Wrong]:
    """Everything that the settings of capture cannot mean."""
    for name, least in _AT_LEAST.items():
        value = getattr(capture, name)
        if not (isfinite(value) and least <= value <= _MOST):
            message = f"expected {least} to {_MOST:,.0f}, got {value}"
            yield Wrong(f"capture.{name}", message, "leave it out for the default")
    if not 0 < capture.sample <= 1:
        message = f"expected more than 0 and at most 1, got {capture.sample}"
        yield Wrong("capture.sample", message, "1 records every answer")
    for name in ("redact", "hash"):
        if "" in getattr(capture, name):
            yield Wrong(f"capture.{name}", "expected names of fields, got ''", "leave it out")
    for field in sorted(set(capture.redact) & set(capture.hash)):
        message = f"{field!r} is redacted, so there is nothing to hash"
        yield Wrong("capture.hash", message, "name it in one of the two")
    if not capture.person or capture.person in capture.redact:
        message = f"nobody's rows are found by {capture.person!r}, which is not recorded"
        yield Wrong("capture.person", message, "hash it instead of redacting it")


def absent(capture: CaptureSettings, fields: Collection[str]) -> list[str]:
    """The names in `redact`, `hash` and `person` that no request has.

    Examples:
        >>> absent(CaptureSettings(redact=("nmae", "age"), hash=("cd4ml-key",)), ["name", "age"])
        ['nmae']
    """
    named = {*capture.redact, *capture.hash, capture.person}
    return sorted(named - {*fields, KEY})
