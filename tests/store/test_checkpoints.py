"""What was signed of the ledger is created once, and contradicts whoever rewrites or cuts it off."""

import base64
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from cd4ml.errors import ConfigurationError, Corrupted, InvalidInput, NotFound
from cd4ml.records.checkpoint import Checkpoint
from cd4ml.records.ledger_entry import LedgerEntry
from cd4ml.store import checkpoints, ledger, rows, signing
from cd4ml.store.checkpoints import (
    Checkpoints,
    open_checkpoints,
    require_agreement,
    require_whole,
    signed,
)
from cd4ml.store.database import Database
from cd4ml.store.tables import TABLES
from tests.store.records import NOW
from tests.store.test_ledger import append

LEDGER = TABLES[LedgerEntry]
KEY = signing.new_key()
PUBLIC = signing.public_of(KEY)
KEYS = {signing.key_id(PUBLIC): PUBLIC}


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Checkpoints:
    if request.param == "folder":
        return open_checkpoints(str(tmp_path / "kept" / "there"))
    return open_checkpoints(request.getfixturevalue("s3_url") + "/checkpoints")


def of(sequence: int, head: str, *, previous: str = "", key: bytes = KEY) -> Checkpoint:
    fresh = Checkpoint(
        project="fares", sequence=sequence, head=head, at=NOW, previous=previous, key=""
    )
    return signed(fresh, key)


def chain(*heads: tuple[int, str]) -> list[Checkpoint]:
    made: list[Checkpoint] = []
    for sequence, head in heads:
        previous = checkpoints.address_of(made[-1]) if made else ""
        made.append(of(sequence, head, previous=previous))
    return made


def broken(check: Callable[[], object]) -> str:
    with pytest.raises(Corrupted) as found:
        check()
    return found.value.message


class TestPlace:
    def test_what_is_put_is_there_in_the_order_of_the_ledger(self, place: Checkpoints) -> None:
        assert (place.sequences(), place.newest(), place.all()) == ([], None, [])
        made = chain((7, "blake3:a"), (120, "blake3:b"))

        for each in reversed(made):
            assert place.put(each) == each

        assert place.all() == made
        assert place.newest() == made[1]
        with pytest.raises(NotFound):
            place.get(8)

    def test_it_is_created_once(self, place: Checkpoints) -> None:
        first = place.put(of(7, "blake3:a"))
        later = signed(msgspec.structs.replace(first, at=NOW.replace(year=2014)), KEY)

        assert place.put(later) == first
        assert place.get(7) == first

    def test_another_word_about_the_same_entry_is_refused(self, place: Checkpoints) -> None:
        place.put(of(7, "blake3:a"))

        assert broken(lambda: place.put(of(7, "blake3:other"))) == (
            "the ledger was rewritten: entry 7 is not the one that was signed on 2013-01-01 00:00"
        )

    def test_what_is_none_is_said(self, tmp_path: Path) -> None:
        place = open_checkpoints(str(tmp_path))
        (tmp_path / "000000000007.json").write_text("{}")
        (tmp_path / "notes.txt").write_text("kept by the auditors")

        assert place.sequences() == [7]
        assert broken(place.all).startswith(
            f"{tmp_path}/000000000007.json is no checkpoint of a ledger: "
        )

    def test_in_a_folder_nobody_may_write_it(self, tmp_path: Path) -> None:
        open_checkpoints(str(tmp_path)).put(of(7, "blake3:a"))

        mode = (tmp_path / "000000000007.json").stat().st_mode
        assert stat.S_IMODE(mode) == 0o444
        assert [path.name for path in tmp_path.iterdir()] == ["000000000007.json"]

    def test_a_place_that_is_none_is_refused(self) -> None:
        with pytest.raises(ConfigurationError):
            open_checkpoints("ftp://somewhere")


class TestSignatures:
    def test_a_checkpoint_that_was_changed_is_found(self) -> None:
        made = of(7, "blake3:a")
        changes: list[dict[str, Any]] = [
            {"head": "blake3:b"},
            {"sequence": 8},
            {"at": NOW.replace(year=2014)},
            {"project": "other"},
            {"signature": made.signature[:-4] + "AAA="},
            {"signature": "no base64"},
            {"signature": ""},
        ]

        require_whole([made], KEYS)
        for change in changes:
            forged = msgspec.structs.replace(made, **change)
            assert broken(lambda forged=forged: require_whole([forged], KEYS)).endswith(  # type: ignore[misc]
                f"does not bear the signature of {made.key}: it was changed"
            )

    def test_one_of_another_key_is_found(self) -> None:
        forged = of(7, "blake3:a", key=signing.new_key())

        assert broken(lambda: require_whole([forged], KEYS)) == (
            f"checkpoint/7 is signed by {forged.key}, which is no key of this ledger"
        )

    def test_one_that_is_missing_before_another_is_found(self) -> None:
        first, second, third = chain((7, "blake3:a"), (9, "blake3:b"), (12, "blake3:c"))

        require_whole([first, second, third], KEYS)
        for kept in ([first, third], [second, third]):
            assert broken(lambda kept=kept: require_whole(kept, KEYS)) == (  # type: ignore[misc]
                f"the checkpoint before {kept[-1 if kept[0] == first else 0].ref} is missing"
            )

    def test_two_that_did_not_know_each_other_are_whole(self) -> None:
        """Two processes signed at once, one of them some entries later."""
        first = of(7, "blake3:a")
        before = checkpoints.address_of(first)
        both = [of(9, "blake3:b", previous=before), of(10, "blake3:c", previous=before)]

        require_whole([first, *both], KEYS)

    @pytest.mark.parametrize("pem", [b"", b"no key", signing.new_key()])
    def test_what_is_no_public_key_is_refused(self, pem: bytes) -> None:
        with pytest.raises(InvalidInput, match=r"^expected a public Ed25519 key"):
            signing.key_id(pem)

    @pytest.mark.parametrize("pem", [b"", b"no key", PUBLIC])
    def test_what_is_no_private_key_is_refused(self, pem: bytes) -> None:
        with pytest.raises(InvalidInput, match=r"^expected a private Ed25519 key"):
            signing.sign(pem, b"a")

    def test_a_signature_of_rfc_8032_holds(self) -> None:
        """Section 7.1, test 2: its key and signature of the one byte 0x72."""
        from cryptography.hazmat.primitives import serialization as form
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        secret = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
        private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret)).private_bytes(
            form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()
        )
        known = (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        )
        signature = base64.b64encode(bytes.fromhex(known)).decode()

        public = signing.public_of(private)
        assert signing.sign(private, b"\x72") == signature
        assert signing.is_signed(public, b"\x72", signature)
        assert not signing.is_signed(public, b"\x73", signature)


class TestLedger:
    """The chain holds after each of these; what was signed does not agree."""

    @pytest.fixture
    def written(self, database: Database) -> list[LedgerEntry]:
        with database.write() as connection:
            return [append(connection, f"release/{i}") for i in range(1, 6)]

    def unprotected(self, database: Database, connection: sa.Connection) -> None:
        if database.dialect == "sqlite":
            for action in ("update", "delete"):
                connection.execute(sa.text(f"DROP TRIGGER ledger_no_{action}"))
        else:
            connection.execute(sa.text("DROP TRIGGER ledger_append_only ON ledger"))

    def check(self, database: Database, *made: Checkpoint) -> None:
        with database.read() as connection:
            length = ledger.verify(connection)
            digests = ledger.digests_at(connection, {each.sequence for each in made})
        require_agreement(made, digests, length=length)

    def test_a_ledger_that_went_on_agrees(
        self, database: Database, written: list[LedgerEntry]
    ) -> None:
        made = of(5, written[4].digest)
        with database.write() as connection:
            append(connection, "release/6")

        self.check(database, of(2, written[1].digest), made)
        with database.read() as connection:
            assert ledger.verify_since(connection, 2, written[1].digest) == 6

    def test_one_that_was_rewritten_from_the_first_entry_on_is_found(
        self, database: Database, written: list[LedgerEntry]
    ) -> None:
        made = of(5, written[4].digest)
        with database.write() as connection:
            self.unprotected(database, connection)
            connection.execute(LEDGER.delete())
            previous = ledger.GENESIS
            for entry in written:
                forged = msgspec.structs.replace(entry, actor="mallory", previous=previous)
                forged = msgspec.structs.replace(forged, digest=ledger.digest_of(forged))
                rows.insert(connection, forged)
                previous = forged.digest
            assert ledger.verify(connection) == 5  # the chain alone does not see it

        assert broken(lambda: self.check(database, made)) == (
            "the ledger was rewritten: entry 5 is not the one that was signed on 2013-01-01 00:00"
        )

    @pytest.mark.parametrize("goes_on", [False, True])
    def test_one_whose_end_was_cut_off_is_found(
        self, database: Database, written: list[LedgerEntry], goes_on: bool
    ) -> None:
        made = of(5, written[4].digest)
        with database.write() as connection:
            self.unprotected(database, connection)
            connection.execute(LEDGER.delete().where(LEDGER.c.sequence > 3))
            connection.execute(sa.text("UPDATE sequences SET value = 3 WHERE name = 'ledger'"))
            for i in range(2 * goes_on):
                append(connection, f"release/{7 + i}")
            assert ledger.verify(connection) == 3 + 2 * goes_on

        assert broken(lambda: self.check(database, made)) == (
            "the ledger was rewritten: entry 5 is not the one that was signed on 2013-01-01 00:00"
            if goes_on
            else "the ledger was cut off: it ends at entry 3, and entry 5 was signed on 2013-01-01"
            " 00:00"
        )

    def test_the_chain_after_a_known_entry_is_walked_from_there(
        self, database: Database, written: list[LedgerEntry]
    ) -> None:
        with database.write() as connection:
            self.unprotected(database, connection)
            connection.execute(LEDGER.update().where(LEDGER.c.sequence == 4).values(reason="worse"))

        with database.read() as connection:
            assert broken(lambda: ledger.verify_since(connection, 2, written[1].digest)) == (
                "the ledger is broken at entry 4: release.requested release/4 was changed after it"
                " was written"
            )
            assert ledger.verify_since(connection, 4, written[3].digest) == 5
