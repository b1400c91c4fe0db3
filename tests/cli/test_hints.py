"""What an error tells people to type exists."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import cd4ml
from tools.check_docs import is_command

SOURCE = Path(cd4ml.__file__).parent
COMMAND = re.compile(r"(?<!this )(?<!newer )(?<!give )(?<!from )\bcd4ml ([a-z]+(?: [\w./@-]+)?)")


def hints() -> Iterator[tuple[str, str]]:
    """Every hint in the source with where it stands; what is filled in later is `X`."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "hint":
                yield f"{path.relative_to(SOURCE)}:{node.value.lineno}", said(node.value)


def said(node: ast.AST) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(said(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return "X"
    return " ; ".join(said(part) for part in ast.iter_child_nodes(node))


def test_every_command_in_a_hint_exists() -> None:
    found = [(place, words) for place, hint in hints() for words in COMMAND.findall(hint)]

    assert len(found) > 20
    assert [(place, words) for place, words in found if not is_command(words.split())] == []
