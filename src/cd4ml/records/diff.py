"""What is different between two versions of a dataset."""

from __future__ import annotations

from typing import Literal

import msgspec

from cd4ml.records.profile import Kind

Cell = int | float | bool | str | None


class FileChange(msgspec.Struct, frozen=True, kw_only=True):
    """One file; `path_before` is its old name if it was renamed. Sizes are in bytes."""

    change: Literal["added", "removed", "changed", "renamed"]
    path: str
    path_before: str = ""
    size_before: int | None = None
    size_after: int | None = None


class FileDiff(msgspec.Struct, frozen=True, kw_only=True):
    """The files of two versions; `listed` holds the first of those that differ."""

    n_added: int
    n_removed: int
    n_changed: int
    n_renamed: int
    n_same: int
    listed: tuple[FileChange, ...]


class ColumnChange(msgspec.Struct, frozen=True, kw_only=True):
    """One column; `before` and `after` are its types, or its places (from 1) if it moved."""

    change: Literal["added", "removed", "retyped", "moved"]
    column: str
    before: str = ""
    after: str = ""


class CellChange(msgspec.Struct, frozen=True, kw_only=True):
    """A value in both versions; what JSON does not have is text."""

    column: str
    before: Cell
    after: Cell


class RowChange(msgspec.Struct, frozen=True, kw_only=True):
    """One row: its key, and what differs; all its values if it was added or removed.

    `n_rows` counts rows with the same values, where rows have no key.
    """

    change: Literal["added", "removed", "changed"]
    key: tuple[Cell, ...] = ()
    cells: tuple[CellChange, ...] = ()
    n_rows: int = 1


class RowDiff(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of two versions, told apart by `key`; without one by all their values.

    Rows whose key is not unique in both versions are not matched: they are counted in
    `n_unmatched_before` and `n_unmatched_after`, and `duplicates` shows some such keys.
    `changed_in` says in how many rows each column changed; columns in `left_out` cannot be
    compared, or are in one version only. `samples` are the first by key.

    `corrected_by` names the arrival time by which of the rows with one key only the latest
    was compared, in each version; "": every row was.
    """

    key: tuple[str, ...]
    n_before: int
    n_after: int
    n_added: int
    n_removed: int
    n_changed: int
    n_same: int
    n_unmatched_before: int = 0
    n_unmatched_after: int = 0
    n_null_keys_before: int = 0
    n_null_keys_after: int = 0
    duplicates: tuple[tuple[Cell, ...], ...] = ()
    changed_in: tuple[tuple[str, int], ...] = ()
    left_out: tuple[str, ...] = ()
    samples: tuple[RowChange, ...] = ()
    corrected_by: str = ""


class Bars(msgspec.Struct, frozen=True, kw_only=True):
    """A bar of two histograms: what it stands for, and the rows of both versions."""

    label: str
    before: int
    after: int


class Shift(msgspec.Struct, frozen=True, kw_only=True):
    """How far the values of one column have moved.

    `stability` is the population stability index, `noise_floor` what chance alone stays
    below, `threshold` the larger of that and the effect that matters: above it the outcome
    is `alarm`. `divergence` is that of Jensen and Shannon in bits, `distance` that of
    Kolmogorov and Smirnov, for numbers. None: cannot be told; `reason` says why. A column
    whose values were of another kind before is `retyped`: there is nothing to compare.
    """

    column: str
    kind: Kind
    unit: str = ""
    outcome: Literal["alarm", "quiet", "insufficient", "not judged", "retyped"]
    reason: str = ""
    stability: float | None = None
    noise_floor: float | None = None
    threshold: float | None = None
    divergence: float | None = None
    distance: float | None = None
    missing_before: float | None = None  # share of the rows
    missing_after: float | None = None
    mean_before: float | None = None
    mean_after: float | None = None
    median_before: float | None = None
    median_after: float | None = None
    bars: tuple[Bars, ...] = ()


class DatasetDiff(msgspec.Struct, frozen=True, kw_only=True):
    """What is different between two versions; `rows` is None where they are no tables."""

    before: str
    after: str
    files: FileDiff
    columns: tuple[ColumnChange, ...] = ()
    rows: RowDiff | None = None
    shifts: tuple[Shift, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the two hold the same files."""
        files = self.files
        return not (files.n_added or files.n_removed or files.n_changed or files.n_renamed)
