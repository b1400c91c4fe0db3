"""Datasets: register a version, find one, look at one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.cli.commands import contracts
from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.data.catalog import Entry
    from cd4ml.loop.ingest import DatasetDetails
    from cd4ml.records.dataset import Column, DatasetVersion


def add(commands: Commands) -> None:
    """`data add|list|show`."""
    nouns = commands.group("data", "datasets and their versions")
    parser = nouns.add(
        "add",
        register,
        "register what a dataset's files hold now as a version",
        "The rows are checked against the contract that cd4ml.toml names for the dataset.\n"
        "The same bytes are the same version: adding them twice changes nothing.",
    )
    parser.add_argument("name", metavar="NAME", help="of a [data.NAME] in cd4ml.toml")
    parser.add_argument(
        "--path", default="", help="a file or glob (default: the one in cd4ml.toml)"
    )
    parser.add_argument("--note", default="", help="what is special about this version")
    parser = nouns.add("list", catalog, "list datasets with owner, newest version and size")
    parser.add_argument("query", metavar="WORD", nargs="?", default="", help="only matching ones")
    parser = nouns.add("show", details, "show a dataset: columns, contract findings, lineage")
    parser.add_argument("ref", metavar="NAME[@NUMBER]", help="a dataset, or one of its versions")
    contracts.add_to(nouns)


def register(given: Given) -> Answer[DatasetVersion]:
    """Register a version."""
    from cd4ml.loop.ingest import ingest

    words = given.words
    version = ingest(given.project, words.name, path=words.path, note=words.note, actor=given.actor)
    return Answer(version, _show_version)


def catalog(given: Given) -> Answer[list[Entry]]:
    """The datasets of the project."""
    from cd4ml.loop.ingest import catalog as look

    return Answer(look(given.project, given.words.query), _show_catalog)


def details(given: Given) -> Answer[DatasetDetails]:
    """One dataset."""
    from cd4ml.loop.ingest import show_dataset

    return Answer(show_dataset(given.project, given.words.ref), _show_details)


def _show_version(screen: Screen, version: DatasetVersion) -> None:
    from cd4ml.cli.screen import short, size

    screen.title(version.ref)
    screen.facts(
        (
            ("rows", f"{version.n_rows:,}"),
            ("files", f"{len(version.files)}, {size(version.n_bytes)}"),
            ("contract", version.outcome if version.contract else "none"),
            ("quarantine", _set_aside(version)),
            ("digest", short(version.digest)),
            ("source", version.source),
            ("note", version.note),
            ("by", version.created_by),
        )
    )


def _set_aside(version: DatasetVersion) -> str:
    if not version.quarantine:
        return ""
    rows = "1 row" if version.n_quarantined == 1 else f"{version.n_quarantined:,} rows"
    return f"{rows} set aside: {version.quarantine}"


def _show_catalog(screen: Screen, entries: list[Entry]) -> None:
    screen.table(
        ("dataset", "owner", "newest", "contract", "rows", "about"),
        (_entry(entry) for entry in entries),
    )


def _entry(entry: Entry) -> tuple[str, ...]:
    dataset, newest = entry.dataset, entry.newest
    if newest is None:
        return dataset.name, dataset.owner, "none yet", "", "", dataset.description
    checked = newest.outcome if newest.contract else "none"
    rows = f"{newest.n_rows:,}"
    return dataset.name, dataset.owner, newest.ref, checked, rows, dataset.description


def _show_details(screen: Screen, details: DatasetDetails) -> None:
    _show_version(screen, details.version)
    dataset = details.dataset
    screen.facts(
        (
            ("about", dataset.description),
            ("owner", dataset.owner),
            ("licence", dataset.licence),
            ("tags", ", ".join(dataset.tags)),
            ("versions", ", ".join(version.ref for version in details.versions)),
            ("made from", ", ".join(dict.fromkeys(details.parents))),
            ("used by", ", ".join(dict.fromkeys(details.children))),
        )
    )
    screen.line()
    screen.table(
        ("column", "type", "nulls", "least", "greatest", "distinct"),
        (_column(column) for column in details.version.columns),
    )


def _column(column: Column) -> tuple[str, ...]:
    from cd4ml.cli.screen import number

    ends = ["" if end is None else number(end) for end in (column.minimum, column.maximum)]
    distinct = "" if column.n_unique is None else f"{column.n_unique:,}"
    return column.name, column.type, f"{column.n_null:,}", *ends, distinct
