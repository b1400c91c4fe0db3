from hypothesis import given
from hypothesis import strategies as st

from cd4ml.loop.layout import layers_of, layout, without_shortcuts

NAMES = list("abcdefgh")
GRAPHS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=25)


def acyclic(arrows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((a, b) for a, b in arrows if a < b))


@given(GRAPHS)
def test_everything_stands_behind_what_it_was_made_from(arrows: list[tuple[str, str]]) -> None:
    layers = layers_of(NAMES, acyclic(arrows))

    assert all(layers[start] < layers[end] for start, end in acyclic(arrows))
    assert min(layers.values()) >= 0


@given(GRAPHS)
def test_no_two_things_stand_in_one_place_whatever_the_circles(
    arrows: list[tuple[str, str]],
) -> None:
    drawn = layout(NAMES, arrows)

    assert len(set(drawn.places.values())) == len(NAMES)
    assert all(0 <= layer < drawn.n_layers for layer, _ in drawn.places.values())
    assert all(0 <= row <= drawn.n_rows - 1 for _, row in drawn.places.values())
    assert set(drawn.ways) == {arrow for arrow in arrows if arrow[0] != arrow[1]}
    for (start, end), way in drawn.ways.items():
        assert (way[0], way[-1]) == (drawn.places[start], drawn.places[end])
        passed = set(way[1:-1])
        assert not passed & set(drawn.places.values())  # it goes round what stands there


@given(GRAPHS)
def test_the_same_graph_gives_the_same_picture(arrows: list[tuple[str, str]]) -> None:
    assert layout(NAMES, arrows) == layout(NAMES, arrows)


@given(GRAPHS)
def test_a_shortcut_less_changes_nothing_of_what_is_reached(
    arrows: list[tuple[str, str]],
) -> None:
    given_arrows = acyclic(arrows)
    kept = without_shortcuts(given_arrows)

    assert set(kept) <= set(given_arrows)
    assert reached(kept) == reached(given_arrows)
    assert without_shortcuts(kept) == kept


def reached(arrows: list[tuple[str, str]]) -> set[tuple[str, str]]:
    found = set(arrows)
    while True:
        more = {(a, d) for a, b in found for c, d in found if b == c} - found
        if not more:
            return found
        found |= more


def test_nothing_has_an_empty_picture() -> None:
    assert layout([], []) == ({}, {}, 0, 0)
