"""Where the replicas of an endpoint tell one another what they have counted, and how they are."""

from __future__ import annotations

import asyncio
import time
from typing import Any, NamedTuple

from cd4ml.engines.ray.connection import ray_module
from cd4ml.engines.ray.counts import merged

TELL_EVERY_S = 1.0

_NAMESPACE = "cd4ml"
_SILENT_S = 5.0  # after which a replica no longer counts as living
_FORGOTTEN_S = 600.0  # after which only its sums are kept
_PATIENCE_S = 2.0
_HEAD = "node:__internal_head__"


class _Told(NamedTuple):
    text: str
    is_settled: bool
    at: float

    @property
    def silent_s(self) -> float:
        return time.monotonic() - self.at


class _Board:
    """The actor; it sits on the head node, without which there is no cluster."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._told: dict[str, _Told] = {}
        self._ended = ""

    def url(self) -> str:
        """Where its replicas are asked."""
        return self._url

    def tell(self, replica: str, text: str, is_settled: bool) -> None:
        """What a replica has counted, and whether it knows what to answer with."""
        self._told[replica] = _Told(text, is_settled, time.monotonic())

    def leave(self, replica: str, text: str) -> None:
        """The replica ends with these counts."""
        self._told.pop(replica, None)
        self._ended = merged([], [self._ended, text])

    def counts(self) -> str:
        """What all of them have counted."""
        for replica, told in list(self._told.items()):
            if told.silent_s > _FORGOTTEN_S:
                self.leave(replica, told.text)
        living = [told.text for told in self._told.values() if told.silent_s <= _SILENT_S]
        silent = [told.text for told in self._told.values() if told.silent_s > _SILENT_S]
        return merged(living, [*silent, self._ended])

    def has_others(self, replica: str) -> bool:
        """Whether another replica lives that knows what to answer with."""
        return any(
            told.is_settled and told.silent_s <= _SILENT_S
            for name, told in self._told.items()
            if name != replica
        )


class Board:
    """A replica's view of the actor; every call ends within two seconds.

    Raises:
        ValueError: If there is no such board.
    """

    def __init__(self, name: str, replica: str) -> None:
        self._actor = ray_module().get_actor(name, namespace=_NAMESPACE)
        self._replica = replica

    async def tell(self, text: str, *, is_settled: bool) -> None:
        """Tell what was counted, and whether it is known what to answer with."""
        await _soon(self._actor.tell.remote(self._replica, text, is_settled))

    async def leave(self, text: str) -> None:
        """Tell it a last time."""
        await _soon(self._actor.leave.remote(self._replica, text))

    async def counts(self) -> str:
        """What all replicas have counted."""
        counted: str = await _soon(self._actor.counts.remote())
        return counted

    async def has_others(self) -> bool:
        """Whether another replica lives that knows what to answer with."""
        others: bool = await _soon(self._actor.has_others.remote(self._replica))
        return others


def hang_up(name: str, url: str) -> str:
    """Have a board of this name, and say which address it is for: the first one given."""
    ray = ray_module()
    actor = (
        ray.remote(_Board)
        .options(
            name=name,
            namespace=_NAMESPACE,
            lifetime="detached",  # the endpoint outlives who started it
            get_if_exists=True,
            num_cpus=0,
            resources={_HEAD: 0.001},
            max_restarts=-1,
        )
        .remote(url)
    )
    found: str = ray.get(actor.url.remote())
    return found


def take_down(name: str) -> None:
    """Remove a board, if there is one."""
    ray = ray_module()
    try:
        ray.kill(ray.get_actor(name, namespace=_NAMESPACE))
    except ValueError:
        return


async def _soon(reference: Any) -> Any:
    return await asyncio.wait_for(reference, _PATIENCE_S)
