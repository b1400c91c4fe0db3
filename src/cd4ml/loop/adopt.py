"""Make a dataset of files that nobody has described yet: found, checked and versioned.

The version comes first, and what describes it last: the contract's file, then the section of
`cd4ml.toml`. Whoever is killed in between has described nothing, and the same command goes on.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from cd4ml.data.contract_file import contract_from_toml, to_toml
from cd4ml.data.files import is_text, left_alone, openable
from cd4ml.data.formats import SUFFIXES
from cd4ml.data.measuring import TableFiles, rows_of
from cd4ml.data.names import written
from cd4ml.data.quarantine import quarantine_of
from cd4ml.data.snapshot import Look, look
from cd4ml.data.suggest import suggest
from cd4ml.data.taking import Keeping
from cd4ml.errors import AlreadyExists, InvalidInput, Unavailable
from cd4ml.loop.ingest import ingest
from cd4ml.records.dataset import NAME_RULE, Dataset, DatasetVersion, is_dataset_name
from cd4ml.records.settings import Settings
from cd4ml.store import rows
from cd4ml.store.project import FILE, Project
from cd4ml.store.settings_edit import SettingsFile, editing, refuse_unless_writable, write_whole

_CONTRACTS = "contracts"  # the folder that suggested contracts are written to


class Adopted(msgspec.Struct, frozen=True, kw_only=True):
    """The first version of a dataset, and the contract it was checked against ("": no table)."""

    version: DatasetVersion
    contract: str  # path below the project


def adopt(
    project: Project,
    name: str,
    path: str,
    *,
    owner: str = "",
    description: str = "",
    keeping: Keeping = "copy",
    actor: str,
) -> Adopted:
    """Describe files in `cd4ml.toml`, suggest a contract if they are a table, and add them.

    If the files are refused nothing is described; what was interrupted goes on when it is
    asked for again. One process at a time adopts. The contract is a suggestion; it is a file
    to be reviewed and changed.

    Args:
        project: Which project; its settings have the dataset only when it is opened again.
        name: What steps will call it.
        path: A file, folder or glob, below the project or absolute; or a prefix of S3.
        owner: Who answers for it.
        description: What a row or a file is.
        keeping: How the bytes of this version and of those to come are kept.
        actor: Who.

    Raises:
        AlreadyExists: If the dataset is described already, or its contract's file exists.
        NotFound: If no file matches, or nobody has the actor's name.
        InvalidInput: If the name is none for a step's input, or the files cannot be read.
        Unavailable: If the project's folder cannot be written to.
    """
    if not is_dataset_name(name):
        msg = f"expected a name that a step's parameter can have, got {name!r}"
        raise InvalidInput(msg, hint=NAME_RULE)
    with editing(project.folder / FILE, project.state) as file:
        _refuse_taken(project, file.settings, name)
        looked = look(project.files, project.folder, path)
        suggested = _suggested(project, looked, name)
        contract = f"{_CONTRACTS}/{name}.toml" if suggested else ""
        section = _section(
            name,
            path=path,
            store="" if keeping == "copy" else keeping,
            owner=owner,
            description=description,
            contract=contract,
        )
        settings = file.with_section(section)
        _refuse_unless_writable(project.folder, file, contract, suggested)
        version = _version(project, settings, name, contract, suggested, actor)
        if contract:
            _write_contract(project.folder / contract, suggested)
        file.append(section)
    return Adopted(version=version, contract=contract)


def _refuse_taken(project: Project, settings: Settings, name: str) -> None:
    if name in settings.data:
        msg = f"the dataset {name!r} is described in {FILE} already"
        raise AlreadyExists(msg, hint=f"cd4ml data add {name}")
    with project.database.read() as connection:
        others = {*settings.data, *(each.name for each in rows.find(connection, Dataset))}
    for other in others:
        if name == quarantine_of(other):
            msg = f"rows of {other!r} that break its contract are kept in {name!r}"
            raise InvalidInput(msg, hint="give this dataset another name")


def _suggested(project: Project, looked: Look, name: str) -> str:
    """The text of a contract that the files keep; "" if they are no table."""
    listing = looked.listing
    if not all(Path(file.name).suffix.lower() in SUFFIXES for file in listing.files):
        return ""
    paths = openable(listing.paths, project.files.cache / "names")
    with left_alone(listing.files):
        try:
            table = rows_of(TableFiles(paths, [], looked.pattern))
        except InvalidInput:
            if listing.is_folder:
                return ""  # the version says why
            raise
    found = suggest(table, name, source=looked.pattern)
    return to_toml(found.contract, found.notes) if found.contract.fields else ""


def _section(name: str, **said: str) -> str:
    lines = [f"{key} = {_quoted(value)}" for key, value in said.items() if value]
    return "\n".join([f"[data.{name if name.isascii() else _quoted(name)}]", *lines]) + "\n"


def _quoted(text: str) -> str:
    """A text in TOML.

    Examples:
        >>> _quoted("rides of ä")
        '"rides of ä"'

    Raises:
        InvalidInput: If it is none: a path whose bytes are no UTF-8, for instance.
    """
    if not is_text(text):
        msg = f"{FILE} can hold text only, got {written(text)}"
        raise InvalidInput(msg, hint="rename the file, or name its folder or a glob")
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _version(
    project: Project, settings: Settings, name: str, contract: str, suggested: str, actor: str
) -> DatasetVersion:
    """The version that the files become under settings that nobody has written yet."""
    checked = contract_from_toml(suggested, contract) if contract else None
    with Project(project.folder, settings) as described:
        return ingest(described, name, contract=checked, actor=actor)


def _refuse_unless_writable(
    folder: Path, file: SettingsFile, contract: str, suggested: str
) -> None:
    """Refuse before anything is done what could not be written after it."""
    file.refuse_unless_writable()
    if not contract:
        return
    contracts, target = folder / _CONTRACTS, folder / contract
    if not contracts.exists():
        refuse_unless_writable(folder)
    elif not contracts.is_dir():
        msg = f"{contracts} is no folder: the contract cannot be written there"
        raise Unavailable(msg, hint="move it away")
    elif target.exists() or target.is_symlink():
        _refuse_other(target, suggested)
    else:
        refuse_unless_writable(contracts)


def _write_contract(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    try:
        write_whole(path, text, is_new=True)
    except FileExistsError:
        _refuse_other(path, text)


def _refuse_other(path: Path, text: str) -> None:
    """Let the contract be that was written before somebody was interrupted, and no other."""
    if path.is_file() and path.read_bytes() == text.encode():
        return
    msg = f"there is a file {path} already"
    raise AlreadyExists(msg, hint=f"name it in {FILE} by hand, or move it away")
