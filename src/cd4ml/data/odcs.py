"""Contracts read from YAML files of the Open Data Contract Standard, 3.0 to 3.2.

What the standard says and cd4ml checks becomes a field or a condition. Rules that cd4ml
cannot check are kept as `unchecked`, so that they are seen; what is no rule (team, price,
servers, ...) is left out of the contract and named.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from cd4ml.data.contract_file import read_text, refuse_unless_possible
from cd4ml.data.odcs_quality import Asked, field_quality, table_quality
from cd4ml.errors import ConfigurationError
from cd4ml.records.contract import Contract, Field, FieldType

if TYPE_CHECKING:
    from open_data_contract_standard.model import (
        OpenDataContractStandard,
        SchemaObject,
        SchemaProperty,
    )

_LOGICAL: dict[str, FieldType] = {
    "string": "string",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "date": "datetime",
    "timestamp": "datetime",
}
_PHYSICAL: tuple[tuple[str, FieldType], ...] = (
    ("(var)?char|text|string|uuid", "string"),
    ("(big|small|tiny)?int|integer|long", "integer"),
    ("float|double|real|decimal|numeric|number", "number"),
    ("bool", "boolean"),
    ("date|timestamp", "datetime"),
)
_USED = {
    "version", "kind", "apiVersion", "id", "name", "status", "description", "schema_",
    "slaProperties", "customProperties",
}  # fmt: skip
_WHOLE = re.compile(r"\^\(\?:(.*)\)\$", re.DOTALL)
_HOURS = {"h": 1.0, "hr": 1.0, "hour": 1.0, "hours": 1.0, "d": 24.0, "day": 24.0, "days": 24.0,
          "m": 1 / 60, "min": 1 / 60, "minute": 1 / 60, "minutes": 1 / 60}  # fmt: skip


class Imported(NamedTuple):
    """A contract, and the parts of its file that are no rules and were left out."""

    contract: Contract
    left_out: tuple[str, ...]


def read_odcs(path: Path) -> Contract:
    """The contract in a YAML file; `path#table` chooses one of several tables.

    Raises:
        ConfigurationError: With file, place and remedy.
    """
    file, _, table = str(path).partition("#")
    return contract_from_odcs(read_text(Path(file)), file, table).contract


def contract_from_odcs(text: str, where: str, table: str = "") -> Imported:
    """The contract that a YAML text states.

    Args:
        text: The whole file.
        where: What to call it in messages.
        table: Which of its tables; the only one by default.

    Raises:
        ConfigurationError: If it is none, or none that rows can keep.
    """
    document = _document(text, where)
    schema = _chosen(document, table, where)
    contract = _contract(document, schema)
    refuse_unless_possible(contract, where)
    left_out = [
        name
        for name in type(document).model_fields
        if name not in _USED and getattr(document, name)
    ]
    return Imported(contract, tuple(left_out))


def standard() -> Any:
    """The module of the standard's model.

    Raises:
        ConfigurationError: If it is not installed.
    """
    try:
        from open_data_contract_standard import model
    except ImportError:
        msg = "contracts of the Open Data Contract Standard need open-data-contract-standard"
        raise ConfigurationError(msg, hint="pip install 'cd4ml[odcs]'") from None
    return model


def _document(text: str, where: str) -> OpenDataContractStandard:
    model = standard()
    import pydantic
    import yaml

    try:
        return model.OpenDataContractStandard.from_string(text)  # type: ignore[no-any-return]
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        line = f" (at line {place.line + 1})" if place else ""
        msg = f"{where}: it is no YAML: {getattr(error, 'problem', error)}{line}"
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(part) for part in first["loc"])
        msg = f"{where}: {first['msg'][:1].lower()}{first['msg'][1:]} - at `{at}`"
    except TypeError:
        msg = f"{where}: expected keys and values, as a data contract has them"
    raise ConfigurationError(msg, hint="docs/contracts.md shows one")


def _chosen(document: OpenDataContractStandard, table: str, where: str) -> SchemaObject:
    found = {str(schema.name): schema for schema in document.schema_ or []}
    if not table and len(found) == 1:
        return next(iter(found.values()))
    if table in found:
        return found[table]
    listed = ", ".join(found) or "none"
    msg = f"{where}: expected one table, got {len(found)}"
    if table:
        msg = f"{where}: it has no table {table!r}"
    first = next(iter(found), "flights")
    raise ConfigurationError(msg, hint=f"it has: {listed}; choose one: {where}#{first}")


def _contract(document: OpenDataContractStandard, schema: SchemaObject) -> Contract:
    properties = schema.properties or []
    known = [(p, kind) for p in properties if (kind := _kind(p)) is not None]
    fields = [_field(p, kind) for p, kind in known]
    keys = sorted((p.primaryKeyPosition or 0, _name(p)) for p, _ in known if p.primaryKey)
    asked = table_quality(schema)
    custom, about = _custom(schema), _custom(document)
    times = {field.name for field, _ in fields if field.type == "datetime"}
    fresh = _fresh(document, schema, str(custom.get("eventTime", "")), times)
    described = document.description.purpose if document.description else None
    return Contract(
        name=str(schema.name),
        version=document.version or "1.0.0",
        description=schema.description or described or "",
        fields=tuple(field for field, _ in fields),
        key=tuple(name for _, name in keys),
        unique=asked.unique,
        event_time=fresh.column,
        arrival_time=str(custom.get("arrivalTime", "")),
        minimum_rows=asked.minimum_rows,
        maximum_rows=asked.maximum_rows,
        fresh_within_hours=fresh.hours,
        conditions=(*(c for _, more in fields for c in more.conditions), *asked.conditions),
        open=bool(custom.get("openColumns", len(known) < len(properties))),
        output=_output(about.get("modelOutput")),
        classes=tuple(str(name) for name in about.get("modelClasses") or []),
        latency_ms=_budget(about.get("latencyMs")),
        size_mb=_budget(about.get("sizeMb")),
        unchecked=(
            *(str(text) for text in custom.get("unchecked") or []),
            *(
                f"{_name(p)} is {p.logicalType or p.physicalType}"
                for p in properties
                if not _kind(p)
            ),
            *(text for _, more in fields for text in more.unchecked),
            *asked.unchecked,
            *fresh.unchecked,
        ),
    )


def _field(said: SchemaProperty, kind: FieldType) -> tuple[Field, Asked]:
    name, options, custom = _name(said), said.logicalTypeOptions or {}, _custom(said)
    asked = field_quality(said, name, kind)
    known = tuple(str(text) for text in custom.get("knownValues") or [])
    is_numeric = kind in ("integer", "number")
    pattern = options.get("pattern")
    field = Field(
        name,
        kind,
        nullable=not (said.required or asked.is_required),
        minimum=_number(options.get("minimum")) if is_numeric else None,
        maximum=_number(options.get("maximum")) if is_numeric else None,
        categories=asked.categories or known,
        open=bool(known) and not asked.categories,
        unit=str(custom.get("unit", "")),
        description=said.description or "",
        pattern=_whole(pattern) if pattern else asked.pattern,
        unique=bool(said.unique or asked.is_unique),
        references=_reference(said),
        finite=bool(custom.get("finite", True)),
        optional=bool(custom.get("optional", False)),
        on_null=_policy(custom, "onNull", "default"),
        on_unknown=_policy(custom, "onUnknown", "default"),
        on_outside=_policy(custom, "onOutside", "clip"),
        default=custom.get("default"),
    )
    return field, asked


def _policy(custom: dict[str, Any], key: str, mends: str) -> Any:
    """What requests are forgiven; refused where this is no word of ours."""
    return custom[key] if custom.get(key) in ("warn", mends) else "refuse"


def _kind(said: SchemaProperty) -> FieldType | None:
    if said.logicalType:
        return _LOGICAL.get(said.logicalType)
    physical = (said.physicalType or "").lower()
    return next((kind for words, kind in _PHYSICAL if re.match(words, physical)), None)


def _name(said: SchemaProperty) -> str:
    return str(said.physicalName or said.name)


def _number(limit: Any) -> float | None:
    return None if limit is None else float(limit)


def _whole(pattern: str) -> str:
    """A pattern that is looked for anywhere, as one that the whole text matches."""
    exported = _WHOLE.fullmatch(pattern)
    if exported:
        return exported[1]
    if (
        pattern.startswith("^")
        and pattern.endswith("$")
        and "|" not in pattern
        and pattern[-2:] != r"\$"
    ):
        return pattern[1:-1]
    return f"(?s:.*)(?:{pattern})(?s:.*)"


def _reference(said: SchemaProperty) -> str:
    targets = [r.to for r in said.relationships or [] if isinstance(r.to, str)]
    return targets[0] if targets and "/" not in targets[0] else ""


class _Fresh(NamedTuple):
    """What a promise of freshness asks; `unchecked` says what cannot be asked."""

    column: str
    hours: float | None = None
    unchecked: tuple[str, ...] = ()


def _fresh(
    document: OpenDataContractStandard, schema: SchemaObject, event_time: str, times: set[str]
) -> _Fresh:
    for promise in document.slaProperties or []:
        table, _, column = (promise.element or "").partition(".")
        if promise.property != "freshness" or table not in ("", schema.name):
            continue
        column, factor = column or event_time, _HOURS.get((promise.unit or "h").lower())
        if column in times and factor and isinstance(promise.value, int | float):
            return _Fresh(column, promise.value * factor)
        said = f"freshness {promise.value} {promise.unit or ''}".strip()
        return _Fresh(event_time, None, (f"{said} of {column}" if column else said,))
    return _Fresh(event_time)


def _output(said: Any) -> Field | None:
    if not isinstance(said, dict):
        return None
    return msgspec.convert(said, Field)


def _budget(said: Any) -> float | None:
    return float(said) if isinstance(said, int | float) else None


def _custom(said: Any) -> dict[str, Any]:
    return {str(p.property): p.value for p in said.customProperties or []}
