"""A registered model in somebody's own process: it follows its name, and outlives the stores."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Literal, Self, overload

import msgspec

from cd4ml.errors import InvalidInput, NotFound, Refused, Unavailable
from cd4ml.models import registry
from cd4ml.models.contract import CompiledContract
from cd4ml.models.kept import KeptModels
from cd4ml.models.leniency import LISTED, Warned
from cd4ml.models.manifest import PROBES, Manifest, Probes
from cd4ml.models.own_code import CODE
from cd4ml.models.runtime import load
from cd4ml.models.trust import trusted_in
from cd4ml.records.contract import Contract
from cd4ml.records.explanation import Explained
from cd4ml.records.model_version import ModelVersion
from cd4ml.serving.in_force import (
    InForce,
    PandasFrame,
    answered,
    as_asked,
    as_frame,
    explained,
    frame_answered,
    frame_explained,
)
from cd4ml.serving.in_force import RowsRefused as RowsRefused
from cd4ml.store.project import Project

if TYPE_CHECKING:
    import polars as pl

    Frame = pl.DataFrame | pl.LazyFrame | PandasFrame

_log = logging.getLogger(__name__)

_LONGEST_WAIT_S = 30.0  # between two looks that fail

OpenProject = Callable[[], Project]
ProjectModules = Callable[[Project], AbstractContextManager[Any]]


class Remembered(msgspec.Struct, frozen=True):
    """The version that a name meant last, and the pickles that were trusted then."""

    version: ModelVersion
    trusted: tuple[str, ...]


class LoadedModel:
    """What a name such as `delay@champion` means, ready to answer. Safe to share between threads.

    A thread of its own looks every `every_s` seconds where the name points. A new version is
    fetched, verified and tried beside the old one, and then replaces it, one reference: a call
    takes it once and is answered by one version whole. Whatever fails is logged, and the last
    version stays in force; it and its files are kept on this machine, so the next process
    starts while database and blobs are away. A process that was forked with it has no such
    thread: there it answers with the version it had, says so in its log, and follows no more.

    Raises:
        NotFound: If the name means nothing.
        Refused: If its version is not packaged, or its pickle not trusted.
    """

    def __init__(
        self, open_project: OpenProject, modules: ProjectModules, ref: str, *, every_s: float
    ) -> None:
        self.ref = ref
        self._open_project = open_project
        self._modules = modules
        with open_project() as project:
            place = project.state / "loaded" / registry_folder(ref)
            self._kept = KeptModels(place, "version.json")
            self._in_force = self._first(project)
        self._turn = threading.Lock()
        self._is_ending = threading.Event()
        self._process = os.getpid()
        self._is_forked = False
        if every_s > 0:
            arguments = (weakref.ref(self), open_project, self._is_ending, every_s)
            threading.Thread(target=_watch, args=arguments, name=ref, daemon=True).start()

    @property
    def version(self) -> ModelVersion:
        """The version that answers now."""
        return self._in_force.version

    @property
    def contract(self) -> Contract:
        """What rows must keep now."""
        return self._in_force.runtime.contract

    @overload
    def predict(
        self, rows: Mapping[str, Any], *, contributions: Literal[False] = False
    ) -> float: ...
    @overload
    def predict(
        self, rows: Sequence[Mapping[str, Any]], *, contributions: Literal[False] = False
    ) -> list[float]: ...
    @overload
    def predict(self, rows: Frame, *, contributions: Literal[False] = False) -> pl.Series: ...
    @overload
    def predict(self, rows: Mapping[str, Any], *, contributions: Literal[True]) -> Explained: ...
    @overload
    def predict(
        self, rows: Sequence[Mapping[str, Any]] | Frame, *, contributions: Literal[True]
    ) -> list[Explained]: ...

    def predict(
        self,
        rows: Mapping[str, Any] | Sequence[Mapping[str, Any]] | Frame,
        *,
        contributions: bool = False,
    ) -> float | list[float] | pl.Series | Explained | list[Explained]:
        """The answer to a row, to each of some rows, or to each row of a frame.

        Args:
            rows: As a request has them; their numbers may be NumPy's. A frame may have further
                columns; it may also be a lazy one, which is collected, or one of pandas.
            contributions: Whether each answer comes taken apart into what each field added to
                it: at once, as an endpoint does it, else by some hundred questions to the model.

        What the contract forgives is scored as it says, and a `ContractWarning`.

        Returns:
            The probability of the second class, or the predicted value: a number, a list, or
            the series `score`. With `contributions` an `Explained`, or a list of them.

        Raises:
            RowsRefused: With everything that is wrong with them.
            ModelFailed: If the model fails on a row that keeps its contract.
        """
        if self._process != os.getpid():
            self._process = os.getpid()
            self._is_forked = True
            _log.warning("%s, and is answered by %s for good", self._fork, self.version.ref)
        in_force, answer = self._in_force, explained if contributions else answered
        if isinstance(rows, Mapping):
            return answer(in_force, [rows], ["$"])[0]
        if isinstance(rows, Sequence) and not isinstance(rows, str | bytes):
            return answer(in_force, rows, [f"$.rows[{i}]" for i in range(len(rows))])
        frame = as_frame(rows)
        return (
            frame_explained(in_force, frame) if contributions else frame_answered(in_force, frame)
        )

    def warnings_of(self, rows: Sequence[Mapping[str, Any]]) -> list[Warned]:
        """What the contract forgives in rows that `predict` answers, at most 100 of it."""
        contract = self._in_force.contract
        return contract.warnings_of(as_asked(contract.contract, rows))[:LISTED]

    def refresh(self) -> ModelVersion:
        """Look at once where the name points, and follow it; returns the version that answers.

        Raises:
            Cd4mlError: If that is not possible now; the last version stays in force.
        """
        if self._is_forked or self._process != os.getpid():  # threads of the stores are missing
            raise Unavailable(self._fork, hint="load it after the fork, in each process")
        with self._open_project() as project:
            self._look(project)
        return self.version

    def close(self) -> None:
        """Follow the name no more; it goes on answering."""
        self._is_ending.set()

    def __repr__(self) -> str:
        return f"<{self.ref}: {self.version.ref}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _fork(self) -> str:
        return f"{self.ref} was loaded before this process was forked"

    def _first(self, project: Project) -> InForce:
        meant = None
        try:
            meant = self._meant(project)
            return self._fetched(project, meant)
        except Exception as error:  # whatever keeps the stores from answering
            known = _recalled(self._kept)
            is_said = meant is None and isinstance(error, NotFound | InvalidInput)
            if known is None or is_said or isinstance(error, Refused):
                raise
            _log.warning("%s is answered by %s: %s", self.ref, known.version.ref, error)
            return self._loaded(project, known.version, known.trusted.__contains__)

    def _meant(self, project: Project) -> ModelVersion:
        with project.database.read() as connection:
            version = registry.find_version(connection, self.ref)
        if not version.artifact:
            msg = f"{version.ref} is not packaged yet, so it cannot answer"
            raise Refused(msg, hint=f"cd4ml model package {version.ref}")
        return version

    def _fetched(self, project: Project, version: ModelVersion) -> InForce:
        self._kept.fetch(project.blobs, version.artifact)
        asked: set[str] = set()
        trusted = trusted_in(project.database)

        def is_trusted(address: str) -> bool:
            if not trusted(address):
                return False
            asked.add(address)
            return True

        loaded = self._loaded(project, version, is_trusted)
        self._kept.keep(Remembered(version, tuple(sorted(asked))))
        return loaded

    def _loaded(
        self, project: Project, version: ModelVersion, is_trusted: Callable[[str], bool]
    ) -> InForce:
        manifest = self._kept.blobs.get_record(version.artifact, Manifest)
        # only an estimator may need classes of the project's modules, and bring none of them
        is_whole = CODE in manifest.files or not manifest.is_pickled
        needs_modules = manifest.kind == "native" and not is_whole
        with self._modules(project) if needs_modules else nullcontext():
            runtime = load(self._kept.blobs, version.artifact, is_trusted=is_trusted)
        known = self._kept.blobs.get_record(manifest.files[PROBES], Probes)
        return InForce(version, runtime, CompiledContract(runtime.contract), known.rows)

    def _look(self, project: Project) -> None:
        version = self._meant(project)
        with self._turn:
            before = self.version
            if version == before:
                return
            self._in_force = self._fetched(project, version)
        _log.info("%s was %s and is %s", self.ref, before.ref, version.ref)


def registry_folder(ref: str) -> str:
    """The name of the folder in which a model is kept under a ref.

    Examples:
        >>> registry_folder("delay@champion"), registry_folder("delay/3")
        ('delay@champion', 'delay%2F3')
    """
    from urllib.parse import quote

    return quote(ref, safe="@") if ref not in (".", "..") else "%2E"


def _watch(
    model: weakref.ref[LoadedModel],
    open_project: OpenProject,
    is_ending: threading.Event,
    every_s: float,
) -> None:
    """Look again and again, until nobody holds the model any more."""
    complaint, wait = "", every_s
    while not is_ending.wait(wait):
        followed = model()
        if followed is None:
            return
        try:
            with open_project() as project:
                followed._look(project)
        except Exception as error:  # database, blobs or a model: none of them may end us
            text = f"{type(error).__name__}: {error}"
            if text != complaint:  # once, not with every look
                _log.warning("%s keeps %s: %s", followed.ref, followed.version.ref, text)
            complaint, wait = text, min(2 * wait, max(every_s, _LONGEST_WAIT_S))
        else:
            complaint, wait = "", every_s
        del followed


def _recalled(kept: KeptModels) -> Remembered | None:
    try:
        return kept.recall(Remembered)
    except (OSError, msgspec.MsgspecError):
        return None
