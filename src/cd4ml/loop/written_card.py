"""What people write about a model's use and its limits: the part of a card that no record knows."""

from __future__ import annotations

from cd4ml.errors import ConfigurationError
from cd4ml.store.project import Project
from cd4ml.store.storable import problem

_LONGEST = 200_000  # characters


def written_card(project: Project) -> str:
    """The address of the file that `[model] card` names, as it is now; "" if it names none.

    Raises:
        ConfigurationError: If it cannot be read.
    """
    name = project.settings.model.card
    if not name:
        return ""
    path = project.folder / name
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        msg = f"cd4ml.toml: {name} cannot be read: {reason} - at `model.card`"
        raise ConfigurationError(msg, hint="a Markdown file in the project's folder") from None
    if len(text) > _LONGEST or problem(text):
        found = problem(text) or f"expected at most {_LONGEST:,} characters, got {len(text):,}"
        raise ConfigurationError(f"cd4ml.toml: {name} cannot be kept: {found} - at `model.card`")
    return project.blobs.put(text.encode())
