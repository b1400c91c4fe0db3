"""Models are registered and their versions counted; what is deleted is hidden, never lost."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from cd4ml.errors import AlreadyExists, Conflict, InvalidInput, NotFound
from cd4ml.models import aliases, registry
from cd4ml.records.model_version import ModelVersion, RegisteredModel
from cd4ml.records.release import Release, ReleaseState
from cd4ml.records.verdict import Verdict
from cd4ml.store import ledger, lineage, rows
from cd4ml.store.database import Database

NOW = datetime(2013, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
WHO: dict[str, Any] = {"by": "ann", "at": NOW}
AFTER: dict[str, Any] = {"by": "max", "at": LATER}


def added(database: Database, name: str = "delay", n: int = 1, **fields: Any) -> list[ModelVersion]:
    with database.write() as connection:
        return [registry.add_version(connection, name, **fields, **WHO) for _ in range(n)]


def actions(database: Database) -> list[tuple[str, str]]:
    with database.read() as connection:
        entries = ledger.entries(connection)[::-1]
        assert ledger.verify(connection) == len(entries)
    return [(entry.action, entry.subject) for entry in entries]


def refs(database: Database, name: str = "") -> list[str]:
    with database.read() as connection:
        return [version.ref for version in registry.versions(connection, name)]


def release(
    database: Database, version: int, state: ReleaseState, number: int = 1, replaces: int = 0
) -> None:
    with database.write() as connection:
        rows.insert(
            connection,
            Release(
                number=number,
                model="delay",
                version=version,
                environment="production",
                state=state,
                decides={},
                content="",
                replaces=replaces,
                requested_by="ann",
                requested_at=NOW,
                asked_at=NOW,
                entered_at=NOW,
            ),
        )


def test_a_model_is_registered_before_it_has_a_version(database: Database) -> None:
    with database.write() as connection:
        model = registry.register(
            connection, "delay", description="Will it be late?", tags={"team": "ops"}, **WHO
        )

    assert model == RegisteredModel(
        name="delay",
        description="Will it be late?",
        tags={"team": "ops"},
        created_at=NOW,
        created_by="ann",
        changed_at=NOW,
    )
    with database.read() as connection:
        assert registry.models(connection) == [model]
        with pytest.raises(NotFound) as caught:
            registry.newest(connection, "delay")
    assert str(caught.value) == ("the model 'delay' has no version yet\n  hint: cd4ml graduate RUN")
    assert actions(database) == [("model.registered", "delay")]


def test_a_name_is_given_once(database: Database) -> None:
    added(database)

    with database.write() as connection, pytest.raises(AlreadyExists) as caught:
        registry.register(connection, "delay", **WHO)

    assert str(caught.value) == (
        "the model 'delay' is registered already\n  hint: cd4ml model list"
    )


@pytest.mark.parametrize("name", ["", " delay", "a/b", "a:b", "a@b", "a\nb", "x" * 201])
def test_what_can_be_no_model_begins_nothing(database: Database, name: str) -> None:
    with pytest.raises(InvalidInput, match="expected a model's name"):
        added(database, name)

    assert actions(database) == []


def test_the_first_version_registers_its_model_and_is_traced(database: Database) -> None:
    (version,) = added(database, run=4, verdict=7, artifact="blake3:a", contract="blake3:c")

    assert (version.ref, version.created_by) == ("delay/1", "ann")
    with database.read() as connection:
        assert registry.model(connection, "delay").created_by == "ann"
        hops = lineage.upstream(connection, "delay/1")
        edges = rows.find(connection, lineage.Edge, child="delay/1")
    assert hops == []  # nobody noted the others in this test
    assert {(edge.parent, edge.role) for edge in edges} == {
        ("blake3:a", "model"),
        ("run/4", "trained by"),
        ("verdict/7", "judged by"),
    }
    assert actions(database) == [("model_version.added", "delay/1")]


def test_a_version_made_elsewhere_has_no_run_and_says_where(database: Database) -> None:
    (version,) = added(database, source="s3://models/delay", logged="blake3:f")

    with database.read() as connection:
        edges = rows.find(connection, lineage.Edge, child=version.ref)
    assert (version.run, version.artifact, version.source) == (0, "", "s3://models/delay")
    assert [(edge.parent, edge.role) for edge in edges] == [("blake3:f", "logged as")]


def test_people_name_a_version_by_number_alias_or_as_the_newest(database: Database) -> None:
    added(database, n=3)
    with database.write() as connection:
        aliases.move(connection, "delay", "shadow", 2, **WHO)

    with database.read() as connection:
        found = [
            registry.find_version(connection, ref).ref
            for ref in ("delay/1", "delay@shadow", "delay")
        ]

    assert found == ["delay/1", "delay/2", "delay/3"]


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ("delay/9", "no model version 'delay/9'\n  hint: known: delay/1"),
        ("delay@x", "no alias named 'delay@x'\n  hint: known: delay@shadow"),
        ("fares", "no model named 'fares'\n  hint: known: delay"),
        (
            "delay/x",
            "expected MODEL/NUMBER, got 'delay/x'\n  hint: cd4ml model list shows the versions",
        ),
        (
            "delay/0",
            "expected MODEL/NUMBER, got 'delay/0'\n  hint: cd4ml model list shows the versions",
        ),
    ],
)
def test_what_names_no_version_is_told_what_would(database: Database, ref: str, said: str) -> None:
    added(database)
    with database.write() as connection:
        aliases.move(connection, "delay", "shadow", 1, **WHO)

    with database.read() as connection, pytest.raises((NotFound, InvalidInput)) as caught:
        registry.find_version(connection, ref)

    assert str(caught.value) == said


def test_words_and_tags_of_a_version_change_and_nothing_else_of_it(database: Database) -> None:
    (version,) = added(database, run=4, artifact="blake3:a", tags={"kept": "1", "old": "2"})

    with database.write() as connection:
        registry.describe(connection, version, "on **snow**", **AFTER)
        now = registry.version(connection, "delay", 1)
        registry.set_tags(connection, now, {"old": "3", "new": "ü"}, **AFTER)
        now = registry.version(connection, "delay", 1)
        registry.remove_tag(connection, now, "kept", **AFTER)
        now = registry.version(connection, "delay", 1)

    assert now == msgspec.structs.replace(
        version, description="on **snow**", tags={"old": "3", "new": "ü"}, changed_at=LATER
    )
    assert actions(database)[1:] == [
        ("model_version.described", "delay/1"),
        ("model_version.tagged", "delay/1"),
        ("model_version.untagged", "delay/1"),
    ]


def test_saying_the_same_again_is_no_change(database: Database) -> None:
    (version,) = added(database, description="on snow", tags={"a": "1"})
    before = actions(database)

    with database.write() as connection:
        registry.describe(connection, version, "on snow", **AFTER)
        registry.set_tags(connection, version, {"a": "1"}, **AFTER)

    assert actions(database) == before


def test_a_tag_that_is_not_there_cannot_be_taken_away(database: Database) -> None:
    (version,) = added(database, tags={"a": "1"})

    with database.write() as connection, pytest.raises(NotFound) as caught:
        registry.remove_tag(connection, version, "b", **WHO)

    assert str(caught.value) == "delay/1 has no tag 'b'\n  hint: known: a"


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"": "x"}, "expected a tag's name of 1 to 250 printable characters, got ''"),
        ({"a": "x" * 5001}, "the tag 'a' has a value of 5,001 characters"),
        (
            {"a": "\0"},
            "the tag 'a' cannot be stored: expected text without NUL characters, got '\\x00'",
        ),
    ],
)
def test_a_tag_that_no_list_could_show_is_refused(
    database: Database, tags: dict[str, str], said: str
) -> None:
    (version,) = added(database)

    with database.write() as connection, pytest.raises(InvalidInput) as caught:
        registry.set_tags(connection, version, tags, **WHO)

    assert caught.value.message == said


def test_a_version_is_packaged_once(database: Database) -> None:
    (version,) = added(database, logged="blake3:f")

    with database.write() as connection:
        first = registry.set_packaged(
            connection, version, artifact="blake3:a", contract="blake3:c", **AFTER
        )
        again = registry.set_packaged(
            connection, version, artifact="blake3:a", contract="blake3:c", **AFTER
        )
        with pytest.raises(Conflict) as caught:
            registry.set_packaged(
                connection, version, artifact="blake3:b", contract="blake3:c", **AFTER
            )

    assert again == first
    assert (first.artifact, first.contract, first.changed_at) == ("blake3:a", "blake3:c", LATER)
    assert str(caught.value) == (
        "delay/1 is packaged as blake3:a already, and not as blake3:b\n"
        "  hint: a version never changes: graduate the run again for a new one"
    )
    assert actions(database)[1:] == [("model_version.packaged", "delay/1")]


class TestDeletion:
    def test_a_deleted_version_is_hidden_and_comes_back_as_it_was(self, database: Database) -> None:
        first, second = added(database, n=2)
        with database.write() as connection:
            registry.delete_version(connection, first, why="wrong data", **AFTER)

        assert refs(database) == ["delay/2"]
        with database.read() as connection, pytest.raises(NotFound) as caught:
            registry.version(connection, "delay", 1)
        assert str(caught.value) == (
            "delay/1 was deleted on 2013-01-01\n  hint: cd4ml model restore delay/1"
        )

        with database.write() as connection:
            back = registry.restore_version(connection, "delay", 1, **AFTER)

        assert back == msgspec.structs.replace(first, changed_at=LATER)
        assert refs(database) == [first.ref, second.ref]
        assert actions(database)[2:] == [
            ("model_version.deleted", "delay/1"),
            ("model_version.restored", "delay/1"),
        ]

    def test_its_number_is_not_given_again(self, database: Database) -> None:
        (version,) = added(database)
        with database.write() as connection:
            registry.delete_version(connection, version, **AFTER)

        assert added(database)[0].ref == "delay/2"

    def test_its_aliases_go_and_do_not_come_back(self, database: Database) -> None:
        (version,) = added(database)
        with database.write() as connection:
            aliases.move(connection, "delay", "shadow", 1, **WHO)
            registry.delete_version(connection, version, **AFTER)
            registry.restore_version(connection, "delay", 1, **AFTER)

            moves = aliases.history(connection, "delay", "shadow")

        assert [(move.left, move.to, move.why) for move in moves] == [
            (1, 0, "delay/1 was deleted"),
            (0, 1, ""),
        ]

    @pytest.mark.parametrize(
        ("state", "said"),
        [
            ("released", "delay/1 was not deleted: release/1 is in charge in production"),
            ("rolling_out", "delay/1 was not deleted: release/1 is rolling out in production"),
            (
                "awaiting_approval",
                "delay/1 was not deleted: release/1 waits for approval in production",
            ),
            (
                "changes_requested",
                "delay/1 was not deleted: release/1 waits for its requester in production",
            ),
        ],
    )
    def test_a_version_that_a_release_needs_stays(
        self, database: Database, state: ReleaseState, said: str
    ) -> None:
        (version,) = added(database)
        release(database, 1, state)

        with database.write() as connection, pytest.raises(Conflict) as caught:
            registry.delete_version(connection, version, **AFTER)

        assert str(caught.value) == f"{said}\n  hint: cd4ml release show release/1"
        assert refs(database) == ["delay/1"]

    def test_so_does_the_one_that_an_undo_would_go_back_to(self, database: Database) -> None:
        first, _ = added(database, n=2)
        release(database, 1, "superseded")
        release(database, 2, "released", number=2, replaces=1)

        with database.write() as connection, pytest.raises(Conflict) as caught:
            registry.delete_version(connection, first, **AFTER)

        assert str(caught.value) == (
            "delay/1 was not deleted: production would go back to it\n"
            "  hint: it is what release/2 replaced; cd4ml undo needs it"
        )

    def test_one_whose_release_has_ended_goes(self, database: Database) -> None:
        (version,) = added(database)
        release(database, 1, "rejected")

        with database.write() as connection:
            registry.delete_version(connection, version, **AFTER)

        assert refs(database) == []

    def test_a_model_goes_and_comes_back_with_its_versions(self, database: Database) -> None:
        first, *_ = added(database, n=3)
        with database.write() as connection:
            registry.delete_version(connection, first, by="ann", at=NOW)
            registry.delete_model(connection, "delay", why="moved", **AFTER)

        assert refs(database) == []
        with database.read() as connection:
            assert registry.models(connection) == []
            with pytest.raises(NotFound) as caught:
                registry.model(connection, "delay")
        assert str(caught.value) == (
            "the model 'delay' was deleted on 2013-01-01\n  hint: cd4ml model restore delay"
        )

        with database.write() as connection:
            registry.restore_model(connection, "delay", **AFTER)

        assert refs(database) == ["delay/2", "delay/3"]  # the first had been deleted before

    def test_a_model_of_which_a_release_needs_a_version_stays_whole(
        self, database: Database
    ) -> None:
        added(database, n=2)
        release(database, 2, "released")

        with (
            pytest.raises(Conflict, match="delay/2 was not deleted"),
            database.write() as connection,
        ):
            registry.delete_model(connection, "delay", **AFTER)

        assert refs(database) == ["delay/1", "delay/2"]

    def test_a_name_begins_again_without_the_old_versions(self, database: Database) -> None:
        added(database, n=2)
        with database.write() as connection:
            registry.delete_model(connection, "delay", **AFTER)
            again = registry.register(connection, "delay", description="anew", **AFTER)

        assert again.created_by == "max"
        assert added(database)[0].ref == "delay/3"
        assert refs(database) == ["delay/3"]


def verdict(database: Database, number: int, artifact: str, *, model: str = "delay") -> None:
    with database.write() as connection:
        rows.insert(
            connection,
            Verdict(
                number=number,
                model=model,
                run=4,
                artifact=artifact,
                policy="",
                holdout="",
                findings=(),
                outcome="pass",
                judged_at=NOW,
                judged_by="ann",
            ),
        )


def test_what_was_said_last_about_this_very_model_counts(database: Database) -> None:
    (version,) = added(database, run=4, artifact="blake3:a")
    with database.read() as connection:
        assert registry.verdict_about(connection, version) is None

    verdict(database, 1, "blake3:a")
    verdict(database, 2, "blake3:a")
    verdict(database, 3, "blake3:other")
    verdict(database, 4, "blake3:a", model="fares")

    with database.read() as connection:
        found = registry.verdict_about(connection, version)
    assert found is not None
    assert found.number == 2
