"""JSON lines lose nothing when they become columns."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cd4ml.data.formats import reading_of, scan
from cd4ml.data.json_lines import mixed_columns
from cd4ml.data.written import check_files
from cd4ml.errors import InvalidInput
from cd4ml.records.contract import Contract, Field


def written(folder: Path, *lines: str) -> Path:
    path = folder / "a.ndjson"
    path.write_bytes("\n".join(lines).encode())
    return path


@pytest.mark.parametrize(
    ("lines", "number", "name"),
    [
        (['{"a":1,"b":2}', '{"a":1,"a":2}'], 2, "a"),
        (['{"b":1,"a":2}', "", '{"b":1, "a":null, "b" : 2}'], 3, "b"),
        (['{"a":"x","\\u0061":"y"}'], 1, "a"),
        (['{"a\\"b":1,"a\\"b":1}'], 1, 'a"b'),
        (['{"a.b":1}', '{"a.b":1, "a.b":1}'], 2, "a.b"),
        (['{"é":1,"é":2}'], 1, "é"),
    ],
)
def test_a_name_twice_in_a_line_is_refused(
    tmp_path: Path, lines: list[str], number: int, name: str
) -> None:
    path = written(tmp_path, *lines)

    with pytest.raises(InvalidInput) as refused:
        reading_of([path])

    assert str(refused.value) == (
        f"{path}: line {number} has the column {name!r} twice\n"
        "  hint: which of the two values is meant? leave one of them"
    )


def test_texts_that_look_like_names_are_texts(tmp_path: Path) -> None:
    lines = ['{"a":"\\"a\\":","b":"\\"a\\": 1, \\"a\\": 2"}', '{"b":"}","a":"\\\\"}', "{}", " "]

    found = scan([written(tmp_path, *lines)], reading_of([written(tmp_path, *lines)])).collect()

    assert found.rows() == [('"a":', '"a": 1, "a": 2'), ("\\", "}"), (None, None)]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (["true", "1"], ["true", "1"]),
        (["1", "null", "false"], ["1", None, "false"]),
        (["1.5", "true", "12"], ["1.5", "true", "12"]),
    ],
)
def test_true_and_false_among_numbers_are_texts(
    tmp_path: Path, values: list[str], texts: list[str | None]
) -> None:
    path = written(tmp_path, *(f'{{"a":{value},"b":true}}' for value in values))

    reading = reading_of([path])

    assert reading.columns == (("a", "String"), ("b", "Boolean"))
    assert scan([path], reading).collect()["a"].to_list() == texts


def test_under_a_contract_they_are_bad_rows(tmp_path: Path) -> None:
    path = written(tmp_path, '{"a":1}', '{"a":true}', '{"a":2}')
    contract = Contract(name="c", fields=(Field("a", "integer"),))

    found = check_files([path], reading_of([path], contract), contract)

    assert [(f.gate, f.reason) for f in found if f.outcome != "pass"] == [
        ("a is integer", "1 of 3 rows, first in row 2: 'true'")
    ]


def test_more_columns_than_an_expression_can_hold_are_looked_at_too(tmp_path: Path) -> None:
    row = {f"a column with a long name {i}": i for i in range(20_000)}
    text = json.dumps(row)

    path = written(tmp_path, text, text[:-1] + ', "a column with a long name 7": 1}')

    with pytest.raises(InvalidInput, match=r"line 2 has the column 'a column with a long name 7'"):
        mixed_columns(path, dict.fromkeys(row, "Int64"), ())


names = st.sampled_from(["a", "b", 'q"', "\\", "é", "a b", "(", "\n"])
numbers = st.none() | st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False)
pairs = st.lists(st.tuples(names, numbers | st.text(max_size=4)), max_size=5)


@given(lines=st.lists(pairs, min_size=1, max_size=5))
@settings(deadline=None)
def test_only_names_that_stand_twice_are_refused(
    tmp_path_factory: pytest.TempPathFactory, lines: list[list[tuple[str, object]]]
) -> None:
    texts = [
        "{" + ", ".join(f"{json.dumps(n)}: {json.dumps(v)}" for n, v in line) + "}"
        for line in lines
    ]
    path = written(tmp_path_factory.mktemp("lines"), *texts)
    types = dict.fromkeys((name for line in lines for name, _ in line), "String")
    is_twice = any(len(dict(line)) < len(line) for line in lines)

    if not is_twice:
        assert mixed_columns(path, types, ()) == frozenset()
        return
    with pytest.raises(InvalidInput, match="twice"):
        mixed_columns(path, types, ())
