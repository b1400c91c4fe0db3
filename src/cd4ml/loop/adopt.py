"""Make a dataset of files that nobody has described yet: found, checked and versioned."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import msgspec

from cd4ml.data.contract_file import to_toml
from cd4ml.data.files import Listing, files_of, left_alone, openable
from cd4ml.data.formats import SUFFIXES, reading_of, scan
from cd4ml.data.suggest import suggest
from cd4ml.errors import AlreadyExists, Cd4mlError, InvalidInput, Unavailable
from cd4ml.loop.ingest import ingest
from cd4ml.records.dataset import DatasetVersion
from cd4ml.store.project import FILE, Project, open_project
from cd4ml.store.settings import read_settings

_CONTRACTS = "contracts"  # the folder that suggested contracts are written to


class Adopted(msgspec.Struct, frozen=True, kw_only=True):
    """The first version of a dataset, and the contract it was checked against ("": no table)."""

    version: DatasetVersion
    contract: str  # path below the project


def adopt(
    project: Project, name: str, path: str, *, owner: str = "", description: str = "", actor: str
) -> Adopted:
    """Describe files in `cd4ml.toml`, suggest a contract if they are a table, and add them.

    Either all of it is done or nothing: what was written is taken back if the files are
    refused. The contract is a suggestion; it is a file to be reviewed and changed.

    Args:
        project: Which project; its settings have the dataset only when it is opened again.
        name: What steps will call it.
        path: A file, folder or glob, below the project or absolute.
        owner: Who answers for it.
        description: What a row or a file is.
        actor: Who.

    Raises:
        AlreadyExists: If the dataset is described already, or its contract's file exists.
        NotFound: If no file matches, or nobody has the actor's name.
        InvalidInput: If the name is none for a step's input, or the files cannot be read.
        Unavailable: If the project's folder cannot be written to.
    """
    if name in project.settings.data:
        msg = f"the dataset {name!r} is described in {FILE} already"
        raise AlreadyExists(msg, hint=f"cd4ml data add {name}")
    if not name.isidentifier():
        msg = f"expected a name that a step's parameter can have, got {name!r}"
        raise InvalidInput(msg, hint="letters, digits and _, not beginning with a digit")
    listing = files_of(project.folder, path)
    suggested = _suggested(project, listing, name, path)
    contract = f"{_CONTRACTS}/{name}.toml" if suggested else ""
    settings = project.folder / FILE
    before = settings.read_text()
    described = before.rstrip() + _section(name, path, contract, owner, description)
    try:
        if suggested:
            _write_new(project.folder / contract, suggested)
        _replace(settings, described)
        read_settings(settings)
        with open_project(project.folder) as opened:
            version = ingest(opened, name, actor=actor)
    except (Cd4mlError, OSError) as error:
        if not isinstance(error, AlreadyExists):
            _take_back(project.folder, before, contract)
        if isinstance(error, Cd4mlError):
            raise
        msg = f"{project.folder} cannot be written to: {error.strerror}"
        raise Unavailable(msg, hint="may this user write there, and is there room?") from None
    return Adopted(version=version, contract=contract)


def _suggested(project: Project, listing: Listing, name: str, path: str) -> str:
    """The text of a contract that the files keep; "" if they are no table."""
    if not all(Path(file.name).suffix.lower() in SUFFIXES for file in listing.files):
        return ""
    paths = openable(listing.paths, project.files.cache / "names")
    with left_alone(listing.files):
        try:
            reading = reading_of(paths)
        except InvalidInput:
            if listing.is_folder:
                return ""
            raise
        found = suggest(scan(paths, reading), name, source=path)
    return to_toml(found.contract, found.notes)


def _section(name: str, path: str, contract: str, owner: str, description: str) -> str:
    said = {"path": path, "owner": owner, "description": description, "contract": contract}
    # a text in JSON is the same text in TOML
    lines = [f"{key} = {json.dumps(value)}" for key, value in said.items() if value]
    return "\n\n" + "\n".join([f"[data.{name}]", *lines]) + "\n"


def _write_new(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        msg = f"there is a file {path} already"
        hint = "name it in cd4ml.toml by hand, or move it away"
        raise AlreadyExists(msg, hint=hint) from None


def _replace(path: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(name).chmod(path.stat().st_mode)
    Path(name).replace(path)


def _take_back(folder: Path, before: str, contract: str) -> None:
    _replace(folder / FILE, before)
    if contract:
        (folder / contract).unlink(missing_ok=True)
        if not any((folder / _CONTRACTS).iterdir()):
            (folder / _CONTRACTS).rmdir()
