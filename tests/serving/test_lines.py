"""Answers by column, and the lines they are in the log."""

from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cd4ml.records.plan import Arm, Plan, Role
from cd4ml.serving.answers import Answer, Answers, Group, Version
from cd4ml.serving.endpoint import Endpoint
from cd4ml.serving.lines import Asked, line_of_all, lines_of, said, told
from cd4ml.store.lines import Line, read_lines
from cd4ml.store.masking import Mask
from tests.models.builders import AT

PLAN = Plan(number=7, environment='prod "1"', model="delay", arms=(), release=1, made_at=AT)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scores = st.none() | st.floats(allow_nan=False, allow_infinity=False)


def version(role: Role, number: int) -> Version:
    arm = Arm(role=role, model="delay", number=number, artifact="blake3:ab", weight_percent=50)
    return Version(arm, lambda row: (), lambda values: [], told(PLAN, arm), said(PLAN, arm))


CHAMPION, CANARY = version("champion", 1), version("canary", 2)


class Row(msgspec.Struct):
    name: str
    age: float


def asked(rows: list[Row], key: str = "") -> Asked:
    unused: Any = cast(Any, None)
    endpoint = Endpoint(PLAN, unused, unused, unused, None, (), {}, {})
    return Asked(
        endpoint, [f"{i:032x}" for i in range(len(rows))], 1_359_676_800_000_001, rows, key
    )


@given(st.lists(st.tuples(texts, scores), min_size=1, max_size=5), texts)
def test_what_is_in_a_line_is_read_from_it(pairs: list[tuple[str, float | None]], key: str) -> None:
    rows = [Row(text, 0.5) for text, _ in pairs]

    lines = lines_of(asked(rows, key), Group(CHAMPION, None, [s for _, s in pairs]), Mask())
    found = read_lines(b"".join(line + b"\n" for line in lines))

    assert found.bad == b""
    assert [line.prediction_id for line in found.good] == [f"{i:032x}" for i in range(len(rows))]
    assert [line.score for line in found.good] == [score for _, score in pairs]
    assert [msgspec.json.decode(line.inputs, type=Row) for line in found.good] == rows
    for line in found.good:
        assert (line.answered_at, line.key) == (1_359_676_800_000_001, key)
        assert (line.environment, line.plan, line.model) == ('prod "1"', 7, "delay")
        assert (line.role, line.number, line.artifact) == ("champion", 1, "blake3:ab")


def read(lines: list[bytes]) -> list[Line]:
    found = read_lines(b"".join(line + b"\n" for line in lines))
    assert found.bad == b""
    return found.good


def test_rows_of_a_request_are_one_line_and_read_as_those_of_one_row_each() -> None:
    rows = [Row("Ada", 36.5), Row("Eve", 1e-7), Row("Bob\n", 1.0)]
    three = asked(rows, "order-17")

    (together,) = lines_of(three, Group(CHAMPION, None, [0.25, None, 1.0]), Mask())
    apart = [
        *lines_of(three, Group(CHAMPION, [0], [0.25]), Mask()),
        *lines_of(three, Group(CHAMPION, [1, 2], [None, 1.0]), Mask()),
    ]

    assert read([together]) == read(apart)
    assert len(apart) == 2
    assert lines_of(three, Group(CHAMPION, [], []), Mask()) == []


def test_what_a_shadow_answered_to_several_requests_is_one_line() -> None:
    requests = [
        replace(asked([Row("Ada", 36.5)], "order-17"), ids=["a" * 32], at_us=1),
        replace(asked([Row("Eve", 40), Row("Bob", 41)]), ids=["b" * 32, "c" * 32], at_us=2),
    ]
    answered = [0.1, None, 0.3]

    (line,) = line_of_all(requests, CANARY, answered, Mask())
    found = read([line])

    assert [(each.prediction_id, each.answered_at, each.key) for each in found] == [
        ("a" * 32, 1, "order-17"),
        ("b" * 32, 2, ""),
        ("c" * 32, 2, ""),
    ]
    assert [each.score for each in found] == answered
    assert {(each.role, each.number) for each in found} == {("canary", 2)}
    assert [msgspec.json.decode(each.inputs)["name"] for each in found] == ["Ada", "Eve", "Bob"]
    assert read(line_of_all(requests[1:], CANARY, answered[1:], Mask())) == found[1:]
    assert line_of_all([], CANARY, [], Mask()) == []


def test_what_is_masked_is_in_no_line() -> None:
    mask = Mask(redact=["name"], hashed=["cd4ml-key"], secret=b"secret")

    for rows in ([Row("Ada", 36)], [Row("Ada", 36), Row("Eve", 40)]):
        lines = lines_of(asked(rows, "order-17"), Group(CHAMPION, None, [0.5] * len(rows)), mask)
        text = b"\n".join(lines)
        assert (b"Ada" in text, b"Eve" in text, b"order-17" in text) == (False, False, False)
        assert text.count(b'"name":null') == len(rows)
    both = [asked([Row("Ada", 36)], "order-17"), asked([Row("Eve", 40)])]
    (line,) = line_of_all(both, CANARY, [0.5, 0.5], mask)
    assert (b"Ada" in line, b"Eve" in line, b"order-17" in line) == (False, False, False)
    assert [each.key for each in read([line])] == [mask.key("order-17"), ""]


MIXED = Answers([CANARY, CHAMPION, CHAMPION], [0.1, 0.2, 0.3], {2: CANARY})


def test_answers_are_told_row_by_row() -> None:
    assert list(MIXED) == [
        [Answer(CANARY, 0.1)],
        [Answer(CHAMPION, 0.2)],
        [Answer(CANARY, None), Answer(CHAMPION, 0.3)],
    ]
    assert list(Answers(CHAMPION, [0.1, 0.2])) == [[Answer(CHAMPION, 0.1)], [Answer(CHAMPION, 0.2)]]
    assert (len(MIXED), MIXED.n) == (3, 4)


def test_answers_are_told_version_by_version_what_failed_first() -> None:
    assert MIXED.groups() == [
        Group(CANARY, [2], [None]),
        Group(CANARY, [0], [0.1]),
        Group(CHAMPION, [1, 2], [0.2, 0.3]),
    ]


@pytest.mark.parametrize("answers", [MIXED, Answers(CHAMPION, [0.1, 0.2, 0.3])])
@pytest.mark.parametrize(("begin", "end"), [(0, 3), (1, 3), (2, 2), (0, 1)])
def test_a_part_of_answers_is_that_of_their_rows(answers: Answers, begin: int, end: int) -> None:
    assert list(answers[begin:end]) == list(answers)[begin:end]
    assert list(answers.part(begin, end)) == list(answers)[begin:end]
