"""The list of what the ledger can say is the code's own: nothing is missing from it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import cd4ml
from cd4ml.records.actions import ACTIONS, OWN, TOLD

SOURCES = Path(cd4ml.__file__).parent
FILES = re.compile(r".*\.(html|json|lock|log|txt|pem|onnx|key)")
# keys of cd4ml.toml and tags, which look alike
OTHERS = {"dataset.html", "model.contract", "run.workers", "run.ray", "model.holdout"}


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(SOURCES.rglob("*.py")):
        text = path.read_text()
        if "ledger" in text and path.name != "actions.py":
            yield path.relative_to(SOURCES), ast.parse(text)


def written_down(tree: ast.Module) -> Iterator[str]:
    """Texts like `release.undone`, of the kinds that the ledger knows or are said to be actions."""
    kinds = {action.partition(".")[0] for action in ACTIONS}
    said = {
        id(keyword.value)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        for keyword in call.keywords
        if keyword.arg == "action"
    }
    for each in ast.walk(tree):
        if not isinstance(each, ast.Constant) or not isinstance(each.value, str):
            continue
        is_like = re.fullmatch(r"[a-z_]+\.[a-z_]+( [a-z]+)?", each.value)
        is_known = each.value.partition(".")[0] in kinds and not FILES.fullmatch(each.value)
        if is_like and each.value not in OTHERS and (is_known or id(each) in said):
            yield each.value


def composed(tree: ast.Module) -> Iterator[str]:
    """Actions whose second word is put in: `run.{state}` gives `run.`."""
    for each in ast.walk(tree):
        is_action = isinstance(each, ast.keyword) and each.arg == "action"
        if is_action and isinstance(each.value, ast.JoinedStr):
            first = each.value.values[0]
            if isinstance(first, ast.Constant):
                yield str(first.value)


def test_every_action_that_the_code_writes_down_is_listed() -> None:
    unlisted = {
        (str(path), action)
        for path, tree in trees()
        for action in written_down(tree)
        if action not in ACTIONS
    }

    assert unlisted == set()


def test_what_is_put_together_is_of_kinds_that_are_listed() -> None:
    beginnings = {beginning for _, tree in trees() for beginning in composed(tree)}

    assert beginnings == {"run.", "experiment.", "logged_model.", "pickle."}
    for beginning in beginnings:
        assert [action for action in ACTIONS if action.startswith(beginning)]


def test_webhooks_are_told_of_everything_but_themselves() -> None:
    assert set(ACTIONS) - set(TOLD) == {"webhook.given_up", "webhook.resent"}
    assert all(action.startswith(OWN) for action in set(ACTIONS) - set(TOLD))
