"""What a packaged model is made of: its files, the code that answers, and what that needs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from importlib.resources import files
from keyword import iskeyword
from typing import NamedTuple

import msgspec

from cd4ml.errors import InvalidInput
from cd4ml.models.explain.taken_along import taken_along
from cd4ml.models.fitted import fitted_in
from cd4ml.models.formats import FILES
from cd4ml.models.manifest import COMPILED, CONTRACT, EXPLAINER, PROBES, Manifest
from cd4ml.models.own_code import CODE, OwnCode
from cd4ml.records.contract import Contract
from cd4ml.records.model_version import ModelVersion
from cd4ml.serving.packaging.embedded.model import RECIPE
from cd4ml.serving.packaging.requirements import (
    SERVED_BY,
    for_compiled,
    for_native,
    normal,
    taken_by,
)
from cd4ml.serving.packaging.typed import module, stub
from cd4ml.store.blobs import Blobs

_DISTRIBUTION = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
_RECORDS = "from cd4ml.records.contract"
_OF_MODELS = ("violations", "texts", "leniency", "encoding", "plain", "complaints")
_OF_EXPLAIN = ("adding", "mixtures", "tree_paths")
_OF_SERVER = ("server", "forms", "lines", "given_wheel")
_EMBEDDED = "cd4ml.serving.packaging.embedded"


class Contents(NamedTuple):
    """A model version as files of a Python package, and what it requires.

    `files` are by their path within the wheel; `requires` are as PEP 508 writes them.
    """

    distribution: str
    module: str
    version: str
    contract: Contract
    files: dict[str, bytes]
    requires: tuple[str, ...]
    is_compiled: bool


def distribution_of(model: str, name: str = "") -> str:
    """What a model's wheel is installed as.

    Raises:
        InvalidInput: If that is no name for a distribution whose module Python can import.

    Examples:
        >>> distribution_of("delay"), distribution_of("delay", "Late_Flights")
        ('delay-model', 'late-flights')
        >>> distribution_of("delay", "late flights")
        Traceback (most recent call last):
        cd4ml.errors.InvalidInput: expected a name of letters, digits and '-', got 'late flights'
          hint: name it: --name delay-model
    """
    wanted = normal(name) if name else f"{re.sub('[^a-z0-9]+', '-', model.lower())}-model"
    found = wanted if name else wanted.strip("-")
    if not _DISTRIBUTION.fullmatch(found) or iskeyword(found):
        msg = f"expected a name of letters, digits and '-', got {name or found!r}"
        raise InvalidInput(msg, hint="name it: --name delay-model")
    return found


def contents_of(blobs: Blobs, version: ModelVersion, *, name: str = "") -> Contents:
    """The package of a version. Its model has been loaded here, so its pickle may be.

    Args:
        blobs: Where its parts are.
        version: A packaged one.
        name: What it is installed as; by default the model's name with "-model".

    Raises:
        InvalidInput: If it is no name, or that of a module which the model needs.
        Refused: If the estimator needs code that no distribution brings.
    """
    distribution = distribution_of(version.model, name)
    manifest = blobs.get_record(version.artifact, Manifest)
    contract = blobs.get_record(manifest.files[CONTRACT], Contract)
    is_compiled = manifest.kind == "onnx"
    data = _data(blobs, manifest, contract)
    requires = for_compiled() if is_compiled else _for_native(blobs, manifest)
    if name:
        _refuse_taken(distribution, requires, version.model)
    package, scorer = distribution.replace("-", "_"), "compiled" if is_compiled else "native"
    init = module(
        contract,
        model=version.model,
        number=version.number,
        artifact=version.artifact,
        digests={path: hashlib.sha256(content).hexdigest() for path, content in data.items()},
        tolerance=manifest.parity.tolerance,
        packaged_with=", ".join(f"{k} {v}" for k, v in manifest.libraries.items()),
        scorer=scorer,
    )
    code = {
        "__init__.py": init,
        "__init__.pyi": stub(contract, model=version.model, number=version.number),
        "py.typed": "",
        "_errors.py": _source("cd4ml", "errors", package),
        **{f"_{n}.py": _source("cd4ml.models", n, package) for n in _OF_MODELS},
        **{f"_{n}.py": _source("cd4ml.models.explain", n, package) for n in _OF_EXPLAIN},
        **{f"_{n}.py": _source(_EMBEDDED, n, package) for n in ("model", "explaining", "struct")},
        **{f"_{name}.py": _source(_EMBEDDED, name, package) for name in (scorer, *_OF_SERVER)},
        **_needed(manifest, package),
        "__main__.py": f"from {package}._server import main\n\nmain({package!r})\n",
    }
    return Contents(
        distribution=distribution,
        module=package,
        version=str(version.number),
        contract=contract,
        files={
            f"{package}/{path}": content
            for path, content in (data | {k: v.encode() for k, v in code.items()}).items()
        },
        requires=requires,
        is_compiled=is_compiled,
    )


def _refuse_taken(distribution: str, requires: Iterable[str], model: str) -> None:
    owner = taken_by(distribution.replace("-", "_"), (*requires, *SERVED_BY))
    if owner:
        msg = f"the name {distribution!r} is that of {owner}: the model would take its place"
        raise InvalidInput(msg, hint=f"name it: --name {distribution_of(model)}")


def _data(blobs: Blobs, manifest: Manifest, contract: Contract) -> dict[str, bytes]:
    found = {
        CONTRACT: msgspec.json.encode(msgspec.to_builtins(contract)),
        PROBES: blobs.get(manifest.files[PROBES]),
    }
    if EXPLAINER in manifest.files and (
        recipe := taken_along(blobs.get(manifest.files[EXPLAINER]))
    ):
        found[RECIPE] = recipe
    if manifest.kind == "onnx":
        return found | {COMPILED: blobs.get(manifest.files[COMPILED])}
    names = [name for name in (manifest.estimator_file, CODE) if name in manifest.files]
    return found | {name: blobs.get(manifest.files[name]) for name in names}


def _needed(manifest: Manifest, module: str) -> dict[str, str]:
    """The modules of cd4ml that open the model's own estimator in the wheel."""
    if manifest.kind == "onnx":
        return {}
    names = ["boosters", "estimator_answers"]
    names += ["graph"] if manifest.estimator_file == FILES["onnx"] else []
    names += ["carried"] if CODE in manifest.files else []
    return {f"_{name}.py": _source("cd4ml.models", name, module) for name in names}


def _for_native(blobs: Blobs, manifest: Manifest) -> tuple[str, ...]:
    code = blobs.get_record(manifest.files[CODE], OwnCode) if CODE in manifest.files else None
    fitted = fitted_in(blobs, manifest, is_trusted=lambda address: True)  # it was loaded before
    return for_native(fitted, code.modules if code else {})


def _source(package: str, name: str, module: str) -> str:
    """A module's text with the names that its neighbours have in the wheel."""
    text = files(package).joinpath(f"{name}.py").read_text("utf-8")
    for name in ("Field", "Contract"):  # which only type checkers read
        text = text.replace(f"{_RECORDS} import {name}\n", f"from typing import Any as {name}\n")
    text = text.replace("import msgspec\n", f"from {module} import _struct as msgspec\n")
    text = text.replace("from cd4ml.errors import", f"from {module}._errors import")
    folders = "|".join(map(re.escape, (_EMBEDDED, "cd4ml.models.explain", "cd4ml.models")))
    return re.sub(rf"({folders})\.(\w+)", rf"{module}._\2", text)
