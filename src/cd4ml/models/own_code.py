"""Which of a project's own modules a pickled estimator needs: read, and never run."""

from __future__ import annotations

import ast
import pickletools
from collections.abc import Iterator
from pathlib import Path

import msgspec

from cd4ml.errors import InvalidInput
from cd4ml.models.formats import format_of

CODE = "code.json"

_TEXTS = ("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE")


class OwnCode(msgspec.Struct, frozen=True):
    """Modules that travel with a model: path below the project's folder -> text."""

    modules: dict[str, str]


def own_code(data: bytes, folder: Path) -> OwnCode:
    """The project's modules that an estimator's classes are in, with all that these import.

    Args:
        data: The estimator, as it was stored; what is no pickle needs none.
        folder: The project's.

    Raises:
        InvalidInput: If a class is of a program's own `__main__`, which nobody can import, or a
            module is not text in UTF-8.
    """
    if format_of(data) != "pickle":
        return OwnCode({})
    named = named_modules(data)
    if "__main__" in named:
        msg = "the estimator has a class or function of the program that made it, its __main__"
        raise InvalidInput(msg, hint="put it into a module of the project, and import it there")
    found: dict[str, str] = {}
    waiting = sorted(named)
    while waiting:
        for path in _files_of(waiting.pop(), folder):
            if path not in found:
                found[path] = _text(folder / path)
                waiting += imported_by(found[path], path)
    return OwnCode(dict(sorted(found.items())))


def named_modules(data: bytes) -> set[str]:
    """The modules whose classes and functions a pickle names, found without loading it.

    Examples:
        >>> import pickle
        >>> from fractions import Fraction
        >>> named_modules(pickle.dumps(Fraction(1, 3)))
        {'fractions'}
    """
    found: set[str] = set()
    texts: list[str] = []
    memory: list[str] = []
    try:
        for code, argument, _ in pickletools.genops(data):
            if code.name == "GLOBAL":
                found.add(str(argument).partition(" ")[0])
            elif code.name == "STACK_GLOBAL":
                found.update(texts[-2:-1])
            elif code.name == "MEMOIZE":
                memory.append(texts[-1] if texts else "")
            elif code.name in ("BINGET", "LONG_BINGET"):
                texts += memory[int(argument or 0) :][:1]
            elif code.name in _TEXTS:
                texts.append(str(argument))
    except ValueError:  # no pickle, or not only one: loading it says so
        return found
    return found


def imported_by(text: str, path: str) -> list[str]:
    r"""The modules that a module may import, absolutely, wherever in it.

    Examples:
        >>> imported_by("from . import b\nimport c.d", "a/x.py")
        ['a', 'a.b', 'c.d']
    """
    parts = path.removesuffix(".py").split("/")
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise InvalidInput(f"{path}:{error.lineno}: {error.msg}") from None
    return [name for node in ast.walk(tree) for name in _imports(node, parts[:-1])]


def _imports(node: ast.AST, package: list[str]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = package[: len(package) - node.level + 1] if node.level else []
        source = ".".join([*above, *([node.module] if node.module else [])])
        yield from [source] if source else []
        yield from (f"{source}.{alias.name}" if source else alias.name for alias in node.names)


def _files_of(module: str, folder: Path) -> Iterator[str]:
    """The files below a folder that importing a module runs: its packages', and its own."""
    parts = module.split(".")
    for n in range(1, len(parts) + 1):
        place = "/".join(parts[:n])
        for path in (f"{place}/__init__.py", f"{place}.py"):
            if (folder / path).is_file():
                yield path
                break


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError:
        msg = f"{file.name} is no text in UTF-8, so it cannot travel with the model"
        raise InvalidInput(msg, hint="save it as UTF-8") from None
