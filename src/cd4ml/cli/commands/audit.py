"""Whether the ledger is what it was: its chain, signed checkpoints, a file for an auditor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands, Parser, UsageError

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.loop.audit import AuditReport
    from cd4ml.loop.audit_file import Exported, FileReport
    from cd4ml.loop.audit_keys import AuditKey
    from cd4ml.records.checkpoint import Checkpoint


def add_to(nouns: Commands) -> None:
    """`audit verify|key|checkpoint|export`."""
    parser = nouns.add(
        "verify",
        verify,
        "check that no entry of the ledger was changed, removed or inserted",
        "Also that it was neither rewritten as a whole nor cut off, as far as it was signed. Needs\n"
        "the database and the checkpoints, or only a FILE of `audit export`; leaves with 1 and\n"
        "says where it is broken.",
    )
    parser.add_argument("file", metavar="FILE", nargs="?", default="", help="an export")
    _takes_keys(parser)
    parser.add_argument(
        "--checkpoint",
        dest="copies",
        metavar="FILE",
        action="append",
        default=[],
        help="a checkpoint that was kept elsewhere; may be repeated",
    )
    parser = nouns.add(
        "key",
        key,
        "make the key that signs the ledger, or show it",
        "The private part stays on this machine; the public one is written to audit-keys/, beside\n"
        "cd4ml.toml: commit it. Admins only.",
    )
    parser.add_argument(
        "--replace", action="store_true", help="make another one; the old one goes on checking"
    )
    nouns.add(
        "checkpoint",
        checkpoint,
        "sign the ledger as it is, and keep that where it cannot be changed",
        "`cd4ml up` does so by itself where the key is, see [audit] in the settings.",
    )
    parser = nouns.add(
        "export",
        export,
        "write the ledger for an auditor: one file that verifies by itself",
    )
    parser.add_argument("file", metavar="FILE", help="is not overwritten")


def verify(given: Given) -> Answer[AuditReport] | Answer[FileReport]:
    """Check the chain, and what was signed of it."""
    words = given.words
    keys = [Path(each) for each in words.keys]
    if words.file:
        if words.copies:
            msg = "cd4ml audit verify: an export brings its checkpoints along"
            raise UsageError(msg, hint="leave out --checkpoint")
        from cd4ml.loop.audit_file import verify_file

        return Answer(verify_file(Path(words.file), keys=keys), _show_file)
    from cd4ml.loop.audit import verify as check

    copies = [Path(each) for each in words.copies]
    return Answer(check(given.project, keys=keys, copies=copies), _show_report)


def key(given: Given) -> Answer[AuditKey]:
    """Make the key."""
    from cd4ml.loop.audit_keys import make_key

    made = make_key(given.project, replaces=given.words.replace, actor=given.actor)
    return Answer(made, _show_key)


def checkpoint(given: Given) -> Answer[Checkpoint]:
    """Sign the ledger."""
    from cd4ml.loop.audit import checkpoint as sign

    return Answer(sign(given.project, actor=given.actor), _show_checkpoint)


def export(given: Given) -> Answer[Exported]:
    """Write the file."""
    from cd4ml.loop.audit_file import export as write

    written = write(given.project, Path(given.words.file), actor=given.actor)
    return Answer(written, _show_export)


def _takes_keys(parser: Parser) -> None:
    parser.add_argument(
        "--key",
        dest="keys",
        metavar="FILE",
        action="append",
        default=[],
        help="a public key to check with, instead of those of audit-keys/ or of the FILE itself;"
        " may be repeated",
    )


def _show_report(screen: Screen, report: AuditReport) -> None:
    from cd4ml.cli.screen import counted

    screen.line(f"the ledger holds: {counted(report.entries, 'entry', 'entries')}", style="green")
    sealed = f"{report.records:,} records that decide, as it says of them"
    screen.facts(
        (("head", report.head), ("with", sealed), *_found_changed(report), *_signed(report))
    )
    if not report.signed_until:
        screen.hint("nothing of it is signed, so it could be another one: cd4ml audit key")


def _found_changed(report: AuditReport) -> tuple[tuple[str, str], ...]:
    """Records that somebody changed, and that were gone back from or ended all the same."""
    entries = ", ".join(map(str, report.found_changed))
    return (("found changed", f"said by entry {entries}"),) if entries else ()


def _signed(report: AuditReport) -> tuple[tuple[str, str], ...]:
    from cd4ml.cli.screen import moment

    if not report.signed_until:
        return ()
    after = report.entries - report.signed_until
    return (
        ("checkpoints", f"{report.checkpoints:,}"),
        ("signed until", f"entry {report.signed_until}, at {moment(report.signed_at)} UTC"),
        ("not signed yet", f"{after:,} after it" if after else ""),
        ("by", ", ".join(report.keys)),
    )


def _show_file(screen: Screen, found: FileReport) -> None:
    from cd4ml.cli.screen import counted, moment

    entries = counted(found.report.entries, "entry", "entries")
    screen.line(f"the ledger of {found.project} holds: {entries}", style="green")
    at, by = moment(found.header.exported_at), found.header.exported_by
    named = found.header.project
    screen.facts(
        (
            ("exported", f"{at} UTC by {by}, as the file says"),
            ("calls itself", "" if named == found.project else f"{named}, which nobody signed"),
            ("head", found.report.head),
            *_found_changed(found.report),
            *_signed(found.report),
        )
    )
    if not found.report.signed_until:
        screen.hint("nothing of it is signed: it is only as good as who gave it to you")
    elif not found.is_pinned:
        screen.hint("the key is the file's own word: --key FILE with one from the project's owners")


def _show_key(screen: Screen, made: AuditKey) -> None:
    screen.title(made.id)
    screen.facts((("private", made.private), ("public", made.public)))
    if made.is_new:
        screen.hint("commit the public part; back up the private one, and show it to nobody")


def _show_checkpoint(screen: Screen, made: Checkpoint) -> None:
    from cd4ml.cli.screen import moment

    screen.title(made.ref)
    screen.facts((("head", made.head), ("at", f"{moment(made.at)} UTC"), ("by", made.key)))


def _show_export(screen: Screen, written: Exported) -> None:
    from cd4ml.cli.screen import counted

    screen.line(
        f"{written.path}: {counted(written.entries, 'entry', 'entries')},"
        f" {counted(written.checkpoints, 'checkpoint')}"
    )
    screen.hint(f"cd4ml audit verify {written.path}")
