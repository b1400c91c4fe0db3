"""The verbs: one file a use-case, and the only thing the faces call.

    init -> ingest -> train -> compare -> evaluate -> promote -> roll_out -> serve
         -> watch -> label -> retrain -> (ingest ...)

A use-case takes the project and the name of the actor, asks the rooms, writes in
short transactions, and returns a record. `work` is one turn of everything that
happens without anybody asking; `rehearse` plays the whole loop in simulated time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cd4ml.loop.opened import open_project
    from cd4ml.store.project import Project

__all__ = ["Project", "open_project"]


def __getattr__(name: str) -> Any:
    # loaded when they are first used: a run in which nothing has changed needs neither
    if name == "open_project":
        from cd4ml.loop.opened import open_project

        return open_project
    if name == "Project":
        from cd4ml.store.project import Project

        return Project
    msg = f"module 'cd4ml.loop' has no attribute {name!r}"
    raise AttributeError(msg)
