"""What a run was asked for: the same code on other data, with other values, elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from cd4ml.data.refs import find_version
from cd4ml.errors import InvalidInput
from cd4ml.loop.ingest import ingest
from cd4ml.pipeline.run import Purpose
from cd4ml.records.dataset import Dataset, DatasetVersion
from cd4ml.records.settings import DataSettings, EnvironmentSettings
from cd4ml.store import rows

if TYPE_CHECKING:
    from cd4ml.store.project import Project

_REF = re.compile(r"[A-Za-z_][A-Za-z0-9_]*@.*")
_PATH = re.compile(r"[/\\.*?\[]")
_GLOB = re.compile(r"[*?\[]")
# what a dataset that is given by its path has of the one it stands for
_SHARED = ("contract", "owner", "personal", "readers", "licence", "on_violation", "store")


class Asked(NamedTuple):
    """What flags and environment together ask for; flags win.

    `data` maps dataset names to versions, other datasets or paths; `parameters` holds the
    values that differ from the code's, by "step.parameter".
    """

    environment_name: str
    data: dict[str, str]
    parameters: dict[str, Any]

    @property
    def purpose(self) -> Purpose:
        """The same, as a run records it."""
        return Purpose(self.environment_name, {**self.data, **self.parameters})


def asked(
    project: Project,
    *,
    environment: str,
    data: Mapping[str, str] | None,
    parameters: Mapping[str, Any] | None,
) -> Asked:
    """What is asked for by `[environments.NAME]` and by flags.

    Raises:
        InvalidInput: If there is no such environment, dataset, version, file or folder.
    """
    chosen = _environment(project, environment)
    pinned = {**chosen.data, **(data or {})}
    unknown = sorted(set(pinned) - set(project.settings.data))
    if unknown:
        known = ", ".join(sorted(project.settings.data)) or "none"
        msg = f"no dataset named {unknown[0]!r} in cd4ml.toml"
        raise InvalidInput(msg, hint=f"known: {known}")
    for name, wanted in pinned.items():
        _refuse_unknown(project, name, wanted)
    return Asked(environment, pinned, {**flat(chosen.parameters), **(parameters or {})})


def flat(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Values by "step.parameter", whether they are written so or as a table a step.

    Examples:
        >>> flat({"delay.max_iter": 20, "evaluation": {"last_days": 3}})
        {'delay.max_iter': 20, 'evaluation.last_days': 3}
    """
    found: dict[str, Any] = {}
    for name, value in parameters.items():
        if "." not in name and isinstance(value, dict):
            found.update({f"{name}.{inner}": each for inner, each in value.items()})
        else:
            found[name] = value
    return found


def is_version(wanted: str) -> bool:
    """Whether somebody names a version: `flights@3`, `flights@tag`, `flights@2013-03`."""
    return _REF.fullmatch(wanted) is not None


def is_path(project: Project, wanted: str) -> bool:
    """Whether somebody names files: what is no dataset and looks like a path, or is one."""
    if is_version(wanted) or wanted in project.settings.data:
        return False
    with project.database.read() as connection:
        if rows.find(connection, Dataset, name=wanted):
            return False
    return bool(_PATH.search(wanted)) or (project.folder / wanted).exists()


def version_of_path(project: Project, name: str, path: str, *, actor: str) -> DatasetVersion:
    """The version of files that stand for a dataset, made if it is not there yet.

    They are versions of a dataset of their own, so that the newest one of `flights` stays
    what it is: `flights_small` for data/small.parquet. Its contract, its owner, and who may
    read it are those of the dataset that they stand for.

    Raises:
        InvalidInput: If that name is another dataset's.
        ContractViolated: If they break the contract.
        NotFound: If no file matches.
    """
    own = f"{name}_{_stem(path)}"
    if own in project.settings.data:
        msg = f"{path!r} would be a version of {own!r}, which cd4ml.toml has for other data"
        raise InvalidInput(msg, hint=f"--data {name}={own}, or give the file another name")
    declared = project.settings.data[name]
    shared = {key: getattr(declared, key) for key in _SHARED}
    note = f"stands for {name}"
    settings = DataSettings(path=path, description=note, **shared)
    data = {**project.settings.data, own: settings}
    under = project.with_settings(msgspec.structs.replace(project.settings, data=data))
    ingest(under, own, actor=actor)
    with project.database.read() as connection:
        # `ingest` hides values from who may not read them, and a run needs the version itself
        return find_version(connection, own)


def _stem(path: str) -> str:
    """The last name in a path that is no pattern, as a part of a dataset's name."""
    names = [each for each in path.rstrip("/").split("/") if each and not _GLOB.search(each)]
    return re.sub(r"\W+", "_", Path(names[-1]).stem).strip("_") if names else "files"


def _environment(project: Project, name: str) -> EnvironmentSettings:
    if not name:
        return EnvironmentSettings()
    known = project.settings.environments
    if name not in known:
        listed = ", ".join(known) or f"none: add [environments.{name}] to cd4ml.toml"
        raise InvalidInput(f"no environment named {name!r}", hint=f"known: {listed}")
    return known[name]


def _refuse_unknown(project: Project, name: str, wanted: str) -> None:
    if wanted in project.settings.data:
        return
    if is_version(wanted):
        with project.database.read() as connection:
            find_version(connection, wanted)
        return
    with project.database.read() as connection:
        described = [each.name for each in rows.find(connection, Dataset)]
    if wanted in described or is_path(project, wanted):
        return
    known = ", ".join(sorted({*described, *project.settings.data})) or "none"
    msg = f"no dataset, file or folder {wanted!r} for {name!r}"
    raise InvalidInput(msg, hint=f"known datasets: {known}; {name}@NUMBER, TAG or DATE, or a path")
