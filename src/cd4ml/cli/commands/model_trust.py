"""Whose word lets pickles be loaded that were made elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cd4ml.cli.commands.model_names import REF
from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands, Parser

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.records.trust import Trust


def add_to(nouns: Commands) -> None:
    """`model trust`, `model distrust` and `model trusted`."""
    parser = nouns.add(
        "trust",
        trust,
        "answer for a pickle that was made elsewhere, so that it may be loaded",
        "Loading it can run any code. An admin may, and roles of `[model] trusted_by`; the ledger\n"
        "keeps who did and why. It counts for exactly these bytes.",
    )
    _takes_digest(parser)
    parser = nouns.add("distrust", distrust, "take such a word back: nothing loads it any more")
    _takes_digest(parser)
    nouns.add("trusted", list_trusted, "list the words that were given, also those taken back")


def trust(given: Given) -> Answer[Trust]:
    """Somebody answers for a pickle."""
    from cd4ml.loop.trust import trust as answer_for

    words = given.words
    word = answer_for(given.project, words.digest, why=words.why, actor=given.actor)
    return Answer(word, _show_trust)


def distrust(given: Given) -> Answer[Trust]:
    """And no longer does."""
    from cd4ml.loop.trust import distrust as take_back

    words = given.words
    word = take_back(given.project, words.digest, why=words.why, actor=given.actor)
    return Answer(word, _show_distrust)


def list_trusted(given: Given) -> Answer[list[Trust]]:
    """Every word."""
    from cd4ml.loop.trust import trusted

    return Answer(trusted(given.project), _show_trusts)


def _takes_digest(parser: Parser) -> None:
    parser.add_argument("digest", metavar="DIGEST", help=f"blake3:..., or {REF}")
    parser.add_argument("--why", required=True, help="how you know; for the ledger")


def _show_trust(screen: Screen, word: Trust) -> None:
    screen.line(f"{word.digest} may be loaded: {word.given_by} answers for it as {word.role}")
    screen.hint("`cd4ml model distrust` takes it back")


def _show_distrust(screen: Screen, word: Trust) -> None:
    screen.line(f"nothing loads {word.digest} any more")
    screen.hint("an endpoint that has loaded it answers on, until a release replaces it")


def _show_trusts(screen: Screen, words: list[Trust]) -> None:
    from cd4ml.cli.screen import moment

    rows: list[tuple[Any, ...]] = [
        (
            word.digest,
            word.given_by,
            moment(word.given_at),
            f"until {moment(word.revoked_at)}" if word.revoked_at else "now",
            word.why,
        )
        for word in words
    ]
    screen.table(("digest", "word of", "since", "counts", "because"), rows)
