"""A model's card as Markdown, and as one page that needs nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from cd4ml.web.card_evidence import (
    fields_of,
    groups_of,
    how_explained,
    moves_of,
    served_of,
    whole_of,
)
from cd4ml.web.markdown import below
from cd4ml.web.render import moment, number, text_of

if TYPE_CHECKING:
    from cd4ml.loop.card import Card
    from cd4ml.records.finding import Finding

_STYLE = Path(__file__).parent / "static" / "cd4ml.css"
_LINK = re.compile(r"</?a\b[^>]*>")
_NOTHING = "Nothing is recorded.\n"


def card_page(card: Card) -> str:
    """The card as a page: every value escaped, the style inside, no script and no other file."""
    style = Markup(_STYLE.read_text(encoding="utf-8"))
    page = text_of("card_report.html", style=style, **card_values(card))
    return _LINK.sub("", page)  # to the console's pages, which are not there for who has the file


def card_values(card: Card) -> dict[str, Any]:
    """What the templates of a card need."""
    return {
        "card": card,
        "facts": facts_of(card),
        "origin": origin_of(card),
        "loading": loading_of(card),
        "whole": whole_of(card),
        "groups": groups_of(card),
        "fields": fields_of(card),
        "how_explained": how_explained(card),
        "served": served_of(card),
        "moves": moves_of(card),
    }


def card_markdown(card: Card) -> str:
    """The card as Markdown, for a repository or a review.

    What records say has no markup of its own; the description and the text on use and limits
    are people's own Markdown.
    """
    sections = [
        f"# {_plain(card.version.ref)}\n",
        _lead(card),
        *_section("Intended use and limits", below(card.written) or "Nobody wrote anything.\n"),
        *_section("What it takes and answers", _contract(card)),
        *_section("What it was made of", _origin(card)),
        *_section("How good it is", _quality(card)),
        *_section("Slices", _findings(_slices(card))),
        *_evidence(card),
        *_section("Who agreed", _releases(card)),
        *_section("How it is loaded", _loading(card)),
        f"_From the records of {moment(card.as_of)} UTC._\n",
    ]
    return "\n".join(sections)


def facts_of(card: Card) -> list[tuple[str, str]]:
    """What is said first of a version: name and value, without what is empty."""
    version = card.version
    pairs = [
        ("version", version.ref),
        ("known as", ", ".join(card.aliases)),
        ("verdict", _verdict_words(card)),
        ("made by", f"run/{version.run}" if version.run else version.source),
        ("came from", version.source),
        ("registered", f"{moment(version.created_at)} UTC by {version.created_by}"),
        ("artifact", version.artifact or "not packaged yet"),
        *((f"tag {name}", value) for name, value in {**card.model.tags, **version.tags}.items()),
    ]
    return [(name, value) for name, value in pairs if value]


def origin_of(card: Card) -> list[tuple[str, str]]:
    """Code, environment and parameters of the run: name and value."""
    run = card.run
    if run is None:
        return []
    dirty = ", with changes that no commit holds" if run.is_dirty else ""
    pairs = [
        ("revision", f"{run.revision}{dirty}" if run.revision else ""),
        ("code", run.code),
        ("environment", card.lock or run.environment),
        ("trained by", run.created_by),
        ("trained at", f"{moment(run.started_at)} UTC"),
        ("known at", f"{moment(run.as_of)} UTC" if run.as_of else ""),
        *((name, f"{value}") for name, value in sorted(run.parameters.items())),
    ]
    return [(name, value) for name, value in pairs if value]


_FORMS = {"onnx": "ONNX", "treelite": "its trees (treelite)"}


def loading_of(card: Card) -> list[tuple[str, str]]:
    """How it answers and why it may be loaded: name and value."""
    packaged = card.packaged
    word = card.trust
    pairs = [
        ("answers as", _form(card)),
        *_refused(card),
        ("estimator", card.estimator),
        ("kept as", packaged.estimator_file if packaged else ""),
        ("brings along", _brought(card)),
        ("may be loaded", _why_loaded(card)),
        ("they said", word.why if word and not card.is_ours else ""),
        *((packaged.libraries if packaged else {}).items()),
    ]
    return [(name, value) for name, value in pairs if value]


def _refused(card: Card) -> list[tuple[str, str]]:
    """Why faster forms are not used; before they were told apart there was one."""
    if card.packaged is None:
        return []
    refused = card.packaged.refused or {"compiled": card.packaged.parity.refusal}
    return [(f"refused as {form}", reason) for form, reason in refused.items()]


def _form(card: Card) -> str:
    if card.packaged is None:
        return "nothing: it is not packaged yet"
    parity = card.packaged.parity
    if card.packaged.kind == "native":
        return f"{_itself(card.packaged.estimator_file)}: no faster form gives its answers"
    first = "" if card.packaged.refused else "the fastest form, "
    return (
        f"{_FORMS[card.packaged.kind]}: {first}within {parity.max_difference:.1e} of the estimator on {parity.n_rows:,} rows"
        f" ({parity.n_probes:,} of them made up)"
    )


def _itself(file: str) -> str:
    forms = {"lightgbm": "LightGBM", "xgboost": "XGBoost", "onnx": "the ONNX graph as it came"}
    return forms.get(file.split(".")[1], "the estimator itself")


def _brought(card: Card) -> str:
    """The project's modules that travel with the model."""
    return ", ".join(card.modules)


def _why_loaded(card: Card) -> str:
    if card.packaged and card.packaged.estimator_file == "estimator.onnx":
        return "by anybody: its format holds no code"
    if card.is_ours:
        return "a run of this project made it"
    if card.trust:
        return f"{card.trust.given_by} answers for it as {card.trust.role}, since {moment(card.trust.given_at)} UTC"
    return "no: it was made elsewhere and nobody answers for it" if card.estimator else ""


def _verdict_words(card: Card) -> str:
    verdict = card.verdict
    return f"{verdict.ref}: {verdict.outcome}" if verdict else "not judged yet"


def _slices(card: Card) -> list[Finding]:
    return [each for each in card.verdict.findings if each.slice] if card.verdict else []


def _lead(card: Card) -> str:
    said = [text for text in (card.model.description, card.version.description) if text]
    return "\n".join([*(f"{text}\n" for text in said), _pairs(facts_of(card))])


def _contract(card: Card) -> str:
    if not card.takes:
        return _NOTHING
    fields = [(field.name, field.takes, field.meaning) for field in card.takes]
    answer = ""
    if card.answers:
        answer = f"\nIt answers {_plain(card.answers.name)}: {_plain(card.answers.takes)}.\n"
    return _table(("field", "takes", "meaning"), fields) + answer


def _origin(card: Card) -> str:
    data = [
        (each.name, each.ref, f"{each.n_rows:,}" if each.n_rows else "", each.digest)
        for each in card.data
    ]
    table = _table(("input", "version", "rows", "digest"), data) if data else ""
    pairs = _pairs(origin_of(card))
    return "\n".join(part for part in (table, pairs) if part) or _NOTHING


def _quality(card: Card) -> str:
    metrics = [(name, number(value)) for name, value in sorted(card.metrics.items())]
    parts = [_table(("metric of its run", "value"), metrics)] if metrics else []
    if card.verdict is None:
        return "\n".join([*parts, "No gate was asked yet.\n"])
    verdict = card.verdict
    beside = f", beside {verdict.champion}" if verdict.champion else ""
    said = f"{verdict.ref} of {moment(verdict.judged_at)} UTC{beside}: **{verdict.outcome}**\n"
    older = [
        f"{each.ref} of {moment(each.judged_at)} UTC: {each.outcome}" for each in card.verdicts[1:]
    ]
    before = ["Before: " + "; ".join(older) + "\n"] if older else []
    return "\n".join([*parts, said, _findings(whole_of(card)), *before])


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return _NOTHING
    columns = ("asked", "value", "interval", "rows", "outcome")
    rows = [
        (
            _asked(each),
            number(each.value),
            f"{number(each.low)} to {number(each.high)}"
            if each.low is not None and each.high is not None
            else "",
            f"{each.n_rows:,}",
            each.outcome if each.is_gated else f"({each.outcome})",
        )
        for each in findings
    ]
    return _table(columns, rows)


def _asked(finding: Finding) -> str:
    """What was asked, and of which rows."""
    if not finding.gate:
        return f"{finding.metric} on {finding.slice}"
    is_named = finding.slice and finding.slice not in finding.gate
    return f"{finding.gate}: {finding.slice}" if is_named else finding.gate


def _releases(card: Card) -> str:
    if not card.releases:
        return "It was never released.\n"
    rows = [
        (
            each.release.ref,
            each.release.environment,
            each.release.state.replace("_", " "),
            "; ".join(
                f"{decided.decision} by {decided.decided_by}: {decided.reason}"
                for decided in each.approvals
            ),
        )
        for each in card.releases
    ]
    return _table(("release", "environment", "state", "approvals"), rows)


def _loading(card: Card) -> str:
    return _pairs(loading_of(card)) or _NOTHING


def _evidence(card: Card) -> list[str]:
    """Sections on what gates other than those on metrics have seen, where there are any."""
    sections: list[str] = []
    if groups := groups_of(card):
        sections += _section("Groups of people", _findings(groups))
    if fields := fields_of(card):
        columns = ("field", "share of what moves answers", "worse without it", "interval")
        body = f"{_table(columns, fields)}\n{_plain(how_explained(card))}\n"
        sections += _section("What its answers hang on", body)
    if served := served_of(card):
        columns = ("field", "moves an answer by", "raises it by", "lowers it by")
        body = f"{_pairs(served)}\n{_table(columns, moves_of(card))}"
        sections += _section("What it does when it is served", body)
    return sections


def _section(title: str, body: str) -> list[str]:
    return [f"## {title}\n", body if body.endswith("\n") else f"{body}\n"]


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    return "".join(f"- {_plain(name)}: {_plain(value)}\n" for name, value in pairs)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *([_cell(each) for each in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|")


def _plain(text: str) -> str:
    """A text of the records in one line, so that nothing in it is taken for markup."""
    line = " ".join(text.split())
    for character in "\\`*[]<>":
        line = line.replace(character, f"\\{character}")
    return line
