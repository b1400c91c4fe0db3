"""What came of making a run again."""

from __future__ import annotations

from typing import Literal

import msgspec

Outcome = Literal["identical", "within_tolerance", "different", "failed"]


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One metric, column or value of an output that is not the same.

    `difference` is the largest between the recorded and the rebuilt numbers, relative to the
    larger of the two and absolute below one; None where they cannot be subtracted, and `note`
    then says what is different.
    """

    name: str
    difference: float | None = None
    note: str = ""


class RebuiltStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step's output beside the recorded one.

    `identical` is to the byte; `within_tolerance` says that no part differs by more; `failed`
    that there is no output to compare. `parts` holds what differs, the largest first.
    """

    step: str
    kind: str
    outcome: Outcome
    recorded: str = ""  # content addresses
    rebuilt: str = ""
    parts: tuple[Part, ...] = ()
    note: str = ""
    seconds: float = 0.0


class Reproduction(msgspec.Struct, frozen=True, kw_only=True):
    """A run that was made again, beside what it had recorded.

    `environment` says where it was made: in the `recorded` one, which is also the present
    one, in one `rebuilt` from the run's lock, or in `this` one though it differs;
    `environment_differences` are the words for that. `is_same_code` compares the code that the
    steps reach; None where it could not be read. `first` is the first step that differs or fails, "" if none does.
    """

    run: str
    version: str = ""
    outcome: Outcome
    first: str = ""
    steps: tuple[RebuiltStep, ...]
    tolerance: float
    revision: str = ""
    is_dirty: bool = False
    environment: Literal["recorded", "rebuilt", "this"]
    environment_differences: tuple[str, ...] = ()
    is_same_code: bool | None = None
    folder: str = ""  # where its code was laid out, if that is kept
    seconds: float = 0.0
