"""Why a model answers as it does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands, UsageError

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.loop.explain import ExplainedAnswer


def add_to(commands: Commands) -> None:
    """`explain`."""
    parser = commands.add(
        "explain",
        explain,
        "what each field of a request added to its answer",
        "Of a prediction, by the version that answered it; or of rows, by any version:\n"
        'cd4ml explain delay/3 --row \'{"carrier": "UA", ...}\'. The parts add up to the answer.',
    )
    parser.add_argument(
        "ref", metavar="REF", help="a prediction id; with --row a version (delay/3 or delay@ALIAS)"
    )
    parser.add_argument(
        "--row", metavar="JSON", dest="rows", action="append", default=[], help="may be repeated"
    )


def explain(given: Given) -> Answer[list[ExplainedAnswer]]:
    """Take answers apart."""
    from cd4ml.loop.explain import explain_prediction, explain_rows

    words = given.words
    if "/" not in words.ref and "@" not in words.ref:
        if words.rows:
            msg = f"cd4ml explain: --row is answered by a version, and {words.ref!r} is none"
            raise UsageError(msg, hint="cd4ml explain delay/3 --row '{...}'")
        return Answer([explain_prediction(given.project, words.ref)], _show)
    if not words.rows:
        msg = f"cd4ml explain: {words.ref} needs a row to explain"
        raise UsageError(msg, hint=f"cd4ml explain {words.ref} --row '{{...}}'")
    return Answer(
        explain_rows(given.project, words.ref, [_row(text) for text in words.rows]), _show
    )


def _row(text: str) -> dict[str, Any]:
    try:
        row = json.loads(text)
    except ValueError as error:
        raise UsageError(f"cd4ml explain: --row is not JSON: {error}") from None
    if not isinstance(row, dict):
        msg = f"cd4ml explain: expected an object with the fields of a request, got {text}"
        raise UsageError(msg, hint="cd4ml explain delay/3 --row '{\"field\": value}'")
    return row


def _show(screen: Screen, answers: list[ExplainedAnswer]) -> None:
    for answer in answers:
        found = answer.explained
        who = f"prediction {answer.prediction_id}" if answer.prediction_id else "this row"
        screen.title(f"{answer.version} on {who}: {answer.words}")
        screen.table(
            ("field", "value", f"adds ({found.unit})"),
            (
                ("an average request", "", f"{found.base:+.4f}"),
                *(
                    (each.field, _value(each.value), f"{each.amount:+.4f}")
                    for each in found.contributions
                ),
                ("together", "", f"{found.raw:+.4f}"),
            ),
        )
        screen.line(_how(found.method), style="dim")


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _how(method: str) -> str:
    if method == "sampled":
        return (
            "taken apart by asking about mixtures of rows; the parts are estimates, their sum is"
            " not (trees of scikit-learn exactly: pip install 'cd4ml[explain]')"
        )
    how = {"linear": "from its coefficients", "shap": "by SHAP, along the paths of its trees"}
    return f"taken apart exactly, {how.get(method, f'by {method}, along the paths of its trees')}"
