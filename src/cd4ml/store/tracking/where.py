"""The filter language: what one types to find runs, as a tree.

    metrics.auc > 0.7 and (params.max_iter = 200 or tags.team in ('ops', 'web'))

A condition has a field, an operator and a value. Fields are `metrics.NAME`, `params.NAME`,
`tags.NAME` and the run's own: see `ATTRIBUTES`. A name with other signs than letters, digits and
`_ . - / : @` stands in backticks, of which two are one of the name. Operators are `= != < <= > >=`, `like` and `ilike` (with `%`
and `_`), `in (...)`, `is null`; each word with `not` before it as well. Values are numbers, text
in quotes, `true`, `false`, `nan`, `inf`, and moments like 2026-11-26 or 2026-11-26T10:30.

A condition holds of nothing that has no value, also with `!=`, `not in` and `not like`: `is null`
finds that. `not (...)` is what the condition in it does not hold of, with or without a value.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple, TypeAlias

from cd4ml.errors import InvalidInput

Kind = Literal["metrics", "params", "tags", "attributes"]
Operator = Literal["=", "!=", "<", "<=", ">", ">=", "like", "ilike", "in", "is null"]
Value: TypeAlias = float | str | bool | datetime

ATTRIBUTES = {
    "number": "number",
    "name": "name",
    "note": "note",
    "state": "state",
    "experiment": "experiment",
    "search": "search",
    "created_by": "created_by",
    "started": "started_at",
    "finished": "finished_at",
}

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("metric", "metrics"), "metrics"),
    **dict.fromkeys(("param", "params", "parameter", "parameters"), "params"),
    **dict.fromkeys(("tag", "tags"), "tags"),
    **dict.fromkeys(("attr", "attribute", "attributes", "run"), "attributes"),
}
_SAME = {
    "status": "state",
    "run_name": "name",
    "start_time": "started",
    "end_time": "finished",
    "started_at": "started",
    "finished_at": "finished",
    "user_id": "created_by",
}
_DEEPEST = 50  # parentheses and "not" within one another
_LONGEST = 20_000  # characters

_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<moment>\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?)
    |(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    |(?P<text>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")
    |(?P<field>[^\W\d]\w*\.(?:`(?:[^`]|``)+`|"(?:[^"]|"")+"|[\w./:@-]+))
    |(?P<word>[-+]?[^\W\d]\w*)
    |(?P<sign><=|>=|!=|<>|==|[=<>(),])
    """,
    re.VERBOSE,
)


class Field(NamedTuple):
    """What is looked at: a metric, parameter or tag by name, or something of the run itself."""

    kind: Kind
    name: str
    place: int = 0  # in the text, from 0

    def __str__(self) -> str:
        return self.name if self.kind == "attributes" else f"{self.kind}.{self.name}"


class Condition(NamedTuple):
    """A field beside a value; `values` has several for "in", and none for "is null"."""

    field: Field
    operator: Operator
    values: tuple[Value, ...]
    place: int = 0  # of the value


class Not(NamedTuple):
    """What must not be."""

    part: Tree


class All(NamedTuple):
    """What must be together."""

    parts: tuple[Tree, ...]


class Any(NamedTuple):
    """Of which one is enough."""

    parts: tuple[Tree, ...]


Tree: TypeAlias = "Condition | Not | All | Any"


def parse(text: str) -> Tree:
    """The tree of a filter.

    Raises:
        InvalidInput: If it is none; the message points at the place.

    Examples:
        >>> parse("metrics.auc > 0.7").values
        (0.7,)
        >>> parse("metrics.auc >> 0.7")
        Traceback (most recent call last):
        cd4ml.errors.InvalidInput: expected a value, got '>':
            metrics.auc >> 0.7
                         ^
    """
    return _Parser(text).whole()


def field_of(text: str) -> Field:
    """A field alone, as in a list of what to sort by.

    Raises:
        InvalidInput: If it is none.

    Examples:
        >>> str(field_of("params.`my rate`")), str(field_of("started"))
        ('params.my rate', 'started')
    """
    return _Parser(text).field_alone()


def moment_of(text: str) -> datetime:
    """A moment; a day is its beginning, and without a zone UTC is meant.

    Raises:
        ValueError: If it is none.
    """
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def metrics_in(tree: Tree) -> list[str]:
    """The names of the metrics that a filter looks at.

    Examples:
        >>> metrics_in(parse("metrics.auc > 0.7 and not (state = 'failed' or metrics.loss < 1)"))
        ['auc', 'loss']
    """
    match tree:
        case All(parts) | Any(parts):
            return [name for part in parts for name in metrics_in(part)]
        case Not(part):
            return metrics_in(part)
    return [tree.field.name] if tree.field.kind == "metrics" else []


class _Token(NamedTuple):
    kind: str
    text: str
    place: int


class _Parser:
    def __init__(self, text: str) -> None:
        if len(text) > _LONGEST:
            msg = f"a filter has at most {_LONGEST:,} characters, got {len(text):,}"
            raise InvalidInput(msg)
        self._text = text
        self._tokens = [*_tokens(text), _Token("end", "", len(text))]
        self._at = 0
        self._depth = 0

    def whole(self) -> Tree:
        tree = self._any()
        if self._now.kind != "end":
            raise self._wrong("'and', 'or' or the end")
        return tree

    def field_alone(self) -> Field:
        field = self._field()
        if self._now.kind != "end":
            raise self._wrong("the end")
        return field

    @property
    def _now(self) -> _Token:
        return self._tokens[self._at]

    def _next(self) -> _Token:
        self._at += 1
        return self._tokens[self._at - 1]

    def _is(self, *words: str) -> bool:
        return self._now.kind in ("word", "sign") and self._now.text.lower() in words

    def _takes(self, *words: str) -> bool:
        found = self._is(*words)
        self._at += found
        return found

    def _any(self) -> Tree:
        parts = [self._all()]
        while self._takes("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Any(tuple(parts))

    def _all(self) -> Tree:
        parts = [self._one()]
        while self._takes("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _one(self) -> Tree:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._wrong(f"at most {_DEEPEST} parentheses within one another")
        try:
            if self._takes("not"):
                return Not(self._one())
            if self._takes("("):
                tree = self._any()
                if not self._takes(")"):
                    raise self._wrong("')'")
                return tree
            return self._condition()
        finally:
            self._depth -= 1

    def _condition(self) -> Tree:
        field = self._field()
        if self._takes("is"):
            is_not = self._takes("not")
            if not self._takes("null"):
                raise self._wrong("'null'")
            condition = Condition(field, "is null", ())
            return Not(condition) if is_not else condition
        is_not = self._takes("not")
        if self._takes("in"):
            place, values = self._now.place, self._values()
            condition = Condition(field, "in", values, place)
        elif self._is("like", "ilike"):
            operator: Operator = "like" if self._next().text.lower() == "like" else "ilike"
            place = self._now.place
            condition = Condition(field, operator, (self._string(),), place)
        elif is_not:
            raise self._wrong("'in', 'like' or 'ilike'")
        else:
            sign = self._sign()
            place = self._now.place
            return Condition(field, sign, (self._value(),), place)
        if not is_not:
            return condition
        return All((Not(condition), Not(Condition(field, "is null", ()))))

    def _field(self) -> Field:
        token = self._now
        if token.kind == "word":
            name = _SAME.get(token.text, token.text)
            if name not in ATTRIBUTES:
                raise self._wrong("a field", hint=_FIELDS)
            self._at += 1
            return Field("attributes", name, token.place)
        if token.kind != "field":
            raise self._wrong("a field", hint=_FIELDS)
        kind, _, name = token.text.partition(".")
        name = name[1:-1].replace(name[0] * 2, name[0]) if name[0] in '`"' else name
        if kind.lower() not in _KINDS:
            raise self._wrong("metrics., params., tags. or attributes.", hint=_FIELDS)
        field = Field(_KINDS[kind.lower()], name, token.place)
        if field.kind == "attributes":
            field = field._replace(name=_SAME.get(name, name))
            if field.name not in ATTRIBUTES:
                raise self._wrong("a field", hint=_FIELDS)
        self._at += 1
        return field

    def _sign(self) -> Operator:
        if self._now.kind == "sign" and self._now.text not in ("(", ")", ","):
            sign = self._next().text
            return {"==": "=", "<>": "!="}.get(sign, sign)  # type: ignore[return-value]
        raise self._wrong("an operator", hint="one of = != < <= > >= like ilike in is")

    def _values(self) -> tuple[Value, ...]:
        if not self._takes("("):
            raise self._wrong("'('")
        values = [self._value()]
        while self._takes(","):
            values.append(self._value())
        if not self._takes(")"):
            raise self._wrong("',' or ')'")
        return tuple(values)

    def _string(self) -> str:
        if self._now.kind != "text":
            raise self._wrong("text in quotes")
        return _unquoted(self._next().text)

    def _value(self) -> Value:
        token = self._now
        if token.kind == "text":
            return self._string()
        if token.kind == "number" or token.text.lower().lstrip("+-") in ("nan", "inf", "infinity"):
            self._at += 1
            return float(token.text)
        if token.kind == "word" and token.text.lower() in ("true", "false"):
            self._at += 1
            return token.text.lower() == "true"
        if token.kind == "moment":
            return self._moment()
        raise self._wrong("a value", hint="text stands in quotes" if token.kind == "word" else "")

    def _moment(self) -> datetime:
        try:
            moment = moment_of(self._now.text)
        except ValueError:
            raise self._wrong("a moment that there is") from None
        self._at += 1
        return moment

    def _wrong(self, expected: str, hint: str = "") -> InvalidInput:
        got = repr(self._now.text) if self._now.kind != "end" else "the end"
        return pointed(f"expected {expected}, got {got}", self._text, self._now.place, hint=hint)


_FIELDS = f"metrics.NAME, params.NAME, tags.NAME, {', '.join(ATTRIBUTES)}"
_SHOWN = 70  # characters of a filter


def pointed(message: str, text: str, place: int, *, hint: str = "") -> InvalidInput:
    """An error that shows where in a text it is."""
    start = max(0, place - _SHOWN // 2)
    shown = text[start : start + _SHOWN].replace("\n", " ").replace("\t", " ")
    return InvalidInput(f"{message}:\n    {shown}\n    {' ' * (place - start)}^", hint=hint)


def _tokens(text: str) -> Sequence[_Token]:
    tokens = []
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise _unreadable(text, place)
        kind = str(found.lastgroup)
        if kind != "space":
            tokens.append(_Token(kind, found.group(), place))
        place = found.end()
    return tokens


def _unreadable(text: str, place: int) -> InvalidInput:
    if text[place] in "'\"`":
        return pointed("a quote is opened here and never closed", text, place)
    return pointed(f"{text[place]!r} has no meaning here", text, place)


def _unquoted(text: str) -> str:
    quote, inner = text[0], text[1:-1].replace(text[0] * 2, text[0])
    return inner.replace(f"\\{quote}", quote)
