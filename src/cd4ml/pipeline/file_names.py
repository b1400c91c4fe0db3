"""Names of files as code says them: whole, or made up from parts while it runs."""

from __future__ import annotations

import ast
import re

MAGIC = re.compile(r"[*?\[]")

_ANY = "*"
_FIELDS = re.compile(r"\{[^{}]*\}")
_PERCENT = re.compile(r"%[-+ #0-9.]*[a-zA-Z]|%\([^)]*\)[-+ #0-9.]*[a-zA-Z]")
_LISTING = frozenset(["glob", "iglob", "iterdir", "listdir", "rglob", "scandir", "walk"])


def pattern_of(node: ast.AST) -> str:
    """A pattern for the text that an expression makes, "" if it makes none from parts.

    Examples:
        >>> [
        ...     pattern_of(ast.parse(code, mode="eval").body)
        ...     for code in (
        ...         "f'conf/{name}.json'",
        ...         "'conf/' + name + '.json'",
        ...         "folder / f'{name}.sql'",
        ...         "'conf/{}.toml'.format(name)",
        ...         "'%s.csv' % name",
        ...         "'plain.json'",
        ...     )
        ... ]
        ['conf/*.json', 'conf/*.json', '*.sql', 'conf/*.toml', '*.csv', '']
    """
    if not isinstance(node, ast.JoinedStr | ast.BinOp | ast.Call):
        return ""
    text = re.sub(r"\*+", _ANY, _text(node)).removeprefix(f"{_ANY}/")
    return text if MAGIC.search(text) and text != _ANY else ""


def lists_folders(attributes: set[str], names: set[str]) -> bool:
    """Whether a statement may look through folders, so that their names name what is in them."""
    return bool(_LISTING & (attributes | names))


def _text(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=str(value)):
            return _escaped(value)
        case ast.JoinedStr(values=values):
            return "".join(_text(each) for each in values)
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return _text(left) + _text(right)
        case ast.BinOp(op=ast.Div(), left=left, right=right):
            return f"{_text(left)}/{_text(right)}"
        case ast.BinOp(op=ast.Mod(), left=ast.Constant(value=str(value))):
            return _PERCENT.sub(_ANY, _escaped(value))
        case ast.Call(func=ast.Attribute(attr="format", value=ast.Constant(value=str(value)))):
            return _FIELDS.sub(_ANY, _escaped(value))
        case _:
            return _ANY


def _escaped(text: str) -> str:
    return re.sub(r"[*?\[]", "?", text)  # a sign that would be magic: any sign there
