"""A file that a run left behind, beside the outputs of its steps."""

from __future__ import annotations

from datetime import datetime

import msgspec


class RunArtifact(msgspec.Struct, frozen=True, kw_only=True):
    """A file logged in a run: its path there, and the blob that has its bytes."""

    run: int
    path: str  # "figures/curve.json"; parts between slashes, none of them "", "." or ".."
    address: str  # content address
    n_bytes: int
    logged_at: datetime
    by: str = ""  # the step of the pipeline that logged it
