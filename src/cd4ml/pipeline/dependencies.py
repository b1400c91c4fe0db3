"""Whether what a step depended on stayed what its fingerprint says, and still is that.

A fingerprint is taken before a step is computed. What it computes is kept under that
fingerprint only if the code that was imported, and the files that were read, are those that
the fingerprint was taken of. What a step read beyond what its code tells is kept beside its
output: the output is taken only while that is as it was.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cd4ml.pipeline import signs
from cd4ml.pipeline.deciding import whole
from cd4ml.pipeline.fingerprint import Reached, ReachedCode
from cd4ml.pipeline.named_folders import digest_of_folder, is_folder
from cd4ml.pipeline.notes import digest_of_variable
from cd4ml.pipeline.sources import Sources
from cd4ml.pipeline.watch import Seen

if TYPE_CHECKING:
    from cd4ml.pipeline.graph import StepDeclaration

PLACES = ("file", "folder", "tree", "python")  # kinds of what is kept, beside "variable"


class Dependencies:
    """What the steps of one run depend on, beside what their fingerprints hold.

    Args:
        sources: The project's files as they were fingerprinted.
        code: Step -> the code it reaches, as fingerprinted.
        meant: Step -> files that it may mean, as they were then.
    """

    def __init__(
        self,
        sources: Sources,
        code: Mapping[str, Reached],
        meant: Mapping[str, Mapping[str, str]],
    ) -> None:
        self._meant = meant
        self._sources = sources
        self._code = code
        self._environment = dict(os.environ)
        self._digests: dict[tuple[str, tuple[int, ...]], str] = {}

    def without_what_is_read(self, seen: Seen) -> Seen:
        """What importing the code read, without what reading it tells: that is known by step."""
        if not (seen.places or seen.variables or seen.asked):
            return seen
        places = {
            place: digest for place, digest in seen.places.items() if place not in self._named
        }
        return seen._replace(
            places=places, variables=seen.variables - self._told, asked=seen.asked - self._told
        )

    def _meant_by(self, asked: frozenset[str]) -> set[str]:
        """Of the variables that libraries asked for, those whose names are the project's words.

        Others (numbers of threads, folders of a library's own) are those of the machine.
        """
        return {name for name in asked if name.upper() in self._words} if asked else set()

    @cached_property
    def _words(self) -> set[str]:
        paths = [module.path for module in self._sources.modules() if module.path.is_file()]
        texts = (path.read_text("utf-8", errors="replace") for path in paths)
        return {word for text in texts for word in re.findall(r"\w+", text.upper())}

    @cached_property
    def _told(self) -> set[str]:
        statements = [each for module in self._sources.modules() for each in module.statements]
        return set[str]().union(*(each.variables for each in statements))

    @cached_property
    def _named(self) -> set[str]:
        paths = self._sources.meant_anywhere()
        return {f"file {path.relative_to(self._sources.folder)}" for path in paths}

    def edited(self, step: StepDeclaration, seen: Seen) -> str:
        """A file whose code was imported as another one than was fingerprinted; "" if there is none.

        An edit that leaves the step's own code what it was, such as one of a comment, is none.
        """
        known = {module.path: module.digest for module in self._sources.parsed()}
        others = {
            name: digest
            for name, digest in seen.loaded.items()
            if known.get(self._sources.folder / name, digest) != digest
        }
        if not others:
            return ""
        now = Sources(self._sources.folder, self._sources.start)
        reached = ReachedCode(now).by(step.module, step.function)
        fresh = {module.path: module.digest for module in now.parsed()}
        for name, digest in others.items():
            if fresh.get(now.folder / name) != digest:
                return name  # neither what it was nor what it is
        return "" if self._code[step.name].is_extended_by(reached) else min(others)

    def moved(self, step: StepDeclaration, seen: Seen) -> bool:
        """Whether a file that the step used was changed while it was computed."""
        there = (name for name, digest in self._meant[step.name].items() if digest)
        named = {*there, *self._code[step.name].files} - seen.written
        at = (self._sources.folder / name for name in named if not name.endswith((".py", "/")))
        if any(not self._sources.is_as_read(path) for path in at):
            return True
        loaded = (self._sources.folder / name for name in self._beyond(seen))
        return any(signs.stamp_of(str(path)) and self._is_other(path, seen) for path in loaded)

    def of(self, step: StepDeclaration, seen: Seen) -> dict[str, str]:
        """What has to be as it is now for the step's output to be taken again."""
        reached = self._code[step.name]
        places = {
            place: digest
            for place, digest in seen.places.items()
            if place.endswith(".py") or place.partition(" ")[2] not in reached.files
        }
        loaded = {
            f"python {name}": whole(self._sources.folder / name)
            for name in self._beyond(seen)
            if name not in reached.files and (self._sources.folder / name).is_file()
        }
        variables = {
            f"variable {name}": digest_of_variable(name, self._environment)
            for name in (seen.variables | self._meant_by(seen.asked)) - reached.variables
        }
        meant = {
            f"file {name}": digest
            for name, digest in self._meant[step.name].items()
            if not is_folder(name)
            and name not in seen.written
            and (digest or not (self._sources.folder / name).exists())
        }
        trees = self._looked_through(step)
        return dict(sorted({**meant, **trees, **places, **loaded, **variables}.items()))

    def _looked_through(self, step: StepDeclaration) -> dict[str, str]:
        """The folders it may look through, without those that it, or somebody, writes to."""
        found = {
            f"tree {name}": digest
            for name, digest in self._meant[step.name].items()
            if is_folder(name)
        }
        return {tree: digest for tree, digest in found.items() if self._digest(tree) == digest}

    def hold(self, kept: Mapping[str, str]) -> bool:
        """Whether all of that is as it was."""
        return all(self._digest(each) == digest for each, digest in kept.items())

    def _digest(self, each: str) -> str:
        kind, _, name = each.partition(" ")
        if kind == "variable":
            return digest_of_variable(name, self._environment)
        path = str(self._sources.folder / name)
        if kind == "tree":  # whose stamp does not tell what its files hold
            return digest_of_place(kind, path)
        key = (each, signs.stamp_of(path))
        if key not in self._digests:
            self._digests[key] = digest_of_place(kind, path)
        return self._digests[key]

    def _beyond(self, seen: Seen) -> list[str]:
        """Python files that were imported, and that reading the code did not lead to."""
        known = {module.path for module in self._sources.parsed()}
        return [name for name in seen.fresh if self._sources.folder / name not in known]

    def _is_other(self, path: Path, seen: Seen) -> bool:
        name = str(path.relative_to(self._sources.folder))
        return self._sources.digest(path) != seen.loaded[name]


def digest_of_place(kind: str, path: str) -> str:
    """What stands for a file or folder; "" for what is not there."""
    try:
        if kind == "python":
            return whole(Path(path))
        if kind == "tree":
            return digest_of_folder(Path(path))
        return signs.content_of(path, "folder" if kind == "folder" else "file")
    except OSError:
        return ""


def places_of(kept: Iterable[Mapping[str, str]]) -> dict[str, tuple[str, str]]:
    """Of what several steps depended on, the places: name -> kind and digest."""
    found = {}
    for each in kept:
        for key, digest in each.items():
            kind, _, name = key.partition(" ")
            if kind in PLACES:
                found[name] = (kind, digest)
    return found


def variables_of(kept: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Of what several steps depended on, the variables with their digests."""
    pairs = (pair for each in kept for pair in each.items())
    return {
        name.removeprefix("variable "): digest
        for name, digest in pairs
        if name.startswith("variable ")
    }
