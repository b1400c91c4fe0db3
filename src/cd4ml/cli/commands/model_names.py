"""What people call models and versions, and what they say about them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cd4ml.cli.assignments import pair
from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands, Parser

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.records.model_version import Alias, AliasMove, RegisteredModel

REF = "MODEL/NUMBER"
ANY_REF = "MODEL/NUMBER, MODEL@ALIAS, or MODEL for its newest version"
THING = "a version, or a model: MODEL"


def add_to(nouns: Commands) -> None:
    """The verbs of `model` that name and describe."""
    _add_names(nouns)
    _add_words(nouns)


def takes_why(parser: Parser) -> None:
    """A reason that may be given."""
    parser.add_argument("--why", default="", help="for the ledger and the next reader")


def _add_names(nouns: Commands) -> None:
    parser = nouns.add("alias", set_alias, "point an alias at a version")
    parser.add_argument("ref", metavar=REF, help=ANY_REF)
    parser.add_argument("alias", metavar="ALIAS", help="for example challenger")
    _takes_expected(parser)
    takes_why(parser)
    parser = nouns.add("unalias", remove_alias, "take an alias away")
    parser.add_argument("ref", metavar="MODEL@ALIAS")
    _takes_expected(parser)
    takes_why(parser)
    parser = nouns.add("history", history, "every move of an alias: who, when, from where, why")
    parser.add_argument("ref", metavar="MODEL[@ALIAS]", help="of one alias, or of all of a model")


def _add_words(nouns: Commands) -> None:
    parser = nouns.add("register", register, "give a model a name before it has a version")
    parser.add_argument("name", metavar="MODEL")
    parser.add_argument("--description", default="", help="what it is, in Markdown")
    parser = nouns.add("describe", describe, "say in words what a version or a model is")
    parser.add_argument("ref", metavar=REF, help=THING)
    parser.add_argument("text", metavar="TEXT", help="Markdown")
    parser = nouns.add("tag", tag, "give a version or a model tags")
    parser.add_argument("ref", metavar=REF, help=THING)
    parser.add_argument("tags", metavar="NAME=VALUE", type=pair, nargs="+")
    parser = nouns.add("untag", untag, "take a tag away from a version or a model")
    parser.add_argument("ref", metavar=REF, help=THING)
    parser.add_argument("name", metavar="NAME")
    for verb, perform, summary in (
        ("delete", delete, "hide a version, or a model with all of them; nothing is lost"),
        ("restore", restore, "bring back what was deleted"),
    ):
        parser = nouns.add(verb, perform, summary)
        parser.add_argument("ref", metavar=REF, help=THING)
        takes_why(parser)


def set_alias(given: Given) -> Answer[Alias]:
    """An alias moves."""
    from cd4ml.loop.registry import set_alias as move

    words = given.words
    alias = move(
        given.project,
        words.ref,
        words.alias,
        expected=words.expect,
        why=words.why,
        actor=given.actor,
    )
    return Answer(alias, _show_alias)


def remove_alias(given: Given) -> Answer[Alias]:
    """An alias goes."""
    from cd4ml.loop.registry import remove_alias as take

    words = given.words
    alias = take(given.project, words.ref, expected=words.expect, why=words.why, actor=given.actor)
    return Answer(alias, lambda screen, gone: screen.line(f"{_named(gone)} points nowhere now"))


def history(given: Given) -> Answer[list[AliasMove]]:
    """Every move of aliases."""
    from cd4ml.loop.registry import alias_history

    return Answer(alias_history(given.project, given.words.ref), _show_history)


def register(given: Given) -> Answer[RegisteredModel]:
    """A model without a version."""
    from cd4ml.loop.registry import register as make

    words = given.words
    model = make(given.project, words.name, description=words.description, actor=given.actor)
    return Answer(model, lambda screen, made: screen.title(f"{made.name} is registered"))


def describe(given: Given) -> Answer[dict[str, str]]:
    """A description."""
    from cd4ml.loop.registry import describe as say

    say(given.project, given.words.ref, given.words.text, actor=given.actor)
    return _done(given, "is described")


def tag(given: Given) -> Answer[dict[str, str]]:
    """Tags."""
    from cd4ml.loop.registry import tag as give

    give(given.project, given.words.ref, dict(given.words.tags), actor=given.actor)
    return _done(given, "is tagged")


def untag(given: Given) -> Answer[dict[str, str]]:
    """A tag goes."""
    from cd4ml.loop.registry import untag as take

    take(given.project, given.words.ref, given.words.name, actor=given.actor)
    return _done(given, f"has no tag {given.words.name} any more")


def delete(given: Given) -> Answer[dict[str, str]]:
    """Something is hidden."""
    from cd4ml.loop.registry import delete as hide

    hide(given.project, given.words.ref, why=given.words.why, actor=given.actor)
    return _done(given, "is deleted", hint=f"cd4ml model restore {given.words.ref}")


def restore(given: Given) -> Answer[dict[str, str]]:
    """Something is there again."""
    from cd4ml.loop.registry import restore as bring_back

    bring_back(given.project, given.words.ref, why=given.words.why, actor=given.actor)
    return _done(given, "is there again")


def _takes_expected(parser: Parser) -> None:
    parser.add_argument(
        "--expect",
        metavar="NUMBER",
        type=_whole,
        help="move it only if it points at this version now; 0: at none",
    )


def _whole(text: str) -> int:
    number = text.rpartition("/")[2]
    if not (number.isascii() and number.isdigit() and len(number) <= 9):
        msg = f"expected the number of a version, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(number)


def _done(given: Given, what: str, *, hint: str = "") -> Answer[dict[str, str]]:
    def shown(screen: Screen, answer: dict[str, str]) -> None:
        screen.line(f"{answer['ref']} {what}")
        if hint:
            screen.hint(hint)

    return Answer({"ref": given.words.ref}, shown)


def _named(alias: Alias) -> str:
    return f"{alias.model}@{alias.name}"


def _show_alias(screen: Screen, alias: Alias) -> None:
    screen.line(f"{_named(alias)} points at {alias.model}/{alias.number}")


def _show_history(screen: Screen, moves: list[AliasMove]) -> None:
    from cd4ml.cli.screen import moment

    screen.log(
        ((moment(move.at), f"{move.model}@{move.name}", _move(move), move.by), move.why)
        for move in moves
    )


def _move(move: AliasMove) -> str:
    left, to = (str(number) if number else "none" for number in (move.left, move.to))
    return f"{left} -> {to}"
