"""A change of a contract is breaking, compatible or words; the version has to say which."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cd4ml.errors import InvalidInput
from cd4ml.models.compatibility import (
    SemVer,
    changes,
    is_raised_enough,
    needed,
    next_version,
    raised,
    version_of,
)
from cd4ml.models.contract import CompiledContract
from cd4ml.models.violations import keeps
from cd4ml.records.contract import Contract, Field

HOUR = Field("hour", "integer", minimum=0, maximum=23)
LATE = Field("late", "number", minimum=0, maximum=1, unit="probability", description="of delay")
BASE = Contract(
    name="delay",
    fields=(HOUR, Field("wind", "number", nullable=True, unit="mph")),
    output=LATE,
    classes=("no", "yes"),
    latency_ms=5,
    size_mb=2,
)


def other(**changed: object) -> Contract:
    return msgspec.structs.replace(BASE, **changed)


def field(name: str, **changed: object) -> Contract:
    """The base with one of its fields changed."""
    fields = (msgspec.structs.replace(f, **changed) if f.name == name else f for f in BASE.fields)
    return other(fields=tuple(fields))


@pytest.mark.parametrize(
    ("new", "bump", "words"),
    [
        (other(fields=(HOUR,)), "major", "'wind' is gone: requests with it are refused"),
        (
            other(fields=(*BASE.fields, Field("gate", "string", nullable=True))),
            "major",
            "'gate' is new: requests without it are refused",
        ),
        (
            other(fields=(*BASE.fields, Field("gate", "string", nullable=True, optional=True))),
            "minor",
            "'gate' is new, and may be left out",
        ),
        (
            field("hour", maximum=22),
            "major",
            "'hour' was an integer from 0 to 23 and is an integer from 0 to 22",
        ),
        (
            field("hour", type="number"),
            "minor",
            "'hour' was an integer from 0 to 23 and is a number from 0 to 23",
        ),
        (
            field("wind", nullable=False),
            "major",
            "'wind' was a number mph, or null and is a number mph",
        ),
        (
            field("wind", unit="km/h"),
            "major",
            "'wind' was a number mph, or null and is a number km/h, or null",
        ),
        (field("wind", optional=True), "minor", "'wind' may be left out"),
        (field("hour", description="local"), "patch", "'hour' is described otherwise"),
        (other(description="of flights"), "patch", "the description is worded otherwise"),
        (other(output=None), "major", "what the answer means is no longer said"),
        (
            other(output=msgspec.structs.replace(LATE, unit="percent", maximum=100)),
            "major",
            "the answer was 'late', a number from 0 to 1 probability and is 'late', a number from"
            " 0 to 100 percent",
        ),
        (
            other(output=msgspec.structs.replace(LATE, maximum=0.9)),
            "minor",
            "the answer was 'late', a number from 0 to 1 probability and is 'late', a number from"
            " 0 to 0.9 probability",
        ),
        (
            other(output=msgspec.structs.replace(LATE, description="of being early")),
            "major",
            "the answer meant 'of delay' and means 'of being early'",
        ),
        (other(classes=("yes", "no")), "major", "the classes were no, yes and are yes, no"),
        (
            other(latency_ms=8.0),
            "major",
            "99 of 100 single answers take: was at most 5 ms and is at most 8 ms",
        ),
        (
            other(size_mb=None),
            "major",
            "the packaged model has: was at most 2 MB and is no longer said",
        ),
        (
            other(latency_ms=3.0),
            "minor",
            "99 of 100 single answers take: was at most 5 ms and is at most 3 ms",
        ),
    ],
)
def test_each_change_asks_for_its_part_of_the_version(new: Contract, bump: str, words: str) -> None:
    found = changes(BASE, new)

    assert [(change.bump, change.words) for change in found] == [(bump, words)]


def test_a_closed_list_may_grow_and_not_shrink() -> None:
    names = tuple(f"C{number:02}" for number in range(12))
    old = Contract(name="c", fields=(Field("a", "string", categories=names),))
    less = Contract(name="c", fields=(Field("a", "string", categories=names[:11]),))

    assert [(c.bump, c.words) for c in changes(old, less)] == [
        ("major", "'a' takes no longer \"C11\"")
    ]
    assert [(c.bump, c.words) for c in changes(less, old)] == [("minor", "'a' takes also \"C11\"")]


def test_breaking_changes_stand_first_and_decide() -> None:
    new = msgspec.structs.replace(field("hour", maximum=22), description="of flights")

    found = changes(BASE, new)

    assert [change.bump for change in found] == ["major", "patch"]
    assert needed(found) == "major"


def test_what_may_be_left_out_and_what_it_holds_are_two_changes() -> None:
    found = changes(BASE, field("wind", optional=True, unit="km/h"))

    assert [(change.bump, change.words) for change in found] == [
        ("major", "'wind' was a number mph, or null and is a number km/h, or null"),
        ("minor", "'wind' may be left out"),
    ]


def test_a_version_that_is_no_semantic_one_is_refused() -> None:
    for text in ("v1", "1.0", "1.0.0-beta", "01.0.0", ""):
        with pytest.raises(InvalidInput) as refused:
            version_of(msgspec.structs.replace(BASE, version=text))
        assert refused.value.message == f"the contract 'delay' has the version {text!r}"


parts = st.integers(0, 20)
versions = st.builds(SemVer, parts, parts, parts)
bumps = st.sampled_from(["major", "minor", "patch"])


@given(old=versions, bump=bumps)
def test_the_next_version_is_raised_by_exactly_what_was_asked(old: SemVer, bump: str) -> None:
    following = next_version(old, bump)  # type: ignore[arg-type]

    assert raised(old, following) == bump
    assert is_raised_enough(old, following, bump)  # type: ignore[arg-type]
    assert raised(following, old) == "none"


numbers = st.builds(
    Field,
    st.just("a"),
    st.sampled_from(["integer", "number"]),
    nullable=st.booleans(),
    minimum=st.none() | st.integers(-3, 0).map(float),
    maximum=st.none() | st.integers(0, 3).map(float),
)
texts = st.builds(
    Field,
    st.just("a"),
    st.just("string"),
    nullable=st.booleans(),
    categories=st.lists(st.sampled_from("xyz"), unique=True, max_size=3).map(tuple),
    open=st.booleans(),
)
optional = st.builds(Field, st.just("a"), st.just("boolean"), nullable=st.just(True),
                     optional=st.booleans())  # fmt: skip
some_fields = numbers | texts | optional
VALUES = (None, -4, -1, 0, 0.5, 2, 4, "x", "z", "w", True)


@given(before=some_fields, after=some_fields)
@settings(max_examples=300, deadline=None)
def test_what_is_no_major_change_takes_every_request_that_was_taken(
    before: Field, after: Field
) -> None:
    old, new = Contract(name="c", fields=(before,)), Contract(name="c", fields=(after,))
    is_breaking = needed(changes(old, new)) == "major"

    refused = [v for v in VALUES if keeps(before, v) and not keeps(after, v)]
    if before.optional and not after.optional:
        refused.append("nothing")
    assert is_breaking or not refused


def test_an_optional_field_may_be_left_out_of_a_request() -> None:
    gate = Field("gate", "string", nullable=True, optional=True)
    compiled = CompiledContract(Contract(name="c", fields=(gate, HOUR)))

    row = msgspec.json.decode(b'{"hour": 4}', type=compiled.row)

    assert compiled.check({"hour": 4}) == []
    assert compiled.getter(("gate", "hour"))(row) == (None, 4)
    assert msgspec.json.encode(row) == b'{"hour":4}'  # the log keeps what came


def test_a_model_with_a_new_optional_field_answers_requests_of_the_old_contract() -> None:
    compiled = CompiledContract(Contract(name="c", fields=(HOUR,)))
    gate = Field("gate", "string", nullable=True, optional=True)
    newer = Contract(name="c", fields=(gate, HOUR))

    values = compiled.getter_for(newer)

    assert values(msgspec.json.decode(b'{"hour": 4}', type=compiled.row)) == (None, 4)
    needing = Contract(name="c", fields=(HOUR, msgspec.structs.replace(gate, optional=False)))
    with pytest.raises(InvalidInput) as refused:
        compiled.getter_for(needing)
    assert refused.value.message == "requests of the contract 'c' lack gate"


def test_what_may_be_left_out_may_be_null() -> None:
    with pytest.raises(InvalidInput) as refused:
        CompiledContract(Contract(name="c", fields=(Field("a", "string", optional=True),)))
    assert refused.value.message == (
        "no row can keep the contract 'c': 'a' is optional, so it has to be nullable"
    )
