"""MLflow's model folders: what the file `MLmodel` in them says, and how one is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from cd4ml.errors import InvalidInput
from cd4ml.records.contract import Contract, Field, FieldType

FILE = "MLmodel"

_KINDS: dict[str, FieldType] = {
    "boolean": "boolean",
    "integer": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "string": "string",
    "datetime": "datetime",
}
_SPOKEN: dict[FieldType, str] = {
    "boolean": "boolean",
    "integer": "long",
    "number": "double",
    "string": "string",
    "datetime": "datetime",
}
_PICKLES = ("pickle", "cloudpickle")
_LOADER = "cd4ml_answers"
_FLAVORS = ("lightgbm", "xgboost", "onnx", "sklearn")
_BOOSTER = "lightgbm.basic.Booster"
PICKLE = "model.pkl"


class ModelFile(msgspec.Struct, frozen=True, kw_only=True):
    """What cd4ml reads of an `MLmodel` file; the rest is kept and not looked at."""

    flavors: dict[str, dict[str, Any]] = {}
    signature: dict[str, Any] | None = None
    saved_input_example_info: dict[str, Any] | None = None
    run_id: str | None = None
    model_id: str | None = None
    mlflow_version: str | None = None

    @property
    def estimator(self) -> str:
        """The path of what answers without MLflow; "" if nothing does.

        That is a model in the format of LightGBM, XGBoost or ONNX, or a pickled scikit-learn
        estimator; skops and other formats are none: cd4ml does not load them.
        """
        kept = (path for path in map(self._kept_as, _FLAVORS) if path)
        return next(kept, self._written_by_us)

    def _kept_as(self, name: str) -> str:
        flavor = self.flavors.get(name, {})
        is_pickle = flavor.get("serialization_format", "pickle") in _PICKLES
        if name == "sklearn":
            return str(flavor.get("pickled_model", "")) if is_pickle else ""
        is_own = flavor.get("model_class", _BOOSTER) == _BOOSTER or is_pickle
        is_known = flavor.get("model_format", "ubj") in ("ubj", "json")
        return str(flavor.get("data", "")) if is_own and is_known else ""

    @property
    def _written_by_us(self) -> str:
        pyfunc = self.flavors.get("python_function", {})
        return PICKLE if pyfunc.get("loader_module") == _LOADER else ""

    @property
    def example(self) -> str:
        """The path of the input example; "" if there is none."""
        return str((self.saved_input_example_info or {}).get("artifact_path", ""))

    def contract(self, name: str) -> Contract | None:
        """The contract that the signature makes; None if it has no named columns.

        What a signature says of a column is its type and whether it may be missing.
        """
        columns = json.loads(str((self.signature or {}).get("inputs") or "[]"))
        if not isinstance(columns, list) or not all("name" in column for column in columns):
            return None
        fields = tuple(_field(column) for column in columns)
        return Contract(name=name, fields=fields) if fields else None


def read_model_file(text: bytes | str, place: str) -> ModelFile:
    """What an `MLmodel` file says.

    Args:
        text: The file's.
        place: Where it lies, for people.

    Raises:
        InvalidInput: If it is no such file.
    """
    import yaml

    try:
        return msgspec.convert(yaml.safe_load(text), ModelFile)
    except (yaml.YAMLError, msgspec.ValidationError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InvalidInput(f"{place} is no MLmodel file: {reason}") from None


def model_file(
    contract: Contract,
    *,
    python: str,
    libraries: Mapping[str, str],
    facts: Mapping[str, Any],
    n_bytes: int,
    made_at: str,
    is_sklearn: bool,
) -> dict[str, bytes]:
    """The text files of a folder that `mlflow.pyfunc.load_model` loads; `model.pkl` lies beside.

    The file `MLmodel` is YAML, written as JSON, which is the same to every reader.

    Args:
        contract: What its requests must keep: becomes the signature.
        python: The version of Python it was made with.
        libraries: Distribution -> version, as the model was packaged with.
        facts: What to say of its origin; goes into the metadata.
        n_bytes: The size of the estimator.
        made_at: When the version was made, in ISO 8601.
        is_sklearn: Whether the estimator needs nothing but scikit-learn, so that
            `mlflow.sklearn.load_model` loads it too.

    Returns:
        Path -> content.
    """
    file = {
        "flavors": _flavors(python, libraries, is_sklearn=is_sklearn),
        "signature": _signature_of(contract),
        "metadata": dict(facts),
        "model_size_bytes": n_bytes,
        "utc_time_created": made_at,
    }
    return {
        FILE: _written(file),
        "contract.json": msgspec.json.encode(contract),
        f"code/{_LOADER}.py": _loader(),
        **_environment(python, libraries),
    }


def _flavors(python: str, libraries: Mapping[str, str], *, is_sklearn: bool) -> dict[str, Any]:
    """How it can be loaded: as a function of tables, and as what scikit-learn fitted."""
    flavors: dict[str, Any] = {
        "python_function": {
            "loader_module": _LOADER,
            "code": "code",
            "data": ".",
            "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
            "python_version": python,
        }
    }
    if is_sklearn:
        flavors["sklearn"] = {
            "pickled_model": "model.pkl",
            "serialization_format": "pickle",
            "sklearn_version": libraries.get("scikit-learn", ""),
            "code": "code",
        }
    return flavors


def _signature_of(contract: Contract) -> dict[str, Any]:
    answer = {"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1]}}
    return {
        "inputs": json.dumps([_column(field) for field in contract.fields]),
        "outputs": json.dumps([answer]),
        "params": None,
    }


def _environment(python: str, libraries: Mapping[str, str]) -> dict[str, bytes]:
    """The files from which MLflow makes an environment for the model."""
    needed = [f"{name}=={version}" for name, version in sorted(libraries.items())]
    virtualenv = {
        "python": python,
        "build_dependencies": ["pip"],
        "dependencies": ["-r requirements.txt"],
    }
    conda = {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", {"pip": ["mlflow", *needed]}],
    }
    return {
        "requirements.txt": "".join(f"{line}\n" for line in needed).encode(),
        "python_env.yaml": _written(virtualenv),
        "conda.yaml": _written(conda),
    }


def _loader() -> bytes:
    from importlib.resources import files

    return files("cd4ml.engines.mlflow").joinpath("pyfunc_loader.py").read_bytes()


def _written(value: object) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n"


def _field(column: Mapping[str, Any]) -> Field:
    kind = _KINDS.get(str(column.get("type", "")))
    if kind is None:
        msg = f"the column {column.get('name')!r} has the type {column.get('type')!r}"
        raise InvalidInput(msg, hint=f"a request carries {', '.join(_KINDS)}")
    return Field(str(column["name"]), kind, nullable=not column.get("required", True))


def _column(field: Field) -> dict[str, Any]:
    # a missing integer is NaN to pandas, and so a float
    is_float = field.type == "integer" and field.nullable
    kind = "double" if is_float else _SPOKEN[field.type]
    return {"type": kind, "name": field.name, "required": not field.nullable}
