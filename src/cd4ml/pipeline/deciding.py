"""What of a piece of code decides: not comments, formatting, docstrings, or an order that is all one."""

from __future__ import annotations

import ast
from pathlib import Path

from cd4ml.pipeline.code import Module, Statement, chain_of, parsed
from cd4ml.store.address import address_of_file, address_of_record


def without_what_decides_nothing(statement: Statement) -> Statement:
    """A step without the defaults of its parameters, which count by themselves, and its columns."""
    node = statement.node
    if not isinstance(node, ast.FunctionDef):
        return statement
    decorators = [_without_what_is_told(each, statement.module) for each in node.decorator_list]
    if not node.args.kwonlyargs and decorators == node.decorator_list:
        return statement  # nothing is left out
    arguments = ast.arguments(
        **{**dict(ast.iter_fields(node.args)), "kw_defaults": [None] * len(node.args.kwonlyargs)}
    )
    changed = {"args": arguments, "decorator_list": decorators}
    bare = ast.FunctionDef(**{**dict(ast.iter_fields(node)), **changed})
    return Statement(ast.fix_missing_locations(bare), statement.module, statement.index)


_TOLD = {"columns", "timeout", "retries", "backoff", "cpus", "gpus", "memory"}


def _without_what_is_told(decorator: ast.expr, module: Module) -> ast.expr:
    """`@step(columns=..., memory=...)` as `@step`: what they say decides no value."""
    if not isinstance(decorator, ast.Call):
        return decorator
    sources = module.imports.get(next(iter(chain_of(decorator.func)), ""), [])
    if not sources or any(source.module.partition(".")[0] != "cd4ml" for source in sources):
        return decorator  # somebody else's, who may do with it as they like
    kept = [each for each in decorator.keywords if each.arg not in _TOLD]
    if not (kept or decorator.args):
        return decorator.func
    return ast.copy_location(ast.Call(decorator.func, decorator.args, kept), decorator)


def in_one_order(statements: list[Statement], *, is_plain: bool) -> list[str]:
    """Texts in the order of the file; sorted where their order does not matter."""
    names = [name for statement in statements for name in statement.names]
    if not is_plain or len(set(names)) < len(names):
        return [statement.text for statement in statements]
    return sorted(statement.text for statement in statements)


def whole(path: Path) -> str:
    """A whole file without comments, formatting and docstrings; as it is, if it is not Python.

    Raises:
        OSError: If it cannot be read.
    """
    try:
        return address_of_record(ast.dump(parsed(path.read_bytes(), path)))
    except (SyntaxError, ValueError, RecursionError):
        return address_of_file(path)
