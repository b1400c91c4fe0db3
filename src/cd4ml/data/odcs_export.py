"""Contracts written as YAML of the Open Data Contract Standard 3.1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from cd4ml.data.conditions import parsed
from cd4ml.data.odcs import standard
from cd4ml.data.odcs_quality import ENGINE
from cd4ml.records.contract import Condition, Contract, Field, FieldType

if TYPE_CHECKING:
    import polars as pl
    from open_data_contract_standard.model import OpenDataContractStandard

_API_VERSION = "v3.1.0"
_LOGICAL = {"datetime": "timestamp"}  # the others have the same name


def to_odcs(contract: Contract) -> str:
    """A contract as an open data contract; what the standard has no word for is custom.

    `contract_from_odcs` reads it back as the same contract.

    Raises:
        ConfigurationError: If the standard's package is not installed.
    """
    document = standard().OpenDataContractStandard(
        apiVersion=_API_VERSION,
        kind="DataContract",
        id=contract.name,
        name=contract.name,
        version=contract.version,
        status="active",
        schema=[_schema(contract)],
        slaProperties=_promises(contract) or None,
        customProperties=_custom(
            modelOutput=_plain(contract.output),
            modelClasses=list(contract.classes),
            latencyMs=contract.latency_ms,
            sizeMb=contract.size_mb,
        )
        or None,
    )
    return _yaml(document)


def _yaml(document: OpenDataContractStandard) -> str:
    import yaml

    text = str(document.to_yaml())
    if type(document).from_string(text) == document:
        return text
    # the writer leaves some line breaks of Unicode as they are, which are then read as spaces
    said = document.model_dump(exclude_defaults=True, exclude_none=True, by_alias=True)
    return str(yaml.safe_dump(said, sort_keys=False, allow_unicode=False))


def _schema(contract: Contract) -> dict[str, Any]:
    places = {name: place for place, name in enumerate(contract.key, start=1)}
    found = {
        "name": contract.name,
        "logicalType": "object",
        "physicalType": "table",
        "description": contract.description,
        "properties": [_property(field, places.get(field.name)) for field in contract.fields],
        "quality": [
            *_rows(contract),
            *(_duplicates(names) for names in contract.unique),
            *(_condition(contract, condition) for condition in contract.conditions),
        ],
        "customProperties": _custom(
            eventTime=contract.event_time,
            arrivalTime=contract.arrival_time,
            openColumns=contract.open or None,
            unchecked=list(contract.unchecked),
        ),
    }
    return _filled(found)


def _property(field: Field, place: int | None) -> dict[str, Any]:
    pattern = f"^(?:{field.pattern})$" if field.pattern else None
    options = {
        "minimum": _short(field.minimum),
        "maximum": _short(field.maximum),
        "pattern": pattern,
    }
    is_closed = bool(field.categories) and not field.open
    found = {
        "name": field.name,
        "logicalType": _LOGICAL.get(field.type, field.type),
        "description": field.description,
        "required": not field.nullable or None,
        "unique": field.unique or None,
        "primaryKey": True if place else None,
        "primaryKeyPosition": place,
        "logicalTypeOptions": _filled(options),
        "quality": [_categories(field)] if is_closed else [],
        "relationships": [{"type": "foreignKey", "to": field.references}]
        if field.references
        else [],
        "customProperties": _custom(
            unit=field.unit,
            knownValues=[] if is_closed else list(field.categories),
            finite=None if field.finite else False,
            optional=field.optional or None,
            onNull=_policy(field.on_null),
            onUnknown=_policy(field.on_unknown),
            onOutside=_policy(field.on_outside),
            default=field.default,
        ),
    }
    return _filled(found)


def _policy(policy: str) -> str | None:
    return None if policy == "refuse" else policy


def _categories(field: Field) -> dict[str, Any]:
    arguments = {"validValues": list(field.categories)}
    return {"type": "library", "metric": "invalidValues", "arguments": arguments, "mustBe": 0}


def _duplicates(names: tuple[str, ...]) -> dict[str, Any]:
    arguments = {"properties": list(names)}
    return {"type": "library", "metric": "duplicateValues", "arguments": arguments, "mustBe": 0}


def _rows(contract: Contract) -> list[dict[str, Any]]:
    least, most = contract.minimum_rows, contract.maximum_rows
    rules = [("mustBeGreaterOrEqualTo", least or None), ("mustBeLessOrEqualTo", most)]
    return [
        {"type": "library", "metric": "rowCount", name: limit}
        for name, limit in rules
        if limit is not None
    ]


def _condition(contract: Contract, condition: Condition) -> dict[str, Any]:
    said = _filled({"name": condition.name, "description": condition.description})
    if condition.polars:
        implementation = {"polars": condition.polars}
        return {**said, "type": "custom", "engine": ENGINE, "implementation": implementation}
    if _is_of_table(contract, condition):
        return {
            **said,
            "type": "sql",
            "query": f"SELECT {condition.sql} FROM ${{object}}",
            "mustBe": True,
        }
    query = f"SELECT COUNT(*) FROM ${{object}} WHERE NOT ({condition.sql})"
    return {**said, "type": "sql", "query": query, "mustBe": 0}


def _is_of_table(contract: Contract, condition: Condition) -> bool:
    import polars as pl

    types: dict[FieldType, pl.DataType] = {
        "integer": pl.Int64(),
        "number": pl.Float64(),
        "string": pl.String(),
        "boolean": pl.Boolean(),
        "datetime": pl.Datetime("us", "UTC"),
    }
    schema = {field.name: types[field.type] for field in contract.fields}
    table = pl.DataFrame({name: [None, None] for name in schema}, schema=schema)
    try:
        return table.select(kept=parsed(condition, contract.name)).height == 1
    except pl.exceptions.PolarsError:
        return False  # it says so when it is checked


def _promises(contract: Contract) -> list[dict[str, Any]]:
    hours = contract.fresh_within_hours
    if hours is None:
        return []
    element = f"{contract.name}.{contract.event_time}"
    return [{"property": "freshness", "value": hours, "unit": "h", "element": element}]


def _custom(**values: Any) -> list[dict[str, Any]]:
    return [
        {"property": name, "value": value}
        for name, value in values.items()
        if value is not None and value not in ("", [])
    ]


def _short(limit: float | None) -> float | int | None:
    return int(limit) if limit is not None and float(limit).is_integer() else limit


def _plain(output: Field | None) -> dict[str, Any] | None:
    if output is None:
        return None
    defaults = {field.name: field.default for field in msgspec.structs.fields(output)}
    said = msgspec.to_builtins(output)
    return {k: v for k, v in said.items() if v != defaults[k] and v not in ([], None)}


def _filled(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "", [], {})}
