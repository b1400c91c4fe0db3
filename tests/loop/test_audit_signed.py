"""The ledger is signed, kept elsewhere, exported, and verified without anybody's help."""

import json
import os
import shutil
import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from cd4ml.errors import (
    AlreadyExists,
    ConfigurationError,
    Corrupted,
    NotAllowed,
    NotFound,
)
from cd4ml.loop import Project, open_project
from cd4ml.loop.audit import AuditReport, checkpoint, checkpoint_if_due, ledger, verify
from cd4ml.loop.audit_file import export, verify_file
from cd4ml.loop.audit_keys import make_key
from cd4ml.loop.people import add_person
from cd4ml.loop.work import work
from cd4ml.records.ledger_entry import LedgerEntry
from cd4ml.store import ledger as store
from cd4ml.store import rows
from cd4ml.store.project import Project as StoredProject
from cd4ml.store.tables import TABLES
from tests.killing import kill_at_every_step
from tests.loop.world import ANN, EVE, actions, move

LEDGER = TABLES[LedgerEntry]


@pytest.fixture
def signing(project: Project) -> Project:
    """A project whose ledger is signed up to its fourth entry, which made the key."""
    make_key(project, actor=ANN)
    checkpoint(project, actor=ANN)
    return project


def tamper(project: Project, *statements: str) -> None:
    """Run statements on the ledger once its triggers are gone."""
    with project.database.write() as connection:
        for action in ("update", "delete"):
            connection.execute(sa.text(f"DROP TRIGGER ledger_no_{action}"))
        for statement in statements:
            connection.execute(sa.text(statement))


def without_records(report: AuditReport) -> AuditReport:
    """What an export can say: it has no records."""
    assert report.records == 4
    return msgspec.structs.replace(report, records=None)


def rewrite(project: Project) -> None:
    """Write the whole chain anew, as if somebody else had done everything."""
    with project.database.read() as connection:
        entries = rows.find(connection, LedgerEntry)
    tamper(project, "DELETE FROM ledger")
    previous = store.GENESIS
    with project.database.write() as connection:
        for entry in entries:
            forged = msgspec.structs.replace(entry, actor=EVE, previous=previous)
            forged = msgspec.structs.replace(forged, digest=store.digest_of(forged))
            rows.insert(connection, forged)
            previous = forged.digest


def broken(check: Callable[[], object]) -> str:
    with pytest.raises(Corrupted) as found:
        check()
    return found.value.message


def objects(project: Project) -> list[Path]:
    folder = Path(project.checkpoints.url)
    return sorted(folder.iterdir()) if folder.is_dir() else []


class TestKeys:
    def test_a_key_is_made_once_its_public_part_beside_the_policy(self, project: Project) -> None:
        made = make_key(project, actor=ANN)
        again = make_key(project, actor=ANN)

        assert (made.is_new, again.is_new, again.id) == (True, False, made.id)
        private, public = Path(made.private), Path(made.public)
        assert stat.S_IMODE(private.stat().st_mode) == 0o600
        assert public.parent == project.folder / "audit-keys"
        assert public.read_text().startswith("-----BEGIN PUBLIC KEY-----")
        assert actions(project)[-1:] == ["audit_key.made"]
        (entry,) = ledger(project, subject=made.id)
        assert entry.details == {"public": public.read_text()}
        assert "PRIVATE" not in str(entry)

    def test_only_an_admin_makes_one(self, project: Project) -> None:
        with pytest.raises(NotAllowed) as refused:
            make_key(project, actor=EVE)

        assert str(refused.value) == (
            "eve may not make the key of the ledger: it needs the role admin, has none"
        )
        assert not project.signing_key.exists()

    def test_after_it_was_replaced_the_old_one_goes_on_checking(self, signing: Project) -> None:
        old = next((signing.folder / "audit-keys").iterdir())

        new = make_key(signing, replaces=True, actor=ANN)
        checkpoint(signing, actor=ANN)

        report = verify(signing)
        assert (report.checkpoints, len(report.keys)) == (2, 2)
        assert new.id in report.keys
        kept = [path for path in signing.signing_key.parent.iterdir() if path.name != "audit.pem"]
        assert [path.stem for path in kept] == [old.stem]

    def test_it_may_lie_elsewhere(
        self, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CD4ML_AUDIT_KEY", str(tmp_path / "vault" / "ledger.pem"))

        assert make_key(project, actor=ANN).private == str(tmp_path / "vault" / "ledger.pem")
        assert checkpoint(project, actor=ANN).sequence == 4

    def test_without_one_nothing_is_signed(self, project: Project) -> None:
        with pytest.raises(NotFound) as refused:
            checkpoint(project, actor=ANN)

        assert str(refused.value) == (
            f"there is no key to sign the ledger with: {project.signing_key}\n"
            "  hint: cd4ml audit key makes one"
        )
        assert checkpoint_if_due(project) is None
        assert objects(project) == []


class TestCheckpoints:
    def test_it_signs_the_ledger_and_the_ledger_knows_of_it(self, signing: Project) -> None:
        (file,) = objects(signing)
        report = verify(signing)

        assert file.name == "000000000004.json"
        assert (report.entries, report.checkpoints, report.signed_until) == (5, 1, 4)
        newest = ledger(signing, limit=1)[0]
        assert (newest.actor, newest.action, newest.subject) == (
            ANN,
            "ledger.signed",
            "checkpoint/4",
        )
        assert newest.details["key"] == report.keys[0]

    def test_without_anything_new_it_is_the_same(self, signing: Project) -> None:
        before = actions(signing)

        assert checkpoint(signing, actor=ANN).sequence == 4
        assert actions(signing) == before
        add_person(signing, "cy", roles=(), actor=ANN)
        assert checkpoint(signing, actor=ANN).sequence == 6
        assert verify(signing).signed_until == 6

    def test_the_background_work_makes_one_an_hour_where_something_happened(
        self, project: Project
    ) -> None:
        make_key(project, actor=ANN)

        work(project, owner="test")
        assert [file.name for file in objects(project)] == ["000000000004.json"]
        add_person(project, "cy", roles=(), actor=ANN)
        work(project, owner="test")
        assert len(objects(project)) == 1
        move(project, timedelta(hours=1))
        work(project, owner="test")
        assert len(objects(project)) == 2
        move(project, timedelta(hours=9))
        before = actions(project)
        work(project, owner="test")
        assert actions(project) == before
        assert verify(project).signed_until == 6

    def test_killed_anywhere_it_is_made_by_the_next(
        self, laid_out_folder: Path, tmp_path: Path
    ) -> None:
        with open_project(laid_out_folder) as source:
            shutil.copytree(source.folder, tmp_path / "template")
        with open_project(tmp_path / "template") as template:
            make_key(template, actor=ANN)

        def attempt(n: int) -> Callable[[], object]:
            shutil.copytree(tmp_path / "template", tmp_path / f"try-{n}")
            project = open_project(tmp_path / f"try-{n}")
            return lambda: checkpoint(project, actor=ANN)

        def goes_on(n: int) -> None:
            with open_project(tmp_path / f"try-{n}") as project:
                assert checkpoint(project, actor=ANN).sequence == 4
                report = verify(project)
                assert (report.entries, report.checkpoints) == (5, 1)
                assert [path.name for path in objects(project) if path.suffix == ".json"] == [
                    "000000000004.json"
                ]

        killed = kill_at_every_step(
            attempt,
            lambda code: (
                code.co_filename.endswith(("loop/audit.py", "store/checkpoints.py"))
                and code.co_name in ("checkpoint", "put", "_created", "_write_down")
            ),
            afterwards=goes_on,
            is_apart=True,
        )

        assert killed > 20

    def test_two_at_once_make_one(self, signing: Project) -> None:
        add_person(signing, "cy", roles=(), actor=ANN)
        first, second = StoredProject(signing.folder, signing.settings), signing

        made = {checkpoint(each, actor=ANN).ref for each in (first, second)}

        first.close()
        assert made == {"checkpoint/6"}
        assert actions(signing).count("ledger.signed") == 2


class TestTampering:
    def test_a_ledger_that_was_rewritten_as_a_whole_is_found(self, signing: Project) -> None:
        rewrite(signing)
        with signing.database.read() as connection:
            assert store.verify(connection) == 5  # the chain alone holds

        assert broken(lambda: verify(signing)) == (
            "the ledger was rewritten: entry 4 is not the one that was signed on 2013-02-01 00:00"
        )

    def test_a_ledger_whose_end_was_cut_off_is_found(self, signing: Project) -> None:
        tamper(
            signing,
            "DELETE FROM ledger WHERE sequence > 2",
            "UPDATE sequences SET value = 2 WHERE name = 'ledger'",
        )

        assert broken(lambda: verify(signing)) == (
            "the ledger was cut off: it ends at entry 2, and entry 4 was signed on 2013-02-01 00:00"
        )

    def test_no_key_signs_what_contradicts_it(self, signing: Project) -> None:
        rewrite(signing)
        with signing.database.write() as connection:
            store.append(
                connection,
                at=signing.clock.now(),
                actor=EVE,
                action="person.added",
                subject="mallory",
            )
        before = objects(signing)

        with pytest.raises(Corrupted):
            checkpoint(signing, actor=ANN)
        assert objects(signing) == before

    def test_a_checkpoint_that_was_taken_away_is_found(self, signing: Project) -> None:
        (file,) = objects(signing)
        file.unlink()

        assert broken(lambda: verify(signing)) == (
            "checkpoint/4 is not in its place as it was written there"
        )

    def test_a_checkpoint_that_was_forged_is_found(self, signing: Project) -> None:
        (file,) = objects(signing)
        forged = {**json.loads(file.read_text()), "head": store.GENESIS}
        file.chmod(0o644)
        file.write_text(json.dumps(forged))

        assert broken(lambda: verify(signing)).endswith("it was changed")

    def test_a_copy_that_was_kept_elsewhere_finds_what_was_removed_everywhere(
        self, signing: Project, tmp_path: Path
    ) -> None:
        """Who may do anything here cuts off the ledger and takes away the checkpoint of it."""
        (file,) = objects(signing)
        copy = shutil.copy(file, tmp_path / "mailed.json")
        file.unlink()
        tamper(
            signing,
            "DELETE FROM ledger WHERE sequence > 2",
            "UPDATE sequences SET value = 2 WHERE name = 'ledger'",
        )

        assert broken(lambda: verify(signing)) == (
            "person/eve is not in the ledger: no entry says how it came to be"
        )
        with signing.database.write() as connection:
            connection.execute(sa.text("DELETE FROM actors WHERE name = 'eve'"))
        assert verify(signing).entries == 2
        assert "the ledger was cut off" in broken(lambda: verify(signing, copies=[Path(copy)]))

    def test_only_keys_from_outside_the_database_are_believed(self, signing: Project) -> None:
        shutil.rmtree(signing.folder / "audit-keys")

        assert broken(lambda: verify(signing)).endswith("which is no key of this ledger")
        with pytest.raises(ConfigurationError, match=r"cannot be read"):
            verify(signing, keys=[signing.folder / "nowhere.pub"])
        with pytest.raises(ConfigurationError, match=r"is no public Ed25519 key"):
            verify(signing, keys=[signing.folder / "cd4ml.toml"])


class TestExport:
    @pytest.fixture
    def file(self, signing: Project, tmp_path: Path) -> Path:
        add_person(signing, "cy", roles=(), actor=ANN)
        export(signing, tmp_path / "ledger.jsonl", actor=ANN)
        return tmp_path / "ledger.jsonl"

    @pytest.fixture
    def key(self, signing: Project) -> Path:
        return next((signing.folder / "audit-keys").iterdir())

    def test_it_verifies_by_itself_and_is_signed_up_to_its_end(
        self, signing: Project, file: Path, key: Path
    ) -> None:
        found, pinned = verify_file(file), verify_file(file, keys=[key])

        assert (found.is_pinned, pinned.is_pinned) == (False, True)
        assert found.report == pinned.report == without_records(verify(signing))
        assert (found.report.entries, found.report.signed_until) == (7, 6)
        assert (found.header.project, found.header.exported_by) == ("small", ANN)

    def test_it_is_written_once(self, signing: Project, file: Path) -> None:
        with pytest.raises(AlreadyExists, match=r"ledger.jsonl is there already"):
            export(signing, file, actor=ANN)
        assert [path.name for path in file.parent.iterdir() if "part" in path.name] == []

    def test_without_a_key_it_says_that_nothing_is_signed(
        self, project: Project, tmp_path: Path
    ) -> None:
        written = export(project, tmp_path / "plain.jsonl", actor=ANN)

        assert (written.entries, written.checkpoints) == (3, 0)
        assert verify_file(tmp_path / "plain.jsonl").report.signed_until == 0

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ('"actor":"ann"', '"actor":"eve"', "was changed after it was written"),
            ('"entries":7', '"entries":6', "its first line says 6 entries, it has 7"),
            ('"checkpoints":2', '"checkpoints":1', "its first line says 1 checkpoints, it has 2"),
            ('{"entry":{"sequence":3', '{"note":{"sequence":3', "neither entry, nor checkpoint"),
            ('{"entry":{"sequence":3', '{"entry":{"sequence":"3"', "neither entry, nor checkpoint"),
            ('{"key":"-----BEGIN', '{"key":"-----GIN', "neither entry, nor checkpoint, nor key"),
            ('"format":"cd4ml-audit/1"', '"format":"other"', "is no export of a ledger"),
        ],
    )
    def test_what_was_changed_in_it_is_found(
        self, file: Path, old: str, new: str, message: str
    ) -> None:
        text = file.read_text()
        assert old in text
        file.chmod(0o644)
        file.write_text(text.replace(old, new, 1))

        assert message in broken(lambda: verify_file(file))

    def test_lines_that_are_missing_are_found(self, file: Path) -> None:
        lines = file.read_bytes().splitlines(keepends=True)
        for i in range(1, len(lines)):
            file.unlink()
            file.write_bytes(b"".join(lines[:i] + lines[i + 1 :]))

            with pytest.raises(Corrupted):
                verify_file(file)

    def test_one_that_was_made_up_with_another_key_is_found_with_the_owners(
        self, file: Path, key: Path, laid_out_folder: Path, tmp_path: Path
    ) -> None:
        """A whole, consistent file of another ledger: only the key from elsewhere tells."""
        shutil.copytree(laid_out_folder, tmp_path / "other")
        with open_project(tmp_path / "other") as other:
            make_key(other, actor=ANN)
            export(other, tmp_path / "other.jsonl", actor=ANN)

        assert verify_file(tmp_path / "other.jsonl").report.signed_until == 4
        assert broken(lambda: verify_file(tmp_path / "other.jsonl", keys=[key])).endswith(
            "which is no key of this ledger"
        )

    def test_what_is_not_there_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(NotFound, match=r"^there is no file"):
            verify_file(tmp_path / "nothing.jsonl")
        with pytest.raises(ConfigurationError):
            verify_file(tmp_path)


def test_nobody_else_may_read_the_private_key_even_where_the_mask_is_open(
    project: Project,
) -> None:
    before = os.umask(0)
    try:
        made = make_key(project, actor=ANN)
    finally:
        os.umask(before)

    assert stat.S_IMODE(Path(made.private).stat().st_mode) == 0o600
    assert stat.S_IMODE(Path(made.private).parent.stat().st_mode) == 0o700
