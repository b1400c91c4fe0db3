"""Data that a run says it has used."""

from __future__ import annotations

from datetime import datetime

import msgspec


class RunInput(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset logged in a run: any data, known by name and digest.

    What steps of the pipeline take from the catalog stands in `Run.refs`; this is for what
    notebooks and other tools name.
    """

    run: int
    name: str
    digest: str
    context: str = ""  # what for: "training", "validation"
    source: str = ""  # where it came from: a ref, a path, a URL, or JSON that says so
    source_type: str = ""  # "dataset" for one of the catalog, "file", "http", ...
    schema: str = ""  # its columns, as JSON
    profile: str = ""  # what it is like, as JSON
    tags: dict[str, str] = {}
    logged_at: datetime
