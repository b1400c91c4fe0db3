"""Which installed distributions a packaged model needs, and as what they are pinned."""

from __future__ import annotations

import io
import pickle
import re
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cd4ml.errors import ConfigurationError, Refused
from cd4ml.models.carried import PREFIX
from cd4ml.models.graph import Graph
from cd4ml.models.own_code import imported_by
from cd4ml.models.pickled import dumps

SERVED_BY = ("uvicorn",)  # what a container needs besides the model's own requirements
_NAME = re.compile(r"^([A-Za-z0-9._-]+)")
_EXTRA = re.compile(r";.*\bextra\b")
_SERIES = re.compile(r"^\d+(\.\d+)?")

Hashes = Mapping[tuple[str, str], list[str]]  # (name, version) -> "sha256:...", of all its files


def for_compiled() -> tuple[str, ...]:
    """What a compiled model needs: the ONNX Runtime that was tried, or a later one, and NumPy."""
    series = _SERIES.match(metadata.version("onnxruntime"))
    return (f"onnxruntime>={series[0] if series else '1'}", "numpy>=2")


def for_native(estimator: Any, code: Mapping[str, str] = MappingProxyType({})) -> tuple[str, ...]:
    """What an estimator needs, exactly as it is installed here.

    Args:
        estimator: Loaded.
        code: The modules that travel with it, path -> text.

    Raises:
        Refused: If its classes are in modules that no installed distribution brings, or modules
            that travel with it need cd4ml.
    """
    needed = {"numpy", "polars"}
    if isinstance(estimator, Graph):
        modules = {"onnx", "onnxruntime"}
    else:
        modules = modules_of(estimator) | _imported_by(code)
    offered = metadata.packages_distributions()
    for name in sorted(modules - sys.stdlib_module_names):
        if name not in offered:
            msg = f"the estimator has classes of the module {name!r}, which no distribution brings"
            hint = "a wheel takes none of the project's own code: put it into a package, install it"
            raise Refused(msg, hint=hint)
        needed.update(map(normal, offered[name]))
    return tuple(f"{name}=={metadata.version(name)}" for name in sorted(needed))


def _imported_by(code: Mapping[str, str]) -> set[str]:
    """The top-level modules that travelling modules import from elsewhere, where they are here."""
    own = {path.partition("/")[0].removesuffix(".py") for path in code}
    found: set[str] = set()
    for path, text in code.items():
        names = {name.partition(".")[0] for name in imported_by(text, path)}
        if "cd4ml" in names:
            msg = f"the estimator needs the project's module {path}, and that one imports cd4ml"
            hint = "a wheel does without cd4ml: put the class into a module that does not import it"
            raise Refused(msg, hint=hint)
        found |= {name for name in names - own if find_spec(name) is not None}
    return found


def modules_of(estimator: Any) -> set[str]:
    """The top-level modules whose classes and functions an estimator is made of.

    Examples:
        >>> from fractions import Fraction
        >>> modules_of(Fraction(1, 2))
        {'fractions'}
    """
    found: set[str] = set()

    class Recording(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            top = module.partition(".")[0]
            found.update([] if top.startswith(PREFIX) else [top])
            return super().find_class(module, name)

    Recording(io.BytesIO(dumps(estimator))).load()  # what this process itself just pickled
    return found


def locked(roots: Iterable[str], hashes: Hashes) -> list[str]:
    """Every distribution that the roots need, with those, one line each for a requirements file.

    Only what is installed here is there: what others require for an extra, or on other
    machines, is left out.

    Args:
        roots: Names.
        hashes: Of the files of distributions, as far as they are known.

    Raises:
        ConfigurationError: If a root is not installed here.
    """
    wanted = [normal(name) for name in roots]
    for name in wanted:
        if not _is_installed(name):
            msg = f"{name} is not installed here, so its version cannot be locked"
            raise ConfigurationError(msg, hint=f"pip install {name}")
    return [_line(name, metadata.version(name), hashes) for name in sorted(_all_needed(wanted))]


def _all_needed(roots: Iterable[str]) -> set[str]:
    """The roots and everything that they need, as far as it is installed here."""
    found: set[str] = set()
    waiting = [normal(name) for name in roots]
    while waiting:
        name = waiting.pop()
        if name not in found and _is_installed(name):
            found.add(name)
            waiting += _required_by(name)
    return found


def taken_by(module: str, requires: Iterable[str]) -> str:
    """Whose name a module has: Python's own library or a distribution that is needed; "" if it is free.

    Args:
        module: As it would be imported.
        requires: As PEP 508 writes them; what these need counts, too.

    Examples:
        >>> taken_by("json", ()), taken_by("numpy", ("numpy>=2",)), taken_by("delay", ())
        ("Python's own library", 'the distribution numpy, which it needs', '')
    """
    if module in sys.stdlib_module_names:
        return "Python's own library"
    needed = {"cd4ml", *_all_needed(_root(each) for each in requires)}
    offered = {*map(normal, metadata.packages_distributions().get(module, ())), normal(module)}
    found = sorted(offered & needed)
    return f"the distribution {found[0]}, which it needs" if found else ""


def _root(required: str) -> str:
    found = _NAME.match(required)
    return found[1] if found else required


def own_locks() -> tuple[Path, ...]:
    """The lock of cd4ml's own dependencies: installed with it, or in its repository."""
    package = Path(__file__).parents[2]
    places = (package / "_locked" / "base.txt", package.parents[1] / "requirements" / "base.txt")
    return tuple(path for path in places if path.is_file())


def normal(name: str) -> str:
    """The one form of a distribution's name (PEP 503).

    Examples:
        >>> normal("Scikit_Learn")
        'scikit-learn'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _required_by(name: str) -> list[str]:
    required = metadata.requires(name) or []
    names = [_NAME.match(each) for each in required if not _EXTRA.search(each)]
    return [normal(found[1]) for found in names if found]


def _line(name: str, version: str, hashes: Hashes) -> str:
    known = sorted(hashes.get((name, version), []))
    return " \\\n    ".join([f"{name}=={version}", *(f"--hash={each}" for each in known)])
