"""The console, which is imported when somebody first wants to see it.

Its pages ask the whole loop, and importing that takes as long as everything else until the
server answers.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from cd4ml.loop import Project

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class ConsoleLater:
    """An application that is the console from the first request on.

    Args:
        project: Open; shared by the threads that answer.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._console: ASGIApp | None = None
        self._one_at_a_time = Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        console = self._console
        if console is None:
            console = await run_in_threadpool(self._made)
        await console(scope, receive, send)

    def _made(self) -> ASGIApp:
        from cd4ml.web.console import console

        with self._one_at_a_time:
            if self._console is None:
                self._console = console(self._project)
            return self._console


def import_console() -> None:
    """Import it before somebody wants to see it."""
    import cd4ml.web.console  # noqa: F401
