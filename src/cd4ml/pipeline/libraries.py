"""Loading what a pipeline imports before the pipeline itself is looked at.

Only libraries: a project's own modules are imported once it is known what they hold. So this
may begin while nothing else is ready, and what it does can be wrong in no other way than in vain.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def load_libraries(folder: Path, module: str) -> None:
    """Import what a module of a project imports at its top, as far as it is not the project's.

    Args:
        folder: The project's.
        module: The name of its module; nothing happens if there is none, or it cannot be read.
    """
    with suppress(OSError, SyntaxError, ValueError, RecursionError):
        for name in libraries_in(_source(folder, module), folder):
            with suppress(Exception, SystemExit):  # importing the pipeline says what is wrong
                importlib.import_module(name)


def libraries_in(source: str, folder: Path) -> list[str]:
    r"""The modules that Python source imports at its top and that are not below the folder.

    Examples:
        >>> source = "import polars as pl\nfrom sklearn.metrics import auc\nfrom . import steps"
        >>> libraries_in(source, Path("/nowhere"))
        ['polars', 'sklearn.metrics']
    """
    names = dict.fromkeys(name for each in ast.parse(source).body for name in _imported(each))
    return [name for name in names if not _is_own(name.partition(".")[0], folder)]


def _imported(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.Import):
        yield from (alias.name for alias in statement.names)
    elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
        yield statement.module


def _is_own(top_level: str, folder: Path) -> bool:
    return any((folder / name).exists() for name in (top_level, f"{top_level}.py"))


def _source(folder: Path, module: str) -> str:
    stem = folder.joinpath(*module.split("."))
    package = stem / "__init__.py"
    return (package if package.is_file() else stem.with_name(f"{stem.name}.py")).read_text()
