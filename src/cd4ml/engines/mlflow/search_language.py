"""MLflow's filter strings and orders: `metrics.auc > 0.7 and params.depth = '3'`.

Comparisons joined by AND; there is neither OR nor NOT. Which kinds of names may be asked for,
and by which comparator, is a `Vocabulary` of the thing that is searched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from cd4ml.errors import InvalidInput
from cd4ml.store.storable import problem

Value = str | float | tuple[str, ...] | None

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.)*")
    | (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    | (?P<name>[A-Za-z_][\w]*(?:\.(?:`[^`]*`|"[^"]*"|[\w./:@-]+))?|`[^`]*`(?:\.(?:`[^`]*`|[\w./:@-]+))?)
    | (?P<operator><=|>=|!=|<>|=|<|>)
    | (?P<mark>[(),])
    )""",
    re.VERBOSE,
)
_WORDS = {"and", "like", "ilike", "in", "not", "is", "null", "asc", "desc"}
_TEXT = ("=", "!=", "LIKE", "ILIKE", "IN", "NOT IN")
_NUMBER = ("=", "!=", "<", "<=", ">", ">=")
_OPTIONAL = (*_TEXT, "IS NULL", "IS NOT NULL")

_KINDS = {
    "metric": "metric",
    "metrics": "metric",
    "parameter": "param",
    "parameters": "param",
    "param": "param",
    "params": "param",
    "tag": "tag",
    "tags": "tag",
    "attribute": "attribute",
    "attributes": "attribute",
    "attr": "attribute",
    "run": "attribute",
    "dataset": "dataset",
    "datasets": "dataset",
}
_OF_DATASETS = ("name", "digest", "context")


class Comparison(NamedTuple):
    """One condition: `kind` is metric, param, tag, attribute or dataset."""

    kind: str
    key: str
    comparator: str
    value: Value


class Order(NamedTuple):
    """What is sorted by, and in which direction."""

    kind: str
    key: str
    is_ascending: bool


class Vocabulary(NamedTuple):
    """What can be asked of one kind of thing: attribute -> "text" or "number"; other kinds."""

    thing: str
    attributes: Mapping[str, str]
    kinds: tuple[str, ...] = ()
    aliases: Mapping[str, str] = {}


RUNS = Vocabulary(
    "runs",
    {
        "run_id": "text",
        "run_name": "text",
        "status": "text",
        "artifact_uri": "text",
        "user_id": "text",
        "start_time": "number",
        "end_time": "number",
    },
    ("metric", "param", "tag", "dataset"),
    {
        "created": "start_time",
        "Created": "start_time",
        "run name": "run_name",
        "Run name": "run_name",
        "Run Name": "run_name",
    },
)
EXPERIMENTS = Vocabulary(
    "experiments",
    {
        "name": "text",
        "experiment_id": "text",
        "creation_time": "number",
        "last_update_time": "number",
    },
    ("tag",),
)
REGISTERED_MODELS = Vocabulary(
    "registered models",
    {"name": "text", "creation_timestamp": "number", "last_updated_timestamp": "number"},
    ("tag",),
    {"timestamp": "last_updated_timestamp"},
)
MODEL_VERSIONS = Vocabulary(
    "model versions",
    {
        "name": "text",
        "run_id": "text",
        "source": "text",
        "source_path": "text",
        "version": "number",
        "version_number": "number",
        "creation_timestamp": "number",
        "last_updated_timestamp": "number",
    },
    ("tag",),
)
LOGGED_MODELS = Vocabulary(
    "logged models",
    {
        "name": "text",
        "model_id": "text",
        "model_type": "text",
        "status": "text",
        "source_run_id": "text",
        "creation_timestamp": "number",
        "creation_time": "number",
        "last_updated_timestamp": "number",
        "last_updated_time": "number",
    },
    ("metric", "param", "tag"),
)


def parse_filter(text: str, vocabulary: Vocabulary) -> list[Comparison]:
    """The comparisons of a filter string, all of which have to hold.

    Raises:
        InvalidInput: If it is no such string, or asks for what this kind of thing has not.

    Examples:
        >>> parse_filter("metrics.auc > 0.7 and tags.`who is` LIKE 'a%'", RUNS)
        [Comparison(kind='metric', key='auc', comparator='>', value=0.7),
         Comparison(kind='tag', key='who is', comparator='LIKE', value='a%')]
    """
    tokens = _Tokens(text, vocabulary)
    if tokens.is_done:
        return []
    found = [_comparison(tokens, vocabulary)]
    while not tokens.is_done:
        tokens.word("and")
        found.append(_comparison(tokens, vocabulary))
    return found


def parse_order(text: str, vocabulary: Vocabulary) -> Order:
    """What `"metrics.auc DESC"` sorts by; without a direction it ascends.

    Raises:
        InvalidInput: If there is nothing like it to sort by.

    Examples:
        >>> parse_order("metrics.`val loss` DESC", RUNS)
        Order(kind='metric', key='val loss', is_ascending=False)
    """
    tokens = _Tokens(text, vocabulary)
    kind, key = _named(tokens.take("name"), tokens, vocabulary)
    if kind == "dataset":
        raise tokens.invalid("nothing is sorted by a dataset, of which a run may have several")
    direction = "asc" if tokens.is_done else tokens.take("name").lower()
    if direction not in ("asc", "desc") or not tokens.is_done:
        raise tokens.invalid("expected ASC or DESC at its end")
    return Order(kind, key, direction == "asc")


def holds(comparison: Comparison, value: str | float | None) -> bool:
    """Whether a thing with this value fits; a thing without it fits only IS NULL.

    Examples:
        >>> holds(Comparison("param", "depth", "LIKE", "1%"), "12")
        True
        >>> holds(Comparison("metric", "auc", "!=", 0.5), None)
        False
    """
    if comparison.comparator == "IS NULL":
        return value is None
    if value is None:
        return False
    return _COMPARED[comparison.comparator](value, comparison.value)


class _Tokens:
    """The words of a text, one after the other."""

    def __init__(self, text: str, vocabulary: Vocabulary) -> None:
        self._text = text
        self._thing = vocabulary.thing
        unaskable = problem(text)
        if unaskable:
            raise self.invalid(unaskable)
        self._tokens = list(_split(text, self.invalid))
        self._at = 0

    @property
    def is_done(self) -> bool:
        return self._at == len(self._tokens)

    def peek(self) -> tuple[str, str]:
        return ("", "") if self.is_done else self._tokens[self._at]

    def take(self, kind: str) -> str:
        found, text = self.peek()
        if found != kind:
            raise self.invalid(f"expected a {kind}, got {text or 'its end'!r}")
        self._at += 1
        return text

    def word(self, *words: str) -> str:
        text = self.take("name").lower()
        if text not in words:
            raise self.invalid(f"expected {' or '.join(words).upper()}, got {text!r}")
        return text

    def has_word(self, word: str) -> bool:
        kind, text = self.peek()
        return kind == "name" and text.lower() == word

    def invalid(self, what: str) -> InvalidInput:
        msg = f"invalid filter or order of {self._thing} {self._text!r}: {what}"
        return InvalidInput(msg, hint="for example metrics.auc > 0.7 and params.depth = '3'")


def _split(text: str, invalid: Callable[[str], InvalidInput]) -> Iterator[tuple[str, str]]:
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise invalid(f"what is {text[at:].strip()[:20]!r}?")
        yield match.lastgroup, match[match.lastgroup]
        at = match.end()


def _comparison(tokens: _Tokens, vocabulary: Vocabulary) -> Comparison:
    kind, key = _named(tokens.take("name"), tokens, vocabulary)
    allowed, is_number = _allowed(kind, key, vocabulary)
    comparator = _comparator(tokens)
    if comparator not in allowed:
        raise tokens.invalid(
            f"{comparator} does not compare a {kind} (expected one of {', '.join(allowed)})"
        )
    if comparator.endswith("NULL"):
        return Comparison(kind, key, comparator, None)
    if comparator.endswith("IN"):
        return Comparison(kind, key, comparator, _listed(tokens))
    if is_number:
        return Comparison(kind, key, comparator, float(tokens.take("number")))
    return Comparison(kind, key, comparator, _text(tokens))


def _named(text: str, tokens: _Tokens, vocabulary: Vocabulary) -> tuple[str, str]:
    before, dot, after = _halves(text)
    kind = _KINDS.get(before, "") if dot else "attribute"
    key = _bare(after if dot else before)
    key = vocabulary.aliases.get(key, key) if kind == "attribute" else key
    if kind == "attribute" and key not in vocabulary.attributes:
        known = ", ".join(sorted(vocabulary.attributes))
        raise tokens.invalid(f"{vocabulary.thing} have no attribute {key!r} (known: {known})")
    if kind not in (*vocabulary.kinds, "attribute"):
        known = ", ".join(("attribute", *vocabulary.kinds))
        raise tokens.invalid(
            f"{before!r} is no kind of name that {vocabulary.thing} have (known: {known})"
        )
    if kind == "dataset" and key not in _OF_DATASETS:
        known = ", ".join(_OF_DATASETS)
        raise tokens.invalid(f"datasets have no {key!r} (known: {known})")
    return kind, key


def _halves(text: str) -> tuple[str, str, str]:
    if text.startswith("`"):
        end = text.index("`", 1)
        return text[1:end], text[end + 1 : end + 2], text[end + 2 :]
    return text.partition(".")


def _bare(text: str) -> str:
    is_quoted = len(text) >= 2 and text[0] == text[-1] and text[0] in "`\"'"
    return text[1:-1] if is_quoted else text


def _allowed(kind: str, key: str, vocabulary: Vocabulary) -> tuple[tuple[str, ...], bool]:
    if kind == "metric":
        return _NUMBER, True
    if kind == "attribute" and vocabulary.attributes[key] == "number":
        return _NUMBER, True
    return (_OPTIONAL if kind in ("param", "tag") else _TEXT), False


def _comparator(tokens: _Tokens) -> str:
    if tokens.peek()[0] == "operator":
        return tokens.take("operator").replace("<>", "!=")
    word = tokens.word("like", "ilike", "in", "not", "is")
    if word == "not":
        tokens.word("in")
        return "NOT IN"
    if word == "is":
        is_not = tokens.has_word("not") and tokens.word("not")
        tokens.word("null")
        return "IS NOT NULL" if is_not else "IS NULL"
    return word.upper()


def _listed(tokens: _Tokens) -> tuple[str, ...]:
    found = []
    mark = tokens.take("mark")
    while mark in "(,":
        found.append(_text(tokens))
        mark = tokens.take("mark")
    return tuple(found)


def _text(tokens: _Tokens) -> str:
    kind, text = tokens.peek()
    if kind == "name" and text.startswith("`"):
        return _bare(tokens.take("name"))
    if kind != "string":
        raise tokens.invalid(f"expected a value in quotes, got {text or 'its end'!r}")
    return tokens.take("string")[1:-1].replace("''", "'")


def like_pattern(pattern: str, *, ignores_case: bool) -> re.Pattern[str]:
    """SQL's LIKE as a regular expression: % is any text, _ any character."""
    words = {"%": ".*", "_": "."}
    text = "".join(words.get(character, re.escape(character)) for character in pattern)
    return re.compile(text, re.DOTALL | (re.IGNORECASE if ignores_case else 0))


_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda value, asked: bool(value == asked),
    "!=": lambda value, asked: bool(value != asked),
    "<": lambda value, asked: bool(value < asked),
    "<=": lambda value, asked: bool(value <= asked),
    ">": lambda value, asked: bool(value > asked),
    ">=": lambda value, asked: bool(value >= asked),
    "LIKE": lambda value, asked: (
        like_pattern(asked, ignores_case=False).fullmatch(value) is not None
    ),
    "ILIKE": lambda value, asked: (
        like_pattern(asked, ignores_case=True).fullmatch(value) is not None
    ),
    "IN": lambda value, asked: value in asked,
    "NOT IN": lambda value, asked: value not in asked,
    "IS NOT NULL": lambda value, asked: True,
}
