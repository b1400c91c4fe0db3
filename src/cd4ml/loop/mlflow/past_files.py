"""Where the files of a history lie on this machine, and which of them may be read.

Whoever could log to an MLflow server chose the source of a version: it may say `/etc`. Read is
only what lies among the artifacts of the history's own runs and logged models, which MLflow puts
into folders `.../ID/artifacts`, wherever links lead.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

_PROXIED = "mlflow-artifacts"
_NEAR = 4  # mlruns/EXPERIMENT/RUN/artifacts, and what mlruns would be in
_ARTIFACTS = "artifacts"

_UNREADABLE = "cannot be read from here"
_FOREIGN = "is not among the artifacts of this history"


class Listed(NamedTuple):
    """The files at a place by the path below it, and why others, or all, are left."""

    files: dict[str, Path]
    left: tuple[str, ...] = ()


class FilesThere:
    """Finds the files that MLflow calls by a path, a `file:` or an `mlflow-artifacts:` URI.

    Args:
        source: The history's: relative paths begin beside it.
        artifacts: What `mlflow-artifacts:/` stands for; `mlartifacts` beside the source if None.
    """

    def __init__(self, source: str, artifacts: Path | None) -> None:
        is_file = source.startswith("sqlite:///") or "://" not in source
        path = Path(source.removeprefix("sqlite:///"))
        self._beside = path.absolute().parent if is_file else Path.cwd()
        self._artifacts = artifacts or self._beside / "mlartifacts"

    def files(self, place: str, owners: Collection[str]) -> Listed:
        """The files at a place.

        Args:
            place: A path or URI, as MLflow has it; "" for none.
            owners: Ids of the runs and logged models among whose artifacts it may lie.
        """
        if not place:
            return Listed({})
        try:
            return self._listed(place, owners)
        except (OSError, ValueError):  # not this user's to read; no path, no URI
            return Listed({}, (f"{place} {_UNREADABLE}",))

    def _listed(self, place: str, owners: Collection[str]) -> Listed:
        named = self._named(place)
        if named is None:
            return Listed({}, (f"{place} {_UNREADABLE}",))
        there = [each for each in self._candidates(named) if each.is_dir()]
        for folder in there:
            root = _root(folder.resolve(), owners)
            if root is not None:
                return _below(folder.resolve(), root)
        if not there and _root(named, owners) and _is_near(named):
            return Listed({})
        return Listed({}, (f"{place} {_FOREIGN if there else _UNREADABLE}",))

    def _named(self, place: str) -> Path | None:
        """The folder at a place, if it is one of a file system."""
        parts = urlsplit(place)
        if parts.scheme == _PROXIED:
            return self._artifacts / unquote(parts.path).strip("/")
        if parts.scheme == "file":
            return Path(unquote(parts.path))
        return None if parts.scheme else self._beside / place.removeprefix("./")

    def _candidates(self, folder: Path) -> Iterator[Path]:
        """The folder, and where it lies if the history was moved as a whole."""
        yield folder
        parts = folder.parts
        for i in range(1, len(parts) - 1):  # at least ID/artifacts
            yield self._beside.joinpath(*parts[i:])


def _root(folder: Path, owners: Collection[str]) -> Path | None:
    """The folder `ID/artifacts` that a folder is or lies in, of one of the owners."""
    for above in (folder, *folder.parents):
        if above.name == _ARTIFACTS and above.parent.name in owners:
            return above
    return None


def _below(folder: Path, root: Path) -> Listed:
    files, left = {}, []
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        name = path.relative_to(folder).as_posix()
        if path.resolve().is_relative_to(root):
            files[name] = path
        else:
            left.append(f"{name} is a link that leads out of them")
    return Listed(files, tuple(left))


def _is_near(folder: Path) -> bool:
    """Whether the folder is only missing because nothing was put there."""
    return any(above.is_dir() for above in folder.parents[:_NEAR])
