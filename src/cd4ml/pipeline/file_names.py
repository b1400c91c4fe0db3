"""Names of files and folders as code says them: whole, or made up from parts while it runs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

MAGIC = re.compile(r"[*?\[]")

_ANY = "*"
_FIELDS = re.compile(r"\{[^{}]*\}")
_PERCENT = re.compile(r"%[-+ #0-9.]*[a-zA-Z]|%\([^)]*\)[-+ #0-9.]*[a-zA-Z]")
_LISTING = frozenset(["glob", "iglob", "iterdir", "listdir", "rglob", "scandir", "walk"])

_READERS = frozenset(
    ["DeltaTable", "ParquetDataset", "dataset", "read_avro", "read_csv", "read_delta",
     "read_feather", "read_ipc", "read_ndjson", "read_orc", "read_parquet", "read_table"]
)  # fmt: skip
_PATHS = frozenset(["join", "joinpath"])


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


def reads_tables(words: Iterable[str]) -> bool:
    """Whether one of these names is a function that reads tables, and looks through folders.

    Examples:
        >>> reads_tables(["scan_parquet"]), reads_tables(["read_text", "open"])
        (True, False)
    """
    return any(word.startswith("scan_") or word in _READERS for word in words)


def may_be_folders(node: ast.AST) -> Iterator[str]:
    """The texts of one node that may say where a folder is, and not what a column is called.

    Examples:
        >>> [
        ...     list(may_be_folders(ast.parse(code).body[0].value))
        ...     for code in ("scan_csv('parts')", "pl.scan_csv('parts')", "pl.col('parts')")
        ... ]
        [['parts'], ['parts'], []]
    """
    match node:
        case ast.Call(func=ast.Name()):
            values = [*node.args, *(each.value for each in node.keywords)]
        case ast.Call(func=ast.Attribute(attr=name)) if name in _PATHS or reads_tables([name]):
            values = [*node.args, *(each.value for each in node.keywords)]
        case ast.Assign(value=value):
            values = [value]
        case ast.AnnAssign(value=ast.expr() as value):
            values = [value]
        case ast.arguments():
            values = [*node.defaults, *filter(None, node.kw_defaults)]
        case _:
            return
    inner = [_elements(value) for value in values if not isinstance(node, ast.Call)]
    for value in (*values, *(each for group in inner for each in group)):
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.value


def _elements(node: ast.AST) -> list[ast.expr]:
    """What stands in a list, a tuple, or as the values of a table."""
    if isinstance(node, ast.Dict):
        return node.values
    return node.elts if isinstance(node, ast.List | ast.Tuple | ast.Set) else []


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
