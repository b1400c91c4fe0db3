"""What `[serving]` cannot mean."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from urllib.parse import urlsplit

from cd4ml.records.settings import ServingSettings
from cd4ml.store.webhook_settings import Wrong

_MOST_S = 3600


def wrong_in(serving: ServingSettings) -> Iterator[Wrong]:
    """Everything that the settings of serving cannot mean."""
    for name in ("notice_s", "drain_s"):
        value = getattr(serving, name)
        if not (isfinite(value) and 0 <= value <= _MOST_S):
            message = f"expected 0 to {_MOST_S:,} seconds, got {value:g}"
            yield Wrong(f"serving.{name}", message, "leave it out for the default")
    if serving.traces and not is_address(serving.traces):
        message = f"expected the URL of a collector, got {serving.traces!r}"
        yield Wrong("serving.traces", message, "for example http://127.0.0.1:4318")


def is_address(url: str) -> bool:
    """Whether this is the URL of something that answers over HTTP.

    Examples:
        >>> is_address("http://127.0.0.1:4318"), is_address("127.0.0.1:4318")
        (True, False)
    """
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname)
