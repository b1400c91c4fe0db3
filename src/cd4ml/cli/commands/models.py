"""Registered models: versions, names, words, cards, and whose word lets pickles be loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.cli.assignments import pair
from cd4ml.cli.commands import model_names, model_trust
from cd4ml.cli.commands.model_names import ANY_REF, REF, takes_why
from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands

if TYPE_CHECKING:
    from pathlib import Path

    from cd4ml.cli.screen import Screen
    from cd4ml.loop.card import Card
    from cd4ml.loop.registry import ModelSummary, RegisteredSummary
    from cd4ml.records.model_version import ModelVersion


def add_to(commands: Commands) -> None:
    """`graduate`, and the verbs of `model`."""
    _add_graduate(commands)
    nouns = commands.group("model", "registered models, their versions, names and cards")
    _add_lists(nouns)
    model_names.add_to(nouns)
    _add_making(nouns)
    model_trust.add_to(nouns)


def _add_graduate(commands: Commands) -> None:
    parser = commands.add(
        "graduate",
        graduate,
        "make the model of a run the next version of a registered model",
        "No gate is asked: `cd4ml gate MODEL/NUMBER` judges it, and only a pass can be released.\n"
        "Graduating the same model again gives the same version.",
    )
    parser.add_argument("run", metavar="RUN", help="run/3 or 3")
    parser.add_argument(
        "--model", dest="model", default="", help="(default: as the step is called)"
    )
    parser.add_argument("--step", default="", help="which model of the run (default: the only one)")
    parser.add_argument(
        "--rows", metavar="RUN", default="", help="whose training and holdout rows it is judged on"
    )
    parser.add_argument("--description", default="", help="what it is, in Markdown")
    parser.add_argument("--tag", metavar="NAME=VALUE", type=pair, action="append", default=[])
    takes_why(parser)


def _add_lists(nouns: Commands) -> None:
    parser = nouns.add(
        "list", list_models, "list versions, newest first, with the names that point at them"
    )
    parser.add_argument("model", metavar="MODEL", nargs="?", default="", help="of this one only")
    nouns.add("registered", list_registered, "list registered models with their aliases")
    parser = nouns.add("show", show, "show a version: what it is, and what is said about it")
    parser.add_argument("ref", metavar=REF, help=ANY_REF)
    parser = nouns.add(
        "card",
        card,
        "the model card of a version, as Markdown on standard output",
        "Contract, data, code, parameters, metrics, verdicts, slices and approvals come from the\n"
        "records; intended use and limits from the file that `[model] card` names, as it was when\n"
        "the version was made.",
    )
    parser.add_argument("ref", metavar=REF, help=ANY_REF)
    parser.add_argument("--html", metavar="FILE", default="", help="write it as a page instead")


def _add_making(nouns: Commands) -> None:
    parser = nouns.add(
        "package",
        package,
        "make what a version answers with: compiled where that gives the same answers",
    )
    parser.add_argument("ref", metavar=REF, help=ANY_REF)
    parser = nouns.add(
        "add",
        bring,
        "make a model that was made elsewhere a version, without loading it",
        "It is loaded only after `cd4ml model trust`, but for an ONNX graph, which needs nobody's word.",
    )
    parser.add_argument("name", metavar="MODEL")
    parser.add_argument(
        "file",
        metavar="FILE",
        help=".pkl, .pickle, .joblib, .txt or .lgb (LightGBM), .ubj or .json (XGBoost), .onnx",
    )
    parser.add_argument(
        "--rows", metavar="RUN", required=True, help="whose training and holdout rows judge it"
    )
    parser.add_argument("--source", default="", help="where it came from (default: the file)")
    parser.add_argument("--description", default="", help="what it is, in Markdown")


def graduate(given: Given) -> Answer[ModelVersion]:
    """A run becomes a version."""
    from cd4ml.loop.graduate import graduate as make

    words = given.words
    version = make(
        given.project,
        words.run,
        model=words.model,
        step=words.step,
        description=words.description,
        tags=dict(words.tag),
        rows_of=words.rows,
        why=words.why,
        actor=given.actor,
    )
    return Answer(version, _show_version)


def list_models(given: Given) -> Answer[list[ModelSummary]]:
    """All versions, or those of one model."""
    from cd4ml.loop.registry import models, registered_model

    name = given.words.model
    if name:
        registered_model(given.project, name)
    found = [each for each in models(given.project) if name in ("", each.version.model)]
    return Answer(found[::-1], _show_models)


def list_registered(given: Given) -> Answer[list[RegisteredSummary]]:
    """All registered models."""
    from cd4ml.loop.registry import registered

    return Answer(registered(given.project), _show_registered)


def show(given: Given) -> Answer[Card]:
    """One version."""
    from cd4ml.loop.card import card as look

    return Answer(look(given.project, given.words.ref), _show_card)


def card(given: Given) -> Answer[Card]:
    """The card of a version."""
    from pathlib import Path

    from cd4ml.loop.card import card as look

    found = look(given.project, given.words.ref)
    if given.words.html:
        path = Path(given.words.html)
        _write(path, found)
        return Answer(found, lambda screen, _: screen.line(f"written to {path}"))
    return Answer(found, _show_markdown)


def package(given: Given) -> Answer[ModelVersion]:
    """A version can answer."""
    from cd4ml.loop.graduate import package_version

    version = package_version(given.project, given.words.ref, actor=given.actor)
    return Answer(version, _show_version)


def bring(given: Given) -> Answer[ModelVersion]:
    """A model from elsewhere."""
    from pathlib import Path

    from cd4ml.loop.bring_model import bring_model

    words = given.words
    version = bring_model(
        given.project,
        words.name,
        Path(words.file),
        rows_of=words.rows,
        source=words.source,
        description=words.description,
        actor=given.actor,
    )
    is_graph = words.file.lower().endswith(".onnx")
    return Answer(version, _show_version if is_graph else _show_brought)


def _write(path: Path, found: Card) -> None:
    from cd4ml.errors import InvalidInput
    from cd4ml.web.card import card_page

    try:
        path.write_text(card_page(found), encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}") from None


def _show_version(screen: Screen, version: ModelVersion) -> None:
    run = f", from run/{version.run}" if version.run else ""
    screen.title(f"{version.ref}{run}")
    screen.facts((("artifact", version.artifact or "not packaged yet"),))
    screen.hint(f"cd4ml gate {version.ref}" if version.artifact else _package(version))


def _show_brought(screen: Screen, version: ModelVersion) -> None:
    screen.title(f"{version.ref}, from {version.source}")
    screen.hint(f"cd4ml model trust {version.ref} --why ... lets it be loaded")


def _package(version: ModelVersion) -> str:
    return f"cd4ml model package {version.ref}"


def _show_models(screen: Screen, summaries: list[ModelSummary]) -> None:
    from cd4ml.cli.screen import moment

    screen.table(
        ("version", "known as", "verdict", "from", "since", "by"),
        (
            (
                each.version.ref,
                ", ".join(each.aliases),
                each.verdict,
                f"run/{each.version.run}" if each.version.run else each.version.source,
                moment(each.version.created_at),
                each.version.created_by,
            )
            for each in summaries
        ),
    )


def _show_registered(screen: Screen, models: list[RegisteredSummary]) -> None:
    from cd4ml.cli.screen import moment

    screen.table(
        ("model", "versions", "aliases", "description", "changed"),
        (
            (
                each.model.name,
                f"{each.n_versions:,}",
                ", ".join(f"{alias.name} -> {alias.number}" for alias in each.aliases),
                next(iter(each.model.description.splitlines()), ""),
                moment(each.model.changed_at),
            )
            for each in models
        ),
    )


def _show_card(screen: Screen, found: Card) -> None:
    from cd4ml.web.card import facts_of, loading_of, origin_of

    version = found.version
    known = f" ({', '.join(found.aliases)})" if found.aliases else ""
    screen.title(f"{version.ref}{known}")
    for text in (found.model.description, version.description):
        if text:
            screen.line(text, indent=2)
    screen.facts(facts_of(found)[1:])
    screen.line()
    screen.line("made of")
    data = ((each.name, f"{each.ref}, {each.n_rows:,} rows") for each in found.data)
    screen.facts([*data, *origin_of(found)])
    screen.line()
    screen.line("loaded")
    screen.facts(loading_of(found))
    screen.hint(f"cd4ml model card {version.ref}")


def _show_markdown(screen: Screen, found: Card) -> None:
    from cd4ml.web.card import card_markdown

    screen.verbatim(card_markdown(found))
