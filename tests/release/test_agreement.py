"""Who has to agree: n of some people, or some of each role, and nobody counts twice."""

from hypothesis import given
from hypothesis import strategies as st

from cd4ml.records.settings import EnvironmentSettings
from cd4ml.release.agreement import Voice, agreement, approving_roles, needed

ROLES = ("risk", "legal", "ops")
roles = st.lists(st.sampled_from(ROLES), unique=True, max_size=3).map(tuple)
voices = st.lists(st.builds(Voice, st.sampled_from("abcdef"), roles), max_size=6)
counts = st.dictionaries(st.sampled_from(ROLES), st.integers(1, 2), min_size=1)


def each_role(**wanted: int) -> EnvironmentSettings:
    return EnvironmentSettings(approvals=wanted)


def most(wanted: dict[str, int], people: list[Voice]) -> int:
    """How many seats can be taken: by trying every seat, or none, for everybody."""
    if not people:
        return 0
    voice, *others = people
    without = most(wanted, others)
    seated = [
        1 + most({**wanted, role: wanted[role] - 1}, others)
        for role in voice.roles
        if wanted.get(role)
    ]
    return max([without, *seated])


def each_once(people: list[Voice]) -> list[Voice]:
    return list({voice.name: voice for voice in reversed(people)}.values())


def test_a_number_counts_anybody_with_one_of_the_roles() -> None:
    two = EnvironmentSettings(approvals=2, roles=("risk", "legal"))
    ruth, omar = Voice("ruth", ("risk",)), Voice("omar", ("risk", "legal"))

    assert agreement(two, []).missing == (("risk or legal", 2),)
    assert agreement(two, [ruth]).missing == (("risk or legal", 1),)
    assert agreement(two, [ruth, omar]).counted == (ruth, omar)
    assert agreement(two, [ruth, omar]).missing == ()


def test_one_of_each_role_needs_two_people_even_if_one_has_both_roles() -> None:
    both = each_role(risk=1, legal=1)
    ruth = Voice("ruth", ("risk", "legal"))

    assert agreement(both, [ruth, ruth]).missing == (("legal", 1),)
    assert agreement(both, [ruth, Voice("lin", ("ops",))]).missing == (("legal", 1),)


def test_who_has_both_roles_makes_room_for_who_has_one() -> None:
    """Ruth would take the seat that only Omar could: she moves."""
    both = each_role(risk=1, legal=1)
    ruth, omar = Voice("ruth", ("risk", "legal")), Voice("omar", ("risk",))

    assert agreement(both, [ruth, omar]) == ((ruth, omar), ())


def test_a_voice_that_is_not_needed_does_not_count() -> None:
    one = EnvironmentSettings(approvals=1, roles=("risk",))
    ruth, omar = Voice("ruth", ("risk",)), Voice("omar", ("risk",))

    assert agreement(one, [ruth, omar]).counted == (ruth,)


def test_where_nobody_has_to_agree_nothing_is_missing() -> None:
    assert agreement(EnvironmentSettings(), [Voice("ruth", ("risk",))]) == ((), ())


@given(counts, voices)
def test_no_seating_would_leave_fewer_missing(wanted: dict[str, int], people: list[Voice]) -> None:
    settings = EnvironmentSettings(approvals=wanted)

    found = agreement(settings, people)

    missing = sum(n for _, n in found.missing)
    assert missing == needed(settings) - most(wanted, each_once(people))
    assert len(found.counted) == needed(settings) - missing
    assert len({voice.name for voice in found.counted}) == len(found.counted)
    assert all(set(voice.roles) & set(approving_roles(settings)) for voice in found.counted)


@given(counts, voices, voices)
def test_more_voices_never_make_more_missing(
    wanted: dict[str, int], people: list[Voice], others: list[Voice]
) -> None:
    settings = EnvironmentSettings(approvals=wanted)

    fewer, more = agreement(settings, people), agreement(settings, [*people, *others])

    assert sum(n for _, n in more.missing) <= sum(n for _, n in fewer.missing)
