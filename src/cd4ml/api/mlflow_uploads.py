"""A file in a request's body: small ones in memory, others on disk as they arrive."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from cd4ml.loop import Project

if TYPE_CHECKING:
    from starlette.requests import Request

_IN_MEMORY = 1_000_000  # bytes
_WRITTEN = 4_000_000  # bytes at a time


@asynccontextmanager
async def received_file(project: Project, request: Request) -> AsyncIterator[bytes | Path]:
    """The bytes of a request's body, or a file with them that is removed at the end."""
    from cd4ml.loop.mlflow.files import arriving

    target = await run_in_threadpool(arriving, project)
    waiting, is_on_disk = bytearray(), False
    try:
        async for chunk in request.stream():
            waiting += chunk
            if len(waiting) > (_WRITTEN if is_on_disk else _IN_MEMORY):
                is_on_disk = True
                await run_in_threadpool(_append, target, bytes(waiting))
                waiting.clear()
        if not is_on_disk:
            yield bytes(waiting)
        else:
            await run_in_threadpool(_append, target, bytes(waiting))
            yield target
    finally:
        target.unlink(missing_ok=True)


def _append(target: Path, content: bytes) -> None:
    with target.open("ab") as file:
        file.write(content)
