"""What a call of `command(...)` says, read without running it."""

from __future__ import annotations

import ast
import copy
import shlex
from pathlib import Path

from cd4ml.pipeline.code import Module, chain_of

_SCRIPTS = frozenset(
    [".awk", ".bash", ".jl", ".js", ".mjs", ".pl", ".py", ".r", ".rb", ".sh", ".sql", ".ts", ".zsh"]
)


def command_call(node: ast.stmt, module: Module) -> ast.Call | None:
    """The call in `name = command(...)`, where that is cd4ml's; else None."""
    value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    if not isinstance(value, ast.Call):
        return None
    chain = chain_of(value.func)
    for source in module.imports.get(next(iter(chain), ""), []):
        path = (*source.module.split("."), *([source.name] if source.name else []), *chain[1:])
        if path[0] == "cd4ml" and path[-1] == "command":
            return value
    return None


def without_parameters(node: ast.stmt, call: ast.Call) -> ast.stmt:
    """The statement without its parameters' defaults: their values count by themselves."""
    kept = [each for each in call.keywords if each.arg not in ("parameters", "columns")]
    names = [each for each in call.keywords if each.arg == "parameters"]
    bare = copy.deepcopy(node)
    assert isinstance(bare, ast.Assign | ast.AnnAssign)
    if not all(isinstance(each.value, ast.Dict) for each in names):
        return bare
    bare.value = ast.copy_location(ast.Call(call.func, call.args, kept), call)
    return ast.fix_missing_locations(bare)


def program_words(call: ast.Call) -> list[str]:
    """The words of the command, as far as they stand there."""
    program = call.args[0] if call.args else None
    found = next((each.value for each in call.keywords if each.arg == "program"), program)
    texts = [
        node.value
        for node in (ast.walk(found) if found is not None else ())
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return [word for text in texts for word in (text, *_split(text))]


def code_patterns(call: ast.Call) -> list[str] | None:
    """The files that `code=[...]` names; None if it is not there, or no plain list."""
    value = next((each.value for each in call.keywords if each.arg == "code"), None)
    if not isinstance(value, ast.List | ast.Tuple):
        return None
    found = [
        e.value for e in value.elts if isinstance(e, ast.Constant) and isinstance(e.value, str)
    ]
    return found if len(found) == len(value.elts) else None


def is_script(path: Path) -> bool:
    """Whether a file is the source of a program, by its ending."""
    return path.suffix.lower() in _SCRIPTS


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return []
