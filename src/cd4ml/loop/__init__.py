"""The verbs: one file a use-case, and the only thing the faces call.

    init -> ingest -> train -> compare -> evaluate -> promote -> roll_out -> serve
         -> watch -> label -> retrain -> (ingest ...)

A use-case takes the project and the name of the actor, asks the rooms, writes in
short transactions, and returns a record. `work` is one turn of everything that
happens without anybody asking; `rehearse` plays the whole loop in simulated time.
"""

from __future__ import annotations

from cd4ml.loop.opened import open_project
from cd4ml.store.project import Project

__all__ = ["Project", "open_project"]
