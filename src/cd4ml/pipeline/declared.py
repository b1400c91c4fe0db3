"""The steps of a project, without importing it when nothing has changed.

Importing a pipeline imports its libraries, which takes seconds. What it declares is
kept in a file of the project's state, under the address of everything the import may
have read; as long as that is the same, so are the declarations.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from cd4ml.pipeline.dependencies import digest_of_place
from cd4ml.pipeline.graph import StepDeclaration
from cd4ml.pipeline.notes import digest_of_variable, unlike
from cd4ml.pipeline.sources import Sources
from cd4ml.pipeline.watch import Seen
from cd4ml.store.address import address_of_record

FILE = "steps.json"


class Declared(msgspec.Struct, frozen=True):
    """What a project declares, and what its declarations are made of beside code.

    Attributes:
        key: Address of everything that importing it may have read by name.
        steps: In the order of the module.
        places: What the import read, "file NAME" or "folder NAME" -> digest.
        variables: Environment variables that it asked for, with the digests of their values.
    """

    key: str
    steps: tuple[StepDeclaration, ...]
    places: dict[str, str]
    variables: dict[str, str]


def declared_steps(
    sources: Sources,
    *,
    environment: str,
    state: Path,
    declare: Callable[[], tuple[tuple[StepDeclaration, ...], Seen]],
) -> Declared:
    """The steps that the project declares now, and what that depends on.

    Args:
        sources: The project's files.
        environment: Address of the installed distributions.
        state: Folder in which the declarations are kept.
        declare: Imports the project, and says what it declares and what the import read.

    Raises:
        PipelineError: If the module cannot be imported, or a step cannot be declared so.
    """
    key = address_of_record([sources.start, environment, sources.state()])
    kept = _read(state / FILE)
    if kept is not None and kept.key == key and _holds(kept, sources.folder):
        return kept
    steps, seen = declare()
    variables = {name: digest_of_variable(name) for name in sorted(seen.variables | seen.asked)}
    declared = Declared(key, steps, dict(seen.places), variables)
    _write(state / FILE, declared)
    return declared


def _holds(kept: Declared, folder: Path) -> bool:
    return not unlike(kept.variables) and all(
        digest_of_place(place.partition(" ")[0], str(folder / place.partition(" ")[2])) == digest
        for place, digest in kept.places.items()
    )


def _read(path: Path) -> Declared | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Declared)
    except (OSError, msgspec.MsgspecError):
        return None  # not there yet, or of another version of cd4ml: import again


def _write(path: Path, kept: Declared) -> None:
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError):  # a read-only state costs time, not correctness
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(msgspec.json.encode(kept))
        fresh.replace(path)
