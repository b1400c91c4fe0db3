"""What people call models and versions, and what they say about them."""

import pytest

from cd4ml.errors import AlreadyExists, Conflict, InvalidInput, NotAllowed, NotFound
from cd4ml.loop import Project
from cd4ml.loop.evaluate import evaluate
from cd4ml.loop.graduate import graduate
from cd4ml.loop.promote import approve, request
from cd4ml.loop.registry import (
    alias_history,
    delete,
    describe,
    models,
    register,
    registered,
    registered_model,
    remove_alias,
    restore,
    set_alias,
    tag,
    untag,
    version_of,
)
from cd4ml.loop.train import train
from cd4ml.loop.undo import undo
from tests.loop.test_evaluate import change
from tests.loop.world import ANN, EVE, MAX, actions


@pytest.fixture
def two(project: Project) -> Project:
    """`delay` with two versions, neither judged."""
    for strength in (1.0, 0.5):
        run = train(project, overrides={"delay.strength": strength}, actor=ANN).run
        graduate(project, run.ref, actor=ANN)
    return project


def test_a_model_with_its_versions_and_names(two: Project) -> None:
    set_alias(two, "delay/1", "shadow", actor=EVE)
    describe(two, "delay", "Will it be late?", actor=EVE)
    tag(two, "delay", {"team": "ops"}, actor=EVE)

    (model,) = registered(two)

    assert (model.n_versions, model.newest) == (2, 2)
    assert [(alias.name, alias.number, alias.moved_by) for alias in model.aliases] == [
        ("shadow", 1, EVE)
    ]
    assert (model.model.description, model.model.tags) == ("Will it be late?", {"team": "ops"})
    assert registered_model(two, "delay") == model
    assert [(each.version.ref, each.aliases) for each in models(two)] == [
        ("delay/1", ("shadow",)),
        ("delay/2", ()),
    ]


def test_a_model_is_registered_ahead(project: Project) -> None:
    register(project, "fares", description="How dear?", tags={"a": "b"}, actor=EVE)

    assert registered_model(project, "fares").n_versions == 0
    with pytest.raises(AlreadyExists):
        register(project, "fares", actor=EVE)


@pytest.mark.parametrize(
    "given",
    [{"description": "x" * 100_001}, {"description": "\0"}, {"tags": {"": "x"}}, {"name": "a/b"}],
)
def test_what_cannot_be_kept_registers_nothing(project: Project, given: dict[str, object]) -> None:
    before = actions(project)

    with pytest.raises(InvalidInput):
        register(project, **{"name": "fares", "actor": ANN, **given})  # type: ignore[arg-type]

    assert (registered(project), actions(project)) == ([], before)


def test_words_and_tags_of_a_version(two: Project) -> None:
    describe(two, "delay/2", "weaker", actor=EVE)
    tag(two, "delay", {"of": "the model"}, actor=EVE)
    tag(two, "delay/2", {"kept": "1", "gone": "2"}, actor=EVE)
    untag(two, "delay/2", "gone", actor=EVE)

    version = version_of(two, "delay").version

    assert (version.ref, version.description, version.tags) == ("delay/2", "weaker", {"kept": "1"})
    with pytest.raises(NotFound, match="delay/2 has no tag 'gone'"):
        untag(two, "delay/2", "gone", actor=EVE)


def test_an_alias_is_moved_by_who_has_seen_where_it_points(two: Project) -> None:
    set_alias(two, "delay/1", "shadow", expected=0, actor=ANN)
    set_alias(two, "delay/2", "shadow", expected=1, why="better on snow", actor=MAX)

    with pytest.raises(Conflict, match="delay@shadow points at delay/2, moved by max"):
        set_alias(two, "delay/1", "shadow", expected=1, actor=ANN)

    assert version_of(two, "delay@shadow").version.ref == "delay/2"
    moves = alias_history(two, "delay@shadow")
    assert [(move.by, move.left, move.to, move.why) for move in moves] == [
        (MAX, 1, 2, "better on snow"),
        (ANN, 0, 1, ""),
    ]
    assert remove_alias(two, "delay@shadow", expected=2, actor=ANN).number == 2
    assert len(alias_history(two, "delay")) == 3


@pytest.mark.parametrize(
    ("ref", "error", "said"),
    [
        ("fares", NotFound, "no model named 'fares'\n  hint: known: delay"),
        ("@x", InvalidInput, "expected MODEL@ALIAS, got '@x'\n  hint: for example delay@champion"),
    ],
)
def test_what_has_no_history_says_so(
    two: Project, ref: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as caught:
        alias_history(two, ref)

    assert str(caught.value) == said


def test_the_champion_is_moved_by_releases_alone(released: Project) -> None:
    for act in (
        lambda: set_alias(released, "delay/1", "champion", actor=ANN),
        lambda: remove_alias(released, "delay@champion", actor=ANN),
    ):
        with pytest.raises(NotAllowed) as caught:
            act()
        assert str(caught.value) == (
            "'champion' is the version in charge in production: only a release moves it\n"
            "  hint: cd4ml release MODEL/NUMBER --to production"
        )

    (move,) = alias_history(released, "delay@champion")
    assert (move.left, move.to, move.why) == (0, 1, "release/2 is in charge in production")


def test_where_nothing_is_released_anybody_may_name_a_champion(two: Project) -> None:
    text = (two.folder / "cd4ml.toml").read_text()
    plain = change(two, text[text.index("[environments.staging]") :], "")

    assert set_alias(plain, "delay/1", "champion", actor=EVE).number == 1


def test_a_version_in_charge_is_not_deleted_and_others_are(released: Project) -> None:
    run = train(released, overrides={"delay.strength": 0.5}, actor=ANN).run
    graduate(released, run.ref, actor=ANN)

    with pytest.raises(
        Conflict, match="delay/1 was not deleted: release/1 is in charge in staging"
    ):
        delete(released, "delay/1", actor=ANN)
    with pytest.raises(Conflict, match="delay/1 was not deleted"):
        delete(released, "delay", actor=ANN)
    delete(released, "delay/2", why="too weak", actor=ANN)

    assert [each.version.ref for each in models(released)] == ["delay/1"]
    with pytest.raises(NotFound, match="delay/2 was deleted"):
        evaluate(released, "delay/2", actor=ANN)


def test_what_was_deleted_cannot_be_released_and_comes_back(two: Project) -> None:
    evaluate(two, "delay/2", actor=ANN)
    delete(two, "delay/2", actor=ANN)

    with pytest.raises(Exception, match="delay/2 was not released: it was deleted on 2013-02-01"):
        request(two, "delay/2", to="staging", actor=ANN)
    restore(two, "delay/2", actor=ANN)

    assert request(two, "delay/2", to="staging", actor=ANN).state == "released"


def test_a_model_is_deleted_and_restored_with_its_versions(two: Project) -> None:
    delete(two, "delay", why="moved elsewhere", actor=ANN)
    assert (registered(two), models(two)) == ([], [])

    restore(two, "delay", actor=ANN)

    assert [each.version.ref for each in models(two)] == ["delay/1", "delay/2"]


def test_what_an_undo_needs_stays(released: Project) -> None:
    run = train(released, overrides={"delay.strength": 0.5}, actor=ANN).run
    graduate(released, run.ref, actor=ANN)
    evaluate(released, "delay/2", actor=ANN)
    text = (released.folder / "cd4ml.toml").read_text()
    rollout = text[text.index("rollout = [") : text.index("[monitoring]")]
    quick = change(released, rollout, 'rollout = [{ mode = "full" }]\n\n')
    request(quick, "delay/2", to="staging", actor=ANN)
    release = request(quick, "delay/2", to="production", actor=ANN)
    approve(quick, release.ref, reason="better", actor=MAX)

    with pytest.raises(Conflict, match="delay/1 was not deleted: staging would go back to it"):
        delete(quick, "delay/1", actor=ANN)

    assert undo(quick, environment="production", reason="worse", actor=ANN).version == 1
    assert [move.to for move in alias_history(quick, "delay@champion")] == [1, 2, 1]


def test_nobody_unknown_changes_anything(two: Project) -> None:
    before = actions(two)

    for act in (
        lambda: set_alias(two, "delay/1", "a", actor="zoe"),
        lambda: describe(two, "delay", "x", actor="zoe"),
        lambda: tag(two, "delay", {"a": "b"}, actor="zoe"),
        lambda: delete(two, "delay/1", actor="zoe"),
        lambda: register(two, "fares", actor="zoe"),
    ):
        with pytest.raises(NotFound, match="nobody named 'zoe' works on this project"):
            act()

    assert actions(two) == before
