"""Answers by column, and the lines they are in the log."""

from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.records.plan import Arm, Plan, Role
from cd4ml.serving.answers import Answer, Answers, Group, Version
from cd4ml.serving.endpoint import Endpoint
from cd4ml.serving.lines import Asked, lines_of, told
from cd4ml.store.lines import read_lines
from cd4ml.store.masking import Mask
from tests.models.builders import AT

PLAN = Plan(number=7, environment='prod "1"', model="delay", arms=(), release=1, made_at=AT)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scores = st.none() | st.floats(allow_nan=False, allow_infinity=False)


def version(role: Role, number: int) -> Version:
    arm = Arm(role=role, model="delay", number=number, artifact="blake3:ab", weight_percent=50)
    return Version(arm, lambda row: (), lambda values: [], told(PLAN, arm))


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


def test_one_row_is_written_as_it_is_among_others() -> None:
    rows = [Row("Ada", 36.5), Row("Eve", 1e-7)]
    both = asked(rows, "order-17")

    together = lines_of(both, Group(CHAMPION, None, [0.25, None]), Mask())

    assert together == [
        *lines_of(both, Group(CHAMPION, [0], [0.25]), Mask()),
        *lines_of(both, Group(CHAMPION, [1], [None]), Mask()),
    ]
    assert lines_of(both, Group(CHAMPION, [], []), Mask()) == []


def test_what_is_masked_is_in_no_line() -> None:
    mask = Mask(redact=["name"], hashed=["cd4ml-key"], secret=b"secret")

    for rows in ([Row("Ada", 36)], [Row("Ada", 36), Row("Eve", 40)]):
        lines = lines_of(asked(rows, "order-17"), Group(CHAMPION, None, [0.5] * len(rows)), mask)
        text = b"\n".join(lines)
        assert (b"Ada" in text, b"Eve" in text, b"order-17" in text) == (False, False, False)
        assert text.count(b'"name":null') == len(rows)


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
