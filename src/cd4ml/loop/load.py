"""Take a model as data: in any Python process, by its name."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cd4ml.loop.candidate import project_modules
from cd4ml.store.project import open_project

if TYPE_CHECKING:
    from cd4ml.serving.loaded import LoadedModel

EVERY_S = 1.0


def load(ref: str, *, project: Path | str | None = None, every_s: float = EVERY_S) -> LoadedModel:
    """A registered model that answers in this process, and follows its name.

    Every file is verified by its digest. When the name comes to mean another version, that
    one answers as soon as it has been loaded and tried. With the database and the blob store
    away the last version goes on answering, also in a process that starts then.

    Args:
        ref: `delay@champion`, `delay` (the newest version), or `delay/3` (always this one).
        project: The project's folder; CD4ML_PROJECT or the working directory by default.
        every_s: Seconds between two looks where the name points; 0: it is followed only by
            `refresh()`.

    Raises:
        ProjectNotFound: If there is no project.
        NotFound: If the name means nothing.
        Refused: If its version is not packaged, or its pickle not trusted.
        Unavailable: If the stores are away, and the model was never loaded here.
    """
    from cd4ml.serving.loaded import LoadedModel

    with open_project(Path(project) if project is not None else None) as found:
        folder = found.folder  # as an absolute path: the process may go elsewhere
    return LoadedModel(partial(open_project, folder), project_modules, ref, every_s=every_s)
