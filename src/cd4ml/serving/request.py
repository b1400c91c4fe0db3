"""From the bytes of a request to rows that keep the contract, or every reason why not.

Bodies are read by compiled msgspec decoders. Only a body that these refuse, or that has
something they cannot see, is read a second time, slowly, to say all that is wrong with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from cd4ml.errors import Cd4mlError
from cd4ml.models.contract import CompiledContract
from cd4ml.models.leniency import Warned, is_lenient, warned_of
from cd4ml.models.violations import (
    Violation,
    forgiven,
    integers_in,
    is_moment,
    limits_of,
    printable,
    shown,
)
from cd4ml.records.contract import Field

MAX_ROWS = 1000
MAX_BYTES = 10 * 2**20

EXPLAIN_KEY = b'"explain"'

LISTED = 100  # violations in one answer

_LARGE = 2**18  # bytes
_BROAD = 20_000  # names in one object, which no contract has fields for

Row = Any  # an instance of CompiledContract.row


class RequestRefused(Cd4mlError):
    """A request that is not answered, with the HTTP status that says why."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        hint: str,
        violations: tuple[Violation, ...] = (),
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.violations = violations


class RequestReader:
    """Reads request bodies under one contract. Immutable, safe to share between threads.

    A body is `{"rows": [{...}, ...]}` or one row by itself.
    """

    def __init__(self, compiled: CompiledContract) -> None:
        self._compiled = compiled
        row = compiled.row
        rows = msgspec.defstruct("Rows", [("rows", list[row])], forbid_unknown_fields=True)  # type: ignore[valid-type]
        self._read_one = msgspec.json.Decoder(row).decode
        self._read_rows = msgspec.json.Decoder(rows).decode
        fields = compiled.contract.fields
        texts = [field.name for field in fields if field.type in ("string", "datetime")]
        times = [field.name for field in fields if field.type == "datetime"]
        self._texts = compiled.getter(texts) if texts else None
        self._times = compiled.getter(times) if times else None
        self._colons = sum(map(_colons_of, compiled.contract.names))
        self._open = [
            (field.name, attribute, frozenset(field.categories))
            for attribute, field in zip(row.__struct_fields__, fields, strict=True)
            if field.open and field.categories
        ]
        self._lenient = [
            (field, attribute, _untroubled(field))
            for attribute, field in zip(row.__struct_fields__, fields, strict=True)
            if is_lenient(field)
        ]
        self._optional = [
            (attribute, _colons_of(field.name))
            for attribute, field in zip(row.__struct_fields__, fields, strict=True)
            if field.optional
        ]

    def read(self, body: bytes) -> list[Row]:
        """The rows of a body, at least one.

        Raises:
            RequestRefused: With all violations of all rows, if it is not as the contract says.
        """
        rows = self._quickly(body)
        return self._slowly(body) if rows is None else rows

    def take(self, rows: Any, path: str) -> list[Row]:
        """Rows that another protocol has read into plain values.

        Args:
            rows: A list of objects, if all is well.
            path: Where in the request they are.

        Raises:
            RequestRefused: With all violations of all rows, if one is not as the contract says.
        """
        if not isinstance(rows, list) or not rows:
            got = "none" if rows == [] else _kind(rows)
            found = [Violation("rows", path, "a list of at least one row", got)]
            raise refused(self._compiled.contract.name, found)
        refuse_too_many(len(rows))
        found = []
        for i, row in enumerate(rows):
            self._take_integers(row)
            found += _repeated(row, f"{path}[{i}]")
            found += self._compiled.check(row, f"{path}[{i}]")
        if found:
            raise refused(self._compiled.contract.name, found)
        taken: list[Row] = msgspec.convert(rows, list[self._compiled.row])  # type: ignore[name-defined]
        return taken

    def unknown_categories(self, rows: Sequence[Row]) -> list[str]:
        """The field of each string outside its list, where the contract leaves the list open."""
        return [
            name
            for name, attribute, known in self._open
            for row in rows
            if (text := getattr(row, attribute)) and text not in known
        ]

    def asks_to_explain(self, body: bytes) -> bool:
        """Whether a body that was read says `"explain": true` beside its rows."""
        content = parsed(body)
        rows, _ = self._rows_in(content)
        return rows[0] is not content and content.get("explain") is True

    def warned(self, rows: list[Row]) -> list[Warned]:
        """What the contract forgives in these rows, in their order."""
        if not self._lenient:
            return []
        found = []
        for i, row in enumerate(rows):
            for field, attribute, is_well in self._lenient:
                value = getattr(row, attribute)
                if is_well(value):
                    continue
                value = None if value is msgspec.UNSET else value
                if (kind := forgiven(field, value)) is not None:
                    found.append(warned_of(i, field, value, kind))
        return found

    def _quickly(self, body: bytes) -> list[Row] | None:
        is_list = body.startswith(b'{"rows"')
        try:
            rows = self._read_rows(body).rows if is_list else [self._read_one(body)]  # type: ignore[attr-defined]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if not 1 <= len(rows) <= MAX_ROWS or not self._has_each_name_once(body, rows, is_list):
            return None
        if self._times and not all(
            is_moment(t) for row in rows for t in self._times(row) if t is not None
        ):
            return None
        return rows

    def _has_each_name_once(self, body: bytes, rows: list[Row], is_list: bool) -> bool:
        # msgspec lets the last of two equal names win. All names are known here, so a second
        # one shows in the number of colons; escapes could hide one.
        if b"\\" in body:
            return False
        expected = len(rows) * self._colons + is_list
        for attribute, colons in self._optional:
            expected -= colons * sum(getattr(row, attribute) is msgspec.UNSET for row in rows)
        found = body.count(b":")
        if self._texts and found != expected:
            expected += sum(t.count(":") for row in rows for t in self._texts(row) if t)
        return found == expected

    def _slowly(self, body: bytes) -> list[Row]:
        found = list(self._violations(content := parsed(body)))
        if found:
            raise refused(self._compiled.contract.name, found)
        rows, _ = self._rows_in(content)
        try:
            return msgspec.convert(rows, list[self._compiled.row])  # type: ignore[name-defined]
        except msgspec.ValidationError as error:
            raise RequestRefused(422, str(error), hint="see GET /contract") from None

    def _violations(self, content: Any) -> Iterator[Violation]:
        rows, path = self._rows_in(content)
        if not isinstance(rows, list) or not rows:
            got = "none" if rows == [] else _kind(rows)
            yield Violation("rows", path, "a list of at least one row", got)
            return
        refuse_too_many(len(rows))
        if rows[0] is not content:
            yield from _repeated(content, "$")
            extra = (name for name in content if name not in ("rows", "explain"))
            if not isinstance(asked := content.get("explain", False), bool):
                yield Violation("explain", "$.explain", "true or false", shown(asked))
            for name in map(printable, extra):
                yield Violation(name, f"$.{name}", "no such field", "a field beside rows")
        for i, row in enumerate(rows):
            place = path if row is content else f"{path}[{i}]"
            self._take_integers(row)
            yield from _repeated(row, place)
            yield from self._compiled.check(row, place)

    def _take_integers(self, row: Any) -> None:
        """Write 17 where 17.0 came for an integer, in a row that was read for this alone."""
        if found := integers_in(self._compiled.contract.fields, row):
            row.update(found)

    def _rows_in(self, content: Any) -> tuple[Any, str]:
        """The rows of a parsed body and their path: the list under `rows`, or the one row."""
        if not isinstance(content, dict) or "rows" not in content:
            return [content], "$"
        is_field = "rows" in self._compiled.contract.names
        if is_field and not isinstance(content["rows"], list):
            return [content], "$"
        return content["rows"], "$.rows"


def _untroubled(field: Field) -> Callable[[Any], bool]:
    """Whether nothing is to be said about a value that is taken, asked for each one."""
    if field.categories:
        return frozenset(field.categories).__contains__
    if field.type not in ("integer", "number"):
        return lambda value: isinstance(value, str | bool)
    low, high = limits_of(field)
    return lambda value: type(value) in (int, float) and low <= value <= high


def refuse_too_many(n_rows: int) -> None:
    """Let no more than MAX_ROWS rows through.

    Raises:
        RequestRefused: With 413.
    """
    if n_rows > MAX_ROWS:
        msg = f"the request has {n_rows} rows, at most {MAX_ROWS} are answered at once"
        raise RequestRefused(413, msg, hint="split it into several requests")


def _colons_of(name: str) -> int:
    """How many colons stand in a row for a field: those of its name, and the one after it."""
    return name.count(":") + 1


class _RepeatingObject(dict[str, Any]):
    """A JSON object in which a name stands twice."""

    repeated: tuple[str, ...] = ()


def parsed(body: bytes) -> Any:
    """The JSON of a body.

    Raises:
        RequestRefused: With 400, if it is none.
    """
    if not body.strip():
        raise RequestRefused(400, "the request has no body", hint=_EXAMPLE)
    if len(body) > _LARGE and (content := _vast(body)) is not None:
        return content
    try:
        return json.loads(body.decode(), object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        msg = f"the body is not UTF-8: byte {error.start} cannot be read"
        raise RequestRefused(400, msg, hint="encode the JSON in UTF-8") from None
    except json.JSONDecodeError as error:
        msg = f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        raise RequestRefused(400, msg, hint=_EXAMPLE) from None
    except RecursionError:
        msg = "the body is nested too deeply to be read"
        raise RequestRefused(
            400, msg, hint="a row holds numbers, strings, booleans and nulls"
        ) from None
    except ValueError:  # Python converts no integer of more than 4300 digits
        msg = "the body has a number with too many digits to be read"
        raise RequestRefused(400, msg, hint="numbers are at most 3.4e38") from None


_EXAMPLE = 'send {"rows": [{...}]} with the fields that GET /contract lists'


def _vast(body: bytes) -> Any:
    """The content of a body with far too many names or rows, which is refused for that alone.

    None if it is not so. Reading it twice, for names that stand twice, would keep all others
    waiting for seconds.
    """
    try:
        content = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    tables = [content, *(content.values() if isinstance(content, dict) else ())]
    rows = [row for each in tables if isinstance(each, list) for row in each[:MAX_ROWS]]
    is_long = any(isinstance(each, list) and len(each) > MAX_ROWS for each in tables)
    is_broad = any(isinstance(each, dict) and len(each) > _BROAD for each in [*tables, *rows])
    return content if is_long or is_broad else None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) == len(pairs):
        return content
    names = [name for name, _ in pairs]
    repeating = _RepeatingObject(content)
    repeating.repeated = tuple(name for name in content if names.count(name) > 1)
    return repeating


def _repeated(row: Any, path: str) -> Iterator[Violation]:
    for name in map(printable, getattr(row, "repeated", ())):
        yield Violation(name, f"{path}.{name}", "each name once", "it stands more than once")


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    return "null" if value is None else kinds.get(type(value), "a number")


def refused(contract: str, found: list[Violation]) -> RequestRefused:
    """The refusal of rows with these violations, of which it lists the first 100."""
    n = len(found)
    msg = f"the request does not keep the contract {contract!r}: {n} violation{'s' * (n > 1)}"
    if n > LISTED:
        msg += f", the first {LISTED} are listed"
    hint = "send exactly the fields that GET /contract lists"
    return RequestRefused(422, msg, hint=hint, violations=tuple(found[:LISTED]))
