"""Where the files of a history lie on this machine."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

_PROXIED = "mlflow-artifacts"
_NEAR = 4  # mlruns/EXPERIMENT/RUN/artifacts, and what mlruns would be in


class FilesThere:
    """Finds the folder that MLflow calls by a path, a `file:` or an `mlflow-artifacts:` URI.

    Args:
        source: The history's: relative paths begin beside it.
        artifacts: What `mlflow-artifacts:/` stands for; `mlartifacts` beside the source if None.
    """

    def __init__(self, source: str, artifacts: Path | None) -> None:
        is_file = source.startswith("sqlite:///") or "://" not in source
        path = Path(source.removeprefix("sqlite:///"))
        self._beside = path.absolute().parent if is_file else Path.cwd()
        self._artifacts = artifacts or self._beside / "mlartifacts"

    def folder(self, place: str) -> Path | None:
        """The folder at a place; None if it is not on this machine."""
        parts = urlsplit(place)
        if not place or parts.scheme not in ("", "file", _PROXIED):
            return None
        if parts.scheme == _PROXIED:
            found = self._artifacts / unquote(parts.path).strip("/")
        elif parts.scheme == "file":
            found = Path(unquote(parts.path))
        else:
            found = self._beside / place.removeprefix("./")
        return found if found.is_dir() else self._moved(found)

    def _moved(self, folder: Path) -> Path | None:
        """The folder where it lies now: the history may have been moved as a whole.

        A run without files has no folder; what it would lie in is there.
        """
        parts = folder.parts
        places = (self._beside.joinpath(*parts[i:]) for i in range(1, len(parts)))
        found = next((place for place in places if place.is_dir()), None)
        return found or (folder if _is_near(folder) else None)


def _is_near(folder: Path) -> bool:
    """Whether the folder is only missing because nothing was put there."""
    return any(above.is_dir() for above in folder.parents[:_NEAR])
