"""A card says what the records know about a version, and what people wrote of its use."""

import pytest

from cd4ml.errors import ConfigurationError, NotFound
from cd4ml.loop import Project
from cd4ml.loop.card import card
from cd4ml.loop.evaluate import evaluate
from cd4ml.loop.graduate import graduate
from cd4ml.loop.log_model import log_model
from cd4ml.loop.registry import describe, models, tag
from cd4ml.loop.train import train
from cd4ml.loop.trust import trust
from tests.loop import test_graduate as graduates
from tests.loop.test_evaluate import change
from tests.loop.test_log_model import begun, fitted
from tests.loop.world import ANN, BEGIN, EVE, MAX, actions, flights


def with_card(project: Project, text: str, name: str = "CARD.md") -> Project:
    (project.folder / name).write_text(text)
    return change(project, "[model]\n", f'[model]\ncard = "{name}"\n')


def test_the_card_of_a_version_in_charge(released: Project) -> None:
    tag(released, "delay/1", {"team": "ops"}, actor=EVE)
    describe(released, "delay", "Will it be late?", actor=EVE)

    found = card(released, "delay@champion")

    assert (found.version.ref, found.aliases) == ("delay/1", ("champion",))
    assert (found.model.description, found.version.tags) == ("Will it be late?", {"team": "ops"})
    assert found.written == ""
    assert [(field.name, field.takes) for field in found.takes] == [
        ("carrier", 'one of "AA", "UA"'),
        ("distance", "a number of at least 0"),
        ("wind", "a number of at least 0"),
    ]
    assert found.run is not None
    assert found.run.parameters == {"delay.strength": 1.0, "training.upside_down": False}
    assert [(each.name, each.ref, each.n_rows) for each in found.data] == [
        ("flights", "flights@1", 600),
        ("labelled", "labelled@empty", 0),
    ]
    assert list(found.metrics) == ["auc"]
    assert found.verdict is not None
    assert (found.verdict.ref, found.verdict.outcome) == ("verdict/1", "pass")
    assert {each.slice for each in found.verdict.findings if each.slice} == {
        "carrier=AA",
        "carrier=UA",
    }
    assert [
        (each.release.environment, [(a.decided_by, a.reason) for a in each.approvals])
        for each in found.releases
    ] == [("production", [(MAX, "looks good")]), ("staging", [])]
    assert released.blobs.get(found.lock).startswith(b"# Python")
    assert found.packaged is not None
    assert (found.packaged.kind, found.is_ours, found.trust) == ("onnx", True, None)
    assert found.as_of == released.clock.now()


def test_a_model_that_was_logged_has_a_card_before_it_is_packaged(project: Project) -> None:
    sample = flights(5, start=BEGIN).select("distance", "wind")
    log_model(
        project, begun(project).number, fitted(), name="m", sample=sample, register="m", actor=ANN
    )

    found = card(project, "m/1")

    assert [field.name for field in found.takes] == ["distance", "wind"]
    assert (found.packaged, found.verdicts, found.releases, found.metrics) == (None, (), (), {})
    assert found.estimator
    assert found.is_ours


def test_who_answers_for_a_model_made_elsewhere_is_on_its_card(project: Project) -> None:
    train(project, actor=ANN)
    graduates.TestModelsMadeElsewhere().brought(project, fitted())
    assert (card(project, "lab/1").is_ours, card(project, "lab/1").trust) == (False, None)

    word = trust(project, "lab/1", why="the lab's", actor=ANN)

    assert card(project, "lab/1").trust == word


def test_what_people_wrote_is_that_of_when_the_version_was_made(project: Project) -> None:
    mine = with_card(project, "# Use\nby desks, not by **pilots**: ü")
    run = train(mine, actor=ANN).run
    graduate(mine, run.ref, actor=ANN)
    (mine.folder / "CARD.md").write_text("by everybody")
    evaluate(mine, run.ref, model="other", actor=ANN)

    assert card(mine, "delay/1").written == "# Use\nby desks, not by **pilots**: ü"
    assert card(mine, "other/1").written == "by everybody"


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path: None, "CARD.md cannot be read: No such file or directory"),
        (lambda path: path.mkdir(), "CARD.md cannot be read: Is a directory"),
        (lambda path: path.write_bytes(b"\xff"), "CARD.md cannot be read: it is no text in UTF-8"),
        (
            lambda path: path.write_text("a\0b"),
            "CARD.md cannot be kept: expected text without NUL characters, got 'a\\x00b'",
        ),
        (
            lambda path: path.write_text("x" * 200_001),
            "CARD.md cannot be kept: expected at most 200,000 characters, got 200,001",
        ),
    ],
)
def test_what_cannot_be_a_card_is_said_before_a_version_is_made(
    project: Project, write: object, said: str
) -> None:
    mine = with_card(project, "")
    path = mine.folder / "CARD.md"
    path.unlink()
    write(path)  # type: ignore[operator]
    run = train(mine, actor=ANN).run
    before = actions(mine)

    for make in (graduate, evaluate):
        with pytest.raises(ConfigurationError) as caught:
            make(mine, run.ref, actor=ANN)
        assert caught.value.message == f"cd4ml.toml: {said} - at `model.card`"

    assert (models(mine), actions(mine)) == ([], before)


def test_a_version_that_is_not_there_has_no_card(project: Project) -> None:
    with pytest.raises(NotFound, match="no model version 'delay/1'"):
        card(project, "delay/1")
