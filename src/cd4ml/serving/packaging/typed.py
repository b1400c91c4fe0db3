"""The Python that a contract becomes: a row's type, and the module that answers it."""

from __future__ import annotations

from collections.abc import Mapping
from pprint import pformat

from cd4ml.models.violations import expected_of, is_closed
from cd4ml.records.contract import Contract, Field

_TYPES = {
    "integer": "int",
    "number": "float",
    "string": "str",
    "boolean": "bool",
    "datetime": "str | datetime",
}
_NAMES = (
    "ARTIFACT ContractViolated ContractWarning Contribution Damaged Explained MODEL ModelFailed"
    " NUMBER Row Violation Warned __version__ contract predict predict_many warnings_of"
)
_ALL = sorted(_NAMES.split())


def row_type(contract: Contract) -> str:
    r"""The statement that makes `Row`, a TypedDict, with what each field takes as a comment.

    Examples:
        >>> hour = Field("hour", "integer", minimum=0, maximum=23)
        >>> gate = Field("gate no", "string", nullable=True, optional=True)
        >>> print(row_type(Contract(name="delay", fields=(hour, gate))))
        Row = TypedDict(
            "Row",
            {
                # an integer from 0 to 23
                'hour': int,
                # a string of Unicode characters other than NUL, or null
                'gate no': NotRequired[str | None],
            },
        )
    """
    lines = []
    for field in contract.fields:
        said = [expected_of(field), *field.description.splitlines()]
        lines += [f"        # {' '.join(line.split())}" for line in said if line.strip()]
        lines.append(f"        {field.name!r}: {_annotation(field)},")
    return "\n".join(["Row = TypedDict(", '    "Row",', "    {", *lines, "    },", ")"])


def module(
    contract: Contract,
    *,
    model: str,
    number: int,
    artifact: str,
    digests: Mapping[str, str],
    tolerance: float,
    packaged_with: str,
    scorer: str,
) -> str:
    """The text of the module's `__init__.py`.

    Args:
        contract: Of its rows.
        model: The model's name.
        number: Of its version.
        artifact: The model's content address.
        digests: File -> SHA-256.
        tolerance: See `embedded.model.Model`.
        packaged_with: See there.
        scorer: The module that answers, `compiled` or `native`.
    """
    ref = f"{model}/{number}"
    return f'''\
{_docstring(ref)}

from datetime import datetime
from pathlib import Path as _Path
from typing import Any, Literal, NotRequired, TypedDict

from ._explaining import Contribution, Explained
from ._leniency import ContractWarning, Warned
from ._model import ContractViolated, Damaged, ModelFailed, Violation
from ._model import Model as _Model
from ._{scorer} import open_scorer as _open_scorer

__version__ = {str(number)!r}
__all__ = {_ALL!r}

MODEL = {model!r}
NUMBER = {number}
ARTIFACT = {artifact!r}

{row_type(contract)}

_model = _Model(
    _Path(__file__).parent,
    ref={ref!r},
    digests={pformat(dict(sorted(digests.items())), indent=4)},
    tolerance={tolerance!r},
    packaged_with={packaged_with!r},
    open_scorer=_open_scorer,
)
predict = _model.predict
predict_many = _model.predict_many
warnings_of = _model.warnings_of


def contract() -> dict[str, Any]:
    """What rows must keep, as plain data."""
    return _model.contract
'''


def stub(contract: Contract, *, model: str, number: int) -> str:
    """The text of its `__init__.pyi`: what type checkers and editors see."""
    return f'''\
{_docstring(f"{model}/{number}")}

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, NotRequired, TypedDict, overload

__version__: Final[str]
MODEL: Final[str]
NUMBER: Final[int]
ARTIFACT: Final[str]

{row_type(contract)}

class Violation:
    """One field of one row that does not keep the contract."""

    field: str
    path: str
    expected: str
    got: str

class ContractViolated(ValueError):
    """Rows that do not keep the contract; `violations` has what is wrong, at most 100 of it."""

    violations: tuple[Violation, ...]

class ContractWarning(UserWarning):
    """Values that are amiss were scored: as they are, clipped, or as the contract's default."""

class Warned:
    """One value of one row that is amiss and was scored nevertheless, as `scored`."""

    row: int
    field: str
    kind: Literal["null", "unknown", "outside"]
    expected: str
    got: str
    scored: str

class ModelFailed(RuntimeError):
    """The model could not answer a row that keeps its contract: `message`, and the `reason`."""

    message: str
    reason: str

class Damaged(RuntimeError):
    """A file of the model is not what was packaged, or other libraries answer otherwise."""

class Contribution:
    """What one field of a row adds to the raw answer."""

    field: str
    value: Any
    amount: float

class Explained:
    """An answer taken apart: `base` and all amounts add up to `raw`, of which it is a function."""

    answer: float
    raw: float
    base: float
    unit: str
    method: str
    contributions: tuple[Contribution, ...]

@overload
def predict(row: Row, *, contributions: Literal[False] = False) -> float:
    """The answer to one row: {_meaning(contract)}."""

@overload
def predict(row: Row, *, contributions: Literal[True]) -> Explained:
    """The answer to one row, and what each field added to it."""

@overload
def predict_many(rows: Sequence[Row], *, contributions: Literal[False] = False) -> list[float]:
    """The answer to each row; raises as `predict` does."""

@overload
def predict_many(rows: Sequence[Row], *, contributions: Literal[True]) -> list[Explained]:
    """The answer to each row, and what each field added to it."""

def warnings_of(rows: Sequence[Row]) -> list[Warned]:
    """What the contract forgives in rows that `predict_many` answers, at most 100 of it."""

def contract() -> dict[str, Any]:
    """What rows must keep, as plain data."""
'''


def _docstring(ref: str) -> str:
    return f'"""The model {_plain(ref)}: `predict(row)` answers a row that keeps its contract."""'


def _meaning(contract: Contract) -> str:
    output = contract.output
    if output is None:
        return "the probability of the second class, or the predicted value"
    said = f", {output.description}" if output.description else ""
    return _plain(f"{output.name}, {expected_of(output)}{said}".rstrip("."))


def _plain(text: str) -> str:
    """Words of people that stand in a docstring: they end nothing, and escape nothing."""
    return " ".join(text.split()).replace("\\", "/").replace('"', "'")


def _annotation(field: Field) -> str:
    listed = ", ".join(map(repr, field.categories))
    is_listed = is_closed(field) and field.on_unknown == "refuse"
    annotation = f"Literal[{listed}]" if is_listed else _TYPES[field.type]
    if field.nullable or field.on_null != "refuse":
        annotation = f"{annotation} | None"
    return f"NotRequired[{annotation}]" if field.optional else annotation
