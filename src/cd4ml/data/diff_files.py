"""Which files and columns of two versions differ; told without reading a row."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from cd4ml.records.dataset import Column, DataFile
from cd4ml.records.diff import ColumnChange, FileChange, FileDiff

LISTED = 50


def diff_files(before: Sequence[DataFile], after: Sequence[DataFile]) -> FileDiff:
    """The files of two versions, by path and digest.

    A file that went while one with the same bytes came is renamed.

    Args:
        before: Of one version.
        after: Of the other.
    """
    old, new = {file.path: file for file in before}, {file.path: file for file in after}
    removed = {path: file for path, file in old.items() if path not in new}
    added = {path: file for path, file in new.items() if path not in old}
    renamed = _renamed(removed, added)
    changed = [p for p in old if p in new and old[p].digest != new[p].digest]
    found = [
        *renamed,
        *(FileChange(change="added", path=p, size_after=f.size) for p, f in added.items()),
        *(FileChange(change="removed", path=p, size_before=f.size) for p, f in removed.items()),
        *(
            FileChange(change="changed", path=p, size_before=old[p].size, size_after=new[p].size)
            for p in changed
        ),
    ]
    found.sort(key=lambda each: each.path)
    return FileDiff(
        n_added=len(added),
        n_removed=len(removed),
        n_changed=len(changed),
        n_renamed=len(renamed),
        n_same=len(old) - len(removed) - len(renamed) - len(changed),
        listed=tuple(found[:LISTED]),
    )


def diff_columns(before: Sequence[Column], after: Sequence[Column]) -> tuple[ColumnChange, ...]:
    """Columns that came, went, changed their type or moved among the others.

    Args:
        before: Of one version, in order.
        after: Of the other, in order.
    """
    old, new = {c.name: c.type for c in before}, {c.name: c.type for c in after}
    return (
        *(ColumnChange(change="added", column=n, after=t) for n, t in new.items() if n not in old),
        *(
            ColumnChange(change="removed", column=n, before=t)
            for n, t in old.items()
            if n not in new
        ),
        *(
            ColumnChange(change="retyped", column=n, before=t, after=new[n])
            for n, t in old.items()
            if n in new and new[n] != t
        ),
        *_moved(list(old), list(new)),
    )


def _renamed(removed: dict[str, DataFile], added: dict[str, DataFile]) -> list[FileChange]:
    """Pairs of the same bytes, taken out of what was removed and added."""
    places: dict[str, list[str]] = {}
    for path, file in removed.items():
        places.setdefault(file.digest, []).append(path)
    found = []
    for path, file in sorted(added.items()):
        if from_ := places.get(file.digest):
            was = from_.pop(0)
            del removed[was], added[path]
            found.append(
                FileChange(
                    change="renamed",
                    path=path,
                    path_before=was,
                    size_before=file.size,
                    size_after=file.size,
                )
            )
    return found


def _moved(old: list[str], new: list[str]) -> list[ColumnChange]:
    common = set(old) & set(new)
    first, second = [n for n in old if n in common], [n for n in new if n in common]
    blocks = SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks()
    stayed = {name for block in blocks for name in first[block.a : block.a + block.size]}
    return [
        ColumnChange(
            change="moved",
            column=name,
            before=str(old.index(name) + 1),
            after=str(new.index(name) + 1),
        )
        for name in second
        if name not in stayed
    ]
