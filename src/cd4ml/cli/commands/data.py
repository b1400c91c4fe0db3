"""Datasets: register a version, find one, look at one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cd4ml.cli.commands import contracts, profiles, pulls, versions
from cd4ml.cli.facts import show_facts
from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands, at_most_a_million, day_or_time

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.data.catalog import Entry
    from cd4ml.loop.adopt import Adopted
    from cd4ml.loop.ingest import DatasetDetails
    from cd4ml.records.dataset import Column, DatasetVersion


_STORE: dict[str, Any] = {"choices": ("copy", "reference", "hardlink")}
_KEPT = "copy the files, leave them where they are, or give them a second name"


def add(commands: Commands) -> None:
    """`data add|list|show|pull|pulls`, and what can be done with versions."""
    nouns = commands.group("data", "datasets and their versions")
    parser = nouns.add(
        "add",
        register,
        "register what a dataset's files hold now as a version",
        "The rows are checked against the contract that cd4ml.toml names for the dataset.\n"
        "The same bytes are the same version: adding them twice changes nothing. Files that are\n"
        "no table (pictures, for instance) are versioned as what they are.",
    )
    parser.add_argument("name", metavar="NAME", help="of a [data.NAME] in cd4ml.toml")
    parser.add_argument(
        "--path",
        default="",
        help="a file, folder, glob or s3:// prefix (default: as cd4ml.toml says)",
    )
    parser.add_argument(
        "--store", **_STORE, help=f"{_KEPT} (default: as cd4ml.toml says, else copy)"
    )
    parser.add_argument("--note", default="", help="what is special about this version")
    parser = nouns.add(
        "adopt",
        adopted,
        "describe files in cd4ml.toml, suggest a contract for them, and add them",
        "For files that nobody has described yet. Of a table a contract is suggested, in\n"
        "contracts/NAME.toml: a file to be reviewed and changed.",
    )
    parser.add_argument("name", metavar="NAME", help="what steps will call the dataset")
    parser.add_argument("path", metavar="PATH", help="a file, folder, glob or s3:// prefix")
    parser.add_argument("--owner", default="", help="who answers for it")
    parser.add_argument("--description", default="", help="what a row or a file is")
    parser.add_argument("--store", default="copy", **_STORE, help=f"{_KEPT} (default: copy)")
    parser = nouns.add("list", catalog, "list datasets with owner, newest version and size")
    parser.add_argument("query", metavar="WORD", nargs="*", help="only those with all of them")
    parser.add_argument(
        "--limit", type=at_most_a_million, default=100, metavar="N", help="(default: 100)"
    )
    parser = nouns.add("show", details, "show a dataset: columns, contract findings, lineage")
    parser.add_argument("ref", metavar="NAME[@VERSION]", help="a number, tag or date; else newest")
    parser.add_argument(
        "--as-of",
        dest="as_of",
        metavar="MOMENT",
        type=day_or_time,
        help="the version of then, and how many of its rows had arrived (2013-03-01)",
    )
    versions.add_to(nouns)
    pulls.add_to(nouns)
    profiles.add_to(nouns)
    contracts.add_to(nouns)


def register(given: Given) -> Answer[DatasetVersion]:
    """Register a version."""
    from cd4ml.loop.ingest import ingest

    words = given.words
    version = ingest(
        given.project,
        words.name,
        path=words.path,
        note=words.note,
        keeping=words.store,
        actor=given.actor,
    )
    return Answer(version, lambda screen, version: _show_registered(screen, version, words.note))


def _show_registered(screen: Screen, version: DatasetVersion, note: str) -> None:
    show_version(screen, version)
    if not version.note.startswith(note):  # why its files are no table may stand after it
        screen.hint(f"{version.ref} has had these files before, and keeps its own note")


def adopted(given: Given) -> Answer[Adopted]:
    """Make a dataset of files that nobody has described."""
    from cd4ml.loop.adopt import adopt

    words = given.words
    found = adopt(
        given.project,
        words.name,
        words.path,
        owner=words.owner,
        description=words.description,
        keeping=words.store,
        actor=given.actor,
    )
    return Answer(found, _show_adopted)


def _show_adopted(screen: Screen, adopted: Adopted) -> None:
    show_version(screen, adopted.version)
    screen.line(f"described in cd4ml.toml as [data.{adopted.version.dataset}]")
    if adopted.contract:
        screen.line(f"checked against {adopted.contract}, a suggestion: review every line of it")


def catalog(given: Given) -> Answer[list[Entry]]:
    """The datasets of the project."""
    from cd4ml.loop.catalog import catalog as look

    words = given.words
    found = look(given.project, " ".join(words.query), limit=words.limit, actor=given.asker)
    return Answer(found, _show_catalog)


def details(given: Given) -> Answer[DatasetDetails]:
    """One dataset."""
    from cd4ml.loop.ingest import show_dataset

    words = given.words
    details = show_dataset(given.project, words.ref, as_of=words.as_of, actor=given.asker)
    return Answer(details, _show_details)


def show_version(screen: Screen, version: DatasetVersion, *, is_stored: bool = False) -> None:
    """A version with what was counted and where it came from.

    Args:
        screen: Where to.
        version: Which one.
        is_stored: Whether the store has its bytes though its files were left where they are.
    """
    from cd4ml.cli.screen import short, size

    screen.title(version.ref)
    screen.facts(
        (
            ("rows", f"{version.n_rows:,}" if version.kind == "table" else "no table"),
            ("files", f"{version.n_files:,}, {size(version.n_bytes)}"),
            ("contract", version.outcome if version.contract else "none"),
            ("quarantine", _set_aside(version)),
            ("digest", short(version.digest)),
            ("source", version.source),
            ("left in", f"{version.place}, and stored" if is_stored else version.place),
            ("note", version.note),
            ("by", version.created_by),
        )
    )


def _set_aside(version: DatasetVersion) -> str:
    from cd4ml.cli.screen import counted

    if not version.quarantine:
        return ""
    return f"{counted(version.n_quarantined, 'row')} set aside: {version.quarantine}"


def _show_catalog(screen: Screen, entries: list[Entry]) -> None:
    screen.table(
        ("dataset", "owner", "newest", "contract", "rows", "", "about"),
        (_entry(entry) for entry in entries),
    )


def _entry(entry: Entry) -> tuple[str, ...]:
    from cd4ml.cli.screen import counted

    dataset, newest = entry.dataset, entry.newest
    if newest is None:
        return dataset.name, dataset.owner, "none yet", "", "", _marks(entry), dataset.description
    checked = newest.outcome if newest.contract else "none"
    rows = f"{newest.n_rows:,}" if newest.kind == "table" else counted(newest.n_files, "file")
    marks = _marks(entry)
    return dataset.name, dataset.owner, newest.ref, checked, rows, marks, dataset.description


def _marks(entry: Entry) -> str:
    """What one should know before using it."""
    marks = (
        ("stale", entry.freshness is not None and entry.freshness.state == "stale"),
        (
            "freshness unknown",
            entry.freshness is not None and entry.freshness.state == "unknown",
        ),
        ("personal", bool(entry.dataset.personal)),
        ("restricted", bool(entry.dataset.readers)),
    )
    return ", ".join(word for word, is_so in marks if is_so)


def _show_details(screen: Screen, details: DatasetDetails) -> None:
    is_stored = bool(details.version.place) and details.is_stored
    show_version(screen, details.version, is_stored=is_stored)
    dataset = details.dataset
    screen.facts(
        (
            ("known", _known(details)),
            ("about", dataset.description),
            ("owner", dataset.owner),
            ("licence", dataset.licence),
            ("tags", ", ".join(dataset.tags)),
            ("versions", ", ".join(version.ref for version in details.versions)),
            ("made from", ", ".join(dict.fromkeys(details.parents))),
            ("used by", ", ".join(dict.fromkeys(details.children))),
        )
    )
    show_facts(screen, details.facts, dataset.readers)
    if details.version.kind == "files":
        return
    screen.line()
    screen.table(
        ("column", "type", "nulls", "least", "greatest", "distinct"),
        (_column(column) for column in details.version.columns),
    )


def _known(details: DatasetDetails) -> str:
    if details.as_of is None or details.n_known is None:
        return ""
    total, when = details.version.n_rows, details.as_of
    return f"{details.n_known:,} of {total:,} rows had arrived by {when:%Y-%m-%d %H:%M %Z}"


def _column(column: Column) -> tuple[str, ...]:
    from cd4ml.cli.screen import number

    ends = ["" if end is None else number(end) for end in (column.minimum, column.maximum)]
    distinct = "" if column.n_unique is None else f"{column.n_unique:,}"
    return column.name, column.type, f"{column.n_null:,}", *ends, distinct
