"""What `[replicas]` cannot mean."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from cd4ml.errors import InvalidInput
from cd4ml.records.resources import resources
from cd4ml.records.settings import ReplicaSettings
from cd4ml.store.webhook_settings import Wrong

_MOST = 10_000
_DAY_S = 86_400


def wrong_in(replicas: ReplicaSettings) -> Iterator[Wrong]:
    """Everything that the settings of replicas cannot mean."""
    if not 1 <= replicas.min <= _MOST:
        message = f"expected 1 to {_MOST:,}, got {replicas.min}"
        yield Wrong("replicas.min", message, "at least one has to answer")
    if not replicas.min <= replicas.max <= _MOST:
        message = f"expected {replicas.min} (`min`) to {_MOST:,}, got {replicas.max}"
        yield Wrong("replicas.max", message, "raise it, or lower `min`")
    if not (isfinite(replicas.requests) and 0 < replicas.requests <= _MOST):
        message = f"expected more than 0 and at most {_MOST:,}, got {replicas.requests}"
        yield Wrong("replicas.requests", message, "how many at a time one of them answers well")
    for name in ("add_after_s", "remove_after_s"):
        seconds = getattr(replicas, name)
        if not (isfinite(seconds) and 0 <= seconds <= _DAY_S):
            message = f"expected 0 to {_DAY_S:,}, got {seconds}"
            yield Wrong(f"replicas.{name}", message, "leave it out for the default")
    yield from _wrong_resources(replicas)


def _wrong_resources(replicas: ReplicaSettings) -> Iterator[Wrong]:
    try:
        resources(cpus=replicas.cpus, memory=replicas.memory)
    except InvalidInput as error:
        name, _, message = error.message.partition(": ")
        yield Wrong(f"replicas.{name}", message, error.hint or "leave it out for the default")
