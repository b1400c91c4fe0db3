"""Contracts of datasets: check against one, have one suggested, write one in another form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.loop.check import CheckedData

_EXIT_CODES = {"pass": 0, "fail": 3, "error": 3, "inconclusive": 4}


def add_to(nouns: Commands) -> None:
    """`data check|suggest|contract`."""
    parser = nouns.add(
        "check",
        check,
        "check files, or a version, against the contract, without storing anything",
        "Exits with 3 if the contract is broken.",
    )
    parser.add_argument(
        "ref", metavar="NAME[@NUMBER]", help="the present files of a dataset, or a version of it"
    )
    parser.add_argument("--all", action="store_true", help="also the rules that are kept")
    parser = nouns.add(
        "suggest",
        suggest,
        "print a contract that a version's rows suggest, for you to review",
        "For example: cd4ml data suggest rides > contracts/rides.toml",
    )
    parser.add_argument("ref", metavar="NAME[@NUMBER]", help="a dataset, or one of its versions")
    _add_form(parser)
    parser = nouns.add(
        "contract",
        contract,
        "print a contract in another form: import it, or export it",
        "For example: cd4ml data contract rides --form odcs > rides.odcs.yaml\n"
        "and back: cd4ml data contract rides.odcs.yaml > contracts/rides.toml",
    )
    parser.add_argument(
        "name", metavar="NAME|FILE", help="a dataset, module:Name, a .toml or a .yaml file"
    )
    _add_form(parser)


def check(given: Given) -> Answer[CheckedData]:
    """What a contract says about data."""
    from cd4ml.loop.check import check_dataset

    checked = check_dataset(given.project, given.words.ref, actor=given.asker)
    show = _show_all if given.words.all else _show_broken
    return Answer(checked, show, _EXIT_CODES[checked.outcome])


def suggest(given: Given) -> Answer[str]:
    """A contract from rows."""
    from cd4ml.loop.check import suggest_contract

    text = suggest_contract(
        given.project, given.words.ref, form=given.words.form, actor=given.asker
    )
    return Answer(text, _show_text)


def contract(given: Given) -> Answer[str]:
    """A contract in another form."""
    from cd4ml.loop.check import contract_as

    return Answer(contract_as(given.project, given.words.name, form=given.words.form), _show_text)


def _add_form(parser: object) -> None:
    parser.add_argument(  # type: ignore[attr-defined]
        "--form",
        choices=("toml", "odcs"),
        default="toml",
        help="toml, or odcs: YAML of the Open Data Contract Standard (default: toml)",
    )


def _show_broken(screen: Screen, checked: CheckedData) -> None:
    _show(screen, checked, is_all=False)


def _show_all(screen: Screen, checked: CheckedData) -> None:
    _show(screen, checked, is_all=True)


def _show(screen: Screen, checked: CheckedData, *, is_all: bool) -> None:
    from cd4ml.cli.screen import counted

    n_broken = sum(f.outcome != "pass" and f.is_gated for f in checked.findings)
    n_rules = len(checked.findings)
    kept = f"keeps {'all ' if n_rules > 1 else ''}{counted(n_rules, 'rule')}"
    kept = f"breaks {n_broken} of {n_rules} rules" if n_broken else kept
    screen.title(f"{checked.what} {kept} of the contract {checked.contract}")
    screen.facts((("rows", f"{checked.n_rows:,}"), ("outcome", checked.outcome)))
    shown = [f for f in checked.findings if is_all or f.outcome != "pass"]
    if shown:
        screen.line()
        screen.table(
            ("rule", "outcome", "why"),
            ((f.gate, f.outcome, f.reason) for f in shown),
        )


def _show_text(screen: Screen, text: str) -> None:
    screen.verbatim(text)
