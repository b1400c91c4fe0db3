"""Versions of a dataset: list them, name them, lay them out, check them, remove them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.data.removal import Removal
    from cd4ml.data.verification import Verification
    from cd4ml.loop.versions import Checkout, LoggedVersion
    from cd4ml.records.dataset import Tag

_REF = "NAME[@VERSION]"
_SHOWN = 10  # names in one answer


def add_to(nouns: Commands) -> None:
    """`data log|tag|untag|checkout|get|verify|gc`."""
    parser = nouns.add("log", log, "list the versions of a dataset, the newest first")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--limit", type=int, default=None, help="only so many")
    parser = nouns.add("tag", tag, "give a version a name; it may have been another one's before")
    parser.add_argument("ref", metavar=_REF)
    parser.add_argument("tag", metavar="TAG", help="for example quarter-1")
    parser = nouns.add("untag", untag, "take a name away from its version")
    parser.add_argument("name", metavar="NAME", help="of the dataset")
    parser.add_argument("tag", metavar="TAG")
    parser = nouns.add("checkout", checkout, "lay a version's files out in a new folder")
    parser.add_argument("ref", metavar=_REF)
    parser.add_argument("--to", required=True, metavar="FOLDER", help="new, or empty")
    parser = nouns.add("get", get, "where a verified local copy of one file of a version is")
    parser.add_argument("ref", metavar=_REF)
    parser.add_argument("path", metavar="PATH", help="of the file, as it was added")
    parser = nouns.add(
        "verify",
        verify,
        "read the stored bytes again and compare them with their digests",
        "Damaged bytes are struck off the store's list; `cd4ml data add` stores them again\n"
        "where the files still are. Exit code 1 if something is damaged.",
    )
    parser.add_argument("ref", metavar=_REF, nargs="?", default="", help="default: everything")
    parser = nouns.add(
        "gc",
        gc,
        "remove versions that need not be kept, and bytes that nothing needs",
        "Kept are the newest versions (as many as `keep` in cd4ml.toml says, else all), those\n"
        "with a tag, and those that a run or another version was made from.",
    )
    parser.add_argument("--keep", type=int, default=None, metavar="N", help="of every dataset")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")


def log(given: Given) -> Answer[list[LoggedVersion]]:
    """The versions of a dataset."""
    from cd4ml.loop.versions import log as look

    words = given.words
    found = look(given.project, words.name, limit=words.limit, actor=given.asker)
    return Answer(found, _show_log)


def tag(given: Given) -> Answer[Tag]:
    """Name a version."""
    from cd4ml.loop.versions import tag as name

    words = given.words
    return Answer(name(given.project, words.ref, words.tag, actor=given.actor), _show_tag)


def untag(given: Given) -> Answer[str]:
    """Take a name away."""
    from cd4ml.loop.versions import untag as unname

    words = given.words
    done = unname(given.project, words.name, words.tag, actor=given.actor)
    return Answer(done, lambda screen, name: screen.line(f"{words.name} has no tag {name} now"))


def checkout(given: Given) -> Answer[Checkout]:
    """Lay a version out."""
    from cd4ml.loop.versions import checkout as lay_out

    words = given.words
    return Answer(
        lay_out(given.project, words.ref, to=Path(words.to), actor=given.actor), _show_checkout
    )


def get(given: Given) -> Answer[str]:
    """One file of a version."""
    from cd4ml.loop.versions import get as fetch

    path = fetch(given.project, given.words.ref, given.words.path, actor=given.actor)
    return Answer(str(path), lambda screen, path: screen.command(path))


def verify(given: Given) -> Answer[Verification]:
    """Check the stored bytes."""
    from cd4ml.cli.screen import files as progress
    from cd4ml.loop.versions import verify as check

    with progress(is_quiet=given.is_json) as tell:
        found = check(given.project, given.words.ref, tell=tell)
    return Answer(found, _show_verification, exit_code=1 if found.damaged else 0)


def gc(given: Given) -> Answer[Removal]:
    """Remove what need not be kept."""
    from cd4ml.loop.versions import gc as remove

    words = given.words
    removal = remove(given.project, keep=words.keep, is_rehearsed=words.dry_run, actor=given.actor)
    return Answer(removal, lambda screen, done: _show_removal(screen, done, words.dry_run))


def _show_log(screen: Screen, versions: list[LoggedVersion]) -> None:
    from cd4ml.cli.screen import moment, size

    screen.table(
        ("version", "when", "by", "rows", "files", "size", "contract", "tags", "note"),
        (
            (
                each.version.ref,
                moment(each.version.created_at),
                each.version.created_by,
                f"{each.version.n_rows:,}" if each.version.kind == "table" else "",
                f"{each.version.n_files:,}",
                size(each.version.n_bytes) if each.removed is None else "removed",
                each.version.outcome if each.version.contract else "none",
                ", ".join(each.tags),
                each.version.note,
            )
            for each in versions
        ),
    )


def _show_tag(screen: Screen, tag: Tag) -> None:
    screen.line(f"{tag.dataset}@{tag.name} is {tag.dataset}@{tag.number}")


def _show_checkout(screen: Screen, done: Checkout) -> None:
    from cd4ml.cli.screen import counted, size

    files = counted(done.n_files, "file")
    screen.line(f"{done.version}: {files}, {size(done.n_bytes)}, in {done.folder}")


def _show_verification(screen: Screen, found: Verification) -> None:
    from cd4ml.cli.screen import counted, size

    files, versions = counted(found.n_files, "file"), counted(found.n_versions, "version")
    screen.line(
        f"{files} of {versions} read, {size(found.n_bytes)}: {len(found.damaged) or 'none'} damaged"
    )
    if found.damaged:
        screen.table(
            ("file", "of", "what"),
            ((each.path, ", ".join(each.versions[:_SHOWN]), each.reason) for each in found.damaged),
        )
        screen.hint("cd4ml data add NAME stores them again where the files still are")


def _show_removal(screen: Screen, done: Removal, is_rehearsed: bool) -> None:
    from cd4ml.cli.screen import counted, size

    versions, files = counted(len(done.versions), "version"), counted(done.n_files, "file")
    verb = "would be removed" if is_rehearsed else "removed"
    screen.line(f"{versions} {verb}: {files}, {size(done.n_bytes)} free")
    for ref in done.versions[:_SHOWN]:
        screen.line(ref, indent=2)
    if len(done.versions) > _SHOWN:
        screen.line(f"... and {len(done.versions) - _SHOWN:,} more", indent=2)
    if done.n_unknown:
        objects = counted(done.n_unknown, "object")
        screen.line(f"{objects} of interrupted adds among them", indent=2)
