"""Contracts as TOML files: read, and written so that people can review them."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from cd4ml.data.conditions import refuse_undeclared
from cd4ml.data.references import referenced
from cd4ml.errors import ConfigurationError, InvalidInput
from cd4ml.models.impossible import is_float, refuse_impossible
from cd4ml.records.contract import Condition, Contract, Field, FieldType
from cd4ml.store.choices import named_choices

_MANUAL = "docs/contracts.md lists every key"
_UNKNOWN = re.compile(r"unknown field `(.+?)`")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_WIDTH = 100  # characters of a line


class _FieldTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[field.NAME]`: one column, or the `[output]` of a model."""

    type: FieldType
    name: str = ""
    nullable: bool = False
    minimum: int | float | None = None
    maximum: int | float | None = None
    categories: tuple[str, ...] = ()
    open: bool = False
    unit: str = ""
    description: str = ""
    pattern: str = ""
    unique: bool = False
    references: str = ""
    finite: bool = True
    optional: bool = False
    on_null: Literal["refuse", "warn", "default"] = "refuse"
    on_unknown: Literal["refuse", "warn", "default"] = "refuse"
    on_outside: Literal["refuse", "warn", "clip"] = "refuse"
    default: str | bool | int | float | None = None


class _ConditionTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[condition]]`: what a row, or the table, keeps besides."""

    name: str
    sql: str = ""
    polars: str = ""
    description: str = ""


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    name: str
    version: str = "1.0.0"
    description: str = ""
    key: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    event_time: str = ""
    arrival_time: str = ""
    fresh_within_hours: float | None = None
    minimum_rows: int = 0
    maximum_rows: int | None = None
    open: bool = False
    unchecked: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    latency_ms: float | None = None
    size_mb: float | None = None
    field: dict[str, _FieldTable]
    condition: tuple[_ConditionTable, ...] = ()
    output: _FieldTable | None = None


def read_contract(path: Path) -> Contract:
    """The contract in a TOML file.

    Raises:
        ConfigurationError: With file, place and remedy.
    """
    return contract_from_toml(read_text(path), str(path))


def contract_from_toml(text: str, where: str) -> Contract:
    """The contract that a TOML text states.

    Args:
        text: The whole file.
        where: What to call it in messages.

    Raises:
        ConfigurationError: If it is none, or none that rows can keep.
    """
    try:
        file = msgspec.toml.decode(text, type=_File)
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"{where}: {_reworded(error)}", hint=_remedy(error)) from None
    contract = _contract(file)
    refuse_unless_possible(contract, where)
    return contract


def refuse_unless_possible(contract: Contract, where: str) -> None:
    """Let no contract out of a file that no table can keep.

    Raises:
        ConfigurationError: With the file, and what is wrong.
    """
    try:
        refuse_impossible(contract)
        referenced(contract)
        for condition in contract.conditions:
            refuse_undeclared(condition, contract)
    except InvalidInput as error:
        raise ConfigurationError(f"{where}: {error.message}", hint=error.hint) from None


def read_text(path: Path) -> str:
    """The text of a contract's file.

    Raises:
        ConfigurationError: If there is none, or it is no UTF-8.
    """
    try:
        return path.read_bytes().removeprefix(b"\xef\xbb\xbf").decode()
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise ConfigurationError(msg, hint="correct `contract`, or put the file there") from None
    except UnicodeDecodeError:
        msg = f"{path}: expected UTF-8 text"
        raise ConfigurationError(msg, hint="save the file as UTF-8") from None


def to_toml(contract: Contract, notes: Mapping[str, str] | None = None) -> str:
    """A contract as a file that `read_contract` reads; what is as by default is left out.

    Args:
        contract: To be written.
        notes: Comments to write above fields, by the field's name; "" is above everything.
    """
    notes = notes or {}
    blocks = [
        [*_comment(notes.get("", "")), *_entries(contract, _HEAD)],
        *(
            [
                *_comment(notes.get(field.name, "")),
                f"[field.{_key(field.name)}]",
                *_entries(field, _FIELD),
            ]
            for field in contract.fields
        ),
        *(["[[condition]]", *_entries(c, _CONDITION)] for c in contract.conditions),
    ]
    if contract.output:
        blocks.append(["[output]", *_entries(contract.output, ("name", *_FIELD))])
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


_FIELD = tuple(name for name in _FieldTable.__struct_fields__ if name != "name")
_CONDITION = _ConditionTable.__struct_fields__
_HEAD = tuple(n for n in _File.__struct_fields__ if n not in ("field", "condition", "output"))


def _contract(file: _File) -> Contract:
    head = {name: getattr(file, name) for name in _HEAD}
    fields = tuple(_field(table, name) for name, table in file.field.items())
    conditions = tuple(Condition(**msgspec.structs.asdict(table)) for table in file.condition)
    output = _field(file.output, file.output.name) if file.output else None
    return Contract(**head, fields=fields, conditions=conditions, output=output)


def _field(table: _FieldTable, name: str) -> Field:
    given = msgspec.structs.asdict(table)
    limits = {key: _limit(given[key]) for key in ("minimum", "maximum")}
    return Field(**given | limits | {"name": name})


def _limit(value: float | None) -> float | None:
    """A limit as it is kept; what no float is stays as it is, and is refused with the contract."""
    return float(value) if value is not None and is_float(value) else value


def _entries(record: msgspec.Struct, names: tuple[str, ...]) -> Iterator[str]:
    defaults = {field.name: field.default for field in msgspec.structs.fields(record)}
    for name in names:
        value = getattr(record, name)
        if value != defaults[name]:
            yield f"{name} = {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _string(value)
    items = [_value(item) for item in value]
    line = f"[{', '.join(items)}]"
    if len(line) <= _WIDTH:
        return line
    return "[\n" + "".join(f"    {item},\n" for item in items) + "]"


def _string(text: str) -> str:
    if "\\" in text and "'" not in text and text.isprintable():
        return f"'{text}'"  # a pattern reads better as it is
    return _quoted(text)


def _quoted(text: str) -> str:
    # what JSON escapes, TOML escapes in the same way; DEL is the exception
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _quoted(name)


def _comment(text: str) -> list[str]:
    lines = ("".join(c if c.isprintable() else "?" for c in line) for line in text.splitlines())
    return [f"# {line}".rstrip() for line in lines]


def _reworded(error: msgspec.DecodeError) -> str:
    text = named_choices(str(error), _File)
    return text[:1].lower() + text[1:].replace("`$.", "`")


def _remedy(error: msgspec.DecodeError) -> str:
    unknown = _UNKNOWN.search(str(error))
    names = {*_HEAD, *_FIELD, *_CONDITION, "field", "condition", "output"}
    near = difflib.get_close_matches(unknown[1], sorted(names), n=1) if unknown else []
    return f"did you mean `{near[0]}`? {_MANUAL}" if near else _MANUAL
